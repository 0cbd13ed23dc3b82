"""BibTeX of a run, and the sentence for a paper."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bench import metrics, registry
from bench.card import Card
from bench.data import catalogue
from reports import citation
from reports.citation import cite, references
from reports.numbers import family

from . import made_up

WITHOUT = {  # definitions that no paper is cited for, or that their network's paper stands for
    "psnr", "l1", "mae", "seam", "damage", "perceptual", "diversity", "identity", "same-person", "nme", "similarity",
    "verification", "miou", "detection", "detection-probability", "emotion",
}  # fmt: skip


def test_every_metric_has_a_paper_or_needs_none() -> None:
    for name in metrics.names():
        kind = family(name)
        assert kind in WITHOUT or citation.PAPERS.get(kind, kind) in references(), name
    assert set(citation.PAPERS.values()) | set(citation.NETWORKS) <= set(references())


def test_entries_are_whole() -> None:
    for key, entry in references().items():
        assert entry.startswith("@") and entry.count("{") == entry.count("}") and "year={" in entry, key
    for name in catalogue.DATASETS:
        rows = made_up.rows({"mean": "Mean"}, ("center/25",), ("psnr",), (name,))
        assert len(list(citation._data(citation.Results(rows, None, None, None, {}, Path())))) == 1
    for entry in registry.entries().values():
        for text in (citation.paper(entry.card), citation._entry(entry.card)):
            assert text.count("{") == text.count("}") and "et al" not in text and not re.search(r"(?<!\\)[&%#$]", text)


def test_papers_agree_with_the_cards() -> None:
    """Year, title, first author and arXiv number. What diffusers draws has no one paper: its library is cited."""
    for slug, entry in registry.entries().items():
        card, text = entry.card, citation.paper(entry.card)
        if card.year and slug != "diffusers":
            assert f"year={{{card.year}}}" in text, slug
            assert f"title={{{{{citation._text(card.title.removesuffix(citation.BASELINE))}}}}}" in text, slug
            first = re.split(r",| et al", card.authors.partition(";")[0])[0]
            assert card.authors == "-" or f"author={{{first}" in text, slug
            assert set(re.findall(r"\d{4}\.\d{5}", card.url)) <= set(re.findall(r"\d{4}\.\d{5}", text)), slug
    shared = {slug: citation.paper(registry.get(slug).card) for slug in ("controlnet", "controlnet-labels")}
    assert len(set(shared.values())) == 1


def test_a_method_of_the_user_is_cited_by_its_card() -> None:
    card = Card(slug="ours", name="Ours", title="Faces & Holes", authors="Doe et al.", year=2026, venue="-", url="")
    expected = r"@misc{ours, title={{Faces \& Holes}}, author={Doe and others}, year={2026}}"
    assert citation.paper(card) == expected


def test_a_run_is_cited_and_its_sentence_says_how_it_was_made(tmp_path: Path) -> None:
    methods = {"mean": "Mean colour", "scfegan": "SC-FEGAN", "maskgan": "MaskGAN"}
    table = made_up.rows(methods, ("center/25",), ("psnr", "fid@embedded"), ("celeba-hq",))
    run = made_up.write_run(tmp_path / "run", table.assign(size=256), pictures=0)
    protocol = json.loads((run / "protocol.json").read_text())
    masks = {"test": 2000, "fingerprint": "f" * 64, "masks": {"center/25": "1" * 64}}
    protocol |= {"data": {"celeba-hq": masks}, "facebench": "9.9"}
    (run / "protocol.json").write_text(json.dumps(protocol))
    text = cite(run)
    keys = re.findall(r"^@\w+\{([^,]+)", text, flags=re.MULTILINE)
    assert keys == ["scfegan", "maskgan", "celeba-hq", "fid", "facebench"]
    assert "author={Jo, Youngjoo and Park, Jongyoul}" in text
    said = text.splitlines()[0]
    assert said.startswith(r"% All methods were measured with face-inpaint-bench 9.9 \cite{facebench} (suite made-up")
    for part in ("2000 test images of celeba-hq (SHA-256 ffffffffffff) at 256 px", "center/25: 111111111111",
                 "protocol 0123456789abcdef", "PSNR, FID (embedded) (network embedded"):  # fmt: skip
        assert part.replace("-256", "-256") in said.replace("-{}", "-"), part
