"""What a paper must cite of a run, in BibTeX, and the sentence that says how its numbers were made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bench import registry
from bench.card import Card
from bench.data import catalogue
from reports import markup
from reports.numbers import family
from reports.results import Results, load

FILE = Path(__file__).with_name("references.bib")
OURS = "facebench"
PAPERS = {  # of a metric's family, where it is not called like its paper
    "u-ids": "comodgan",
    "p-ids": "comodgan",
    "u-ids-cv": "comodgan",
    "recall": "precision",
    "coverage": "density",
    "topiq-face": "topiq",
}
NETWORKS = (
    "arcface",
    "adaface",
    "facenet",
    "mtcnn",
    "dlib",
    "fan",
    "faceparsing",
    "hsemotion",
    "lite0",
    "dinov2",
    "lpips",
)
SOURCES = {  # of data sets that are not called like their paper
    **dict.fromkeys(("celeba-isfrnet", "celeba-apfi"), "celeba"),
    "celeba-test": "celeba-hq",
    "lfw-test": "lfw",
    **dict.fromkeys(("celebchild-test", "webphoto-test"), "gfpgan"),
    **dict.fromkeys(("cat", "dog"), "animalface"),
    **dict.fromkeys(("shell", "skull", "anime", "fauvism", "moongate", "pokemon", "art"), "fastgan"),
}
BASELINE = ", as an inpainting baseline"  # in titles of cards: what we made of a paper


def cite(run: str | Path) -> str:
    """BibTeX of all methods, data sets and metrics of a run and of this protocol, and a sentence in LaTeX.

    The sentence stands first, as a comment, so that the whole is a .bib file. What has no paper (a mean colour, L1) has
    no entry. Raises BenchError as `load`.
    """
    found = load(Path(run))
    entries = list(dict.fromkeys([*_methods(found), *_data(found), *_metrics(found), _protocol(found)]))
    return "\n\n".join(["% " + sentence(found).replace("\n", "\n% "), *entries]) + "\n"


def sentence(found: Results) -> str:
    """How the numbers were made: protocol, images, masks, seeds, versions. LaTeX, with \\cite keys."""
    rows, protocol = found.rows, found.protocol
    suite = protocol.get("suite") if isinstance(protocol.get("suite"), dict) else {}
    assert isinstance(suite, dict)
    sizes = ", ".join(dict.fromkeys(f"{size} px" for size in rows.get("size", [])))
    data = [
        f"{known.get('test', '?')} test images of {name} (SHA-256 {str(known.get('fingerprint', '?'))[:12]})"
        for name, known in _table(protocol.get("data")).items()
    ]
    masks = {
        condition: str(of)[:12]
        for known in _table(protocol.get("data")).values()
        for condition, of in _table(known.get("masks")).items()
    }
    used = rows.drop_duplicates("metric")
    metrics = [
        f"{row.metric_title}{f' (network {row.extractor})' if row.extractor else ''}" for row in used.itertuples()
    ]
    seeds = ", ".join(map(str, sorted(set(rows["seed"]))))
    parts = [
        f"All methods were measured with face-inpaint-bench {protocol.get('facebench', '?')} \\cite{{{OURS}}} (suite "
        f"{suite.get('suite', '?')}, version {suite.get('version', '?')}, protocol {protocol.get('hash', '?')})",
        f"on the same {' and '.join(data)} at {sizes or '?'}, under the same frozen masks "
        f"({', '.join(f'{condition}: {of}' for condition, of in masks.items())})",
        f"with seed {suite.get('seed', '?')} for splits, masks and draws and seeds {seeds} for training",
        f"scores are those of 8-bit pictures, {_pasted(suite)}: {', '.join(metrics)}",
        "intervals are 95% bootstrap intervals over images, and differences are told from chance by a paired bootstrap "
        "with the correction of Holm",
    ]
    text = markup.latex(f"{parts[0]} {parts[1]}, {parts[2]}; {'; '.join(parts[3:])}.")
    return text.replace(markup.latex(f"\\cite{{{OURS}}}"), f"\\cite{{{OURS}}}")


def _pasted(suite: dict[str, Any]) -> str:
    """What was done to known pixels."""
    rows = [row for row in suite.get("methods") or [] if isinstance(row, dict)]
    whole = [str(row.get("title") or row.get("method")) for row in rows if row.get("paste") is False]
    return "with known pixels pasted from the originals" + (f" except for {', '.join(whole)}" if whole else "")


@cache
def references() -> dict[str, str]:
    """The entries of references.bib by their keys."""
    parts = re.split(r"\n(?=@)", FILE.read_text(encoding="utf-8"))[1:]
    return {re.sub(r"^@\w+\{([^,]+),.*", r"\1", part, flags=re.DOTALL): part.strip() for part in parts}


def _methods(found: Results) -> Iterator[str]:
    known = registry.entries()
    for slug in dict.fromkeys(found.rows["method"]):
        if slug in known and known[slug].card.year:
            yield paper(known[slug].card)


def paper(card: Card) -> str:
    """The entry of a method's paper in references.bib, by the method's name or the title; else what its card tells."""
    title = f"title={{{{{_text(card.title.removesuffix(BASELINE))}}}}}"
    same = (entry for entry in references().values() if title in entry)
    return references().get(card.slug) or next(same, None) or _entry(card)


def _entry(card: Card) -> str:
    """A card as BibTeX; its key is the method's name."""
    people = re.sub(r"\s*et al\.?", ", others", card.authors.partition(";")[0])
    fields = {
        "title": f"{{{_text(card.title)}}}",
        "author": " and ".join(map(_text, people.split(", "))) if people != "-" else "",
        "year": str(card.year),
        "howpublished": _text(card.venue) if card.venue != "-" else "",
        "url": card.url,
    }
    return _misc(card.slug, fields)


def _data(found: Results) -> Iterator[str]:
    for name in dict.fromkeys(found.rows["dataset"]):
        known, key = catalogue.known(name), catalogue.key(name)
        if known is None or key is None:
            continue  # the user's own images, or drawn ones
        yield references().get(SOURCES.get(key, key)) or _misc(
            key, {"title": f"{{{_text(known.title)}}}", "url": known.source}
        )


def _metrics(found: Results) -> Iterator[str]:
    for name in dict.fromkeys(found.rows["metric"]):
        paper = PAPERS.get(family(name), family(name))
        variant = name.partition("@")[2]
        for key in (paper, *(network for network in NETWORKS if network in variant)):
            if key in references():
                yield references()[key]


def _protocol(found: Results) -> str:
    version, told = found.protocol.get("facebench", "?"), found.protocol.get("hash", "?")
    note = _text(f"Version {version}, protocol {told}")
    return _misc(OURS, {"title": "{face-inpaint-bench}", "author": "{The authors of face-inpaint-bench}", "note": note})


def _misc(key: str, fields: dict[str, str]) -> str:
    return f"@misc{{{key}, {', '.join(f'{name}={{{value}}}' for name, value in fields.items() if value)}}}"


def _text(text: str) -> str:
    """Text for a field: BibTeX has signs of its own."""
    return re.sub(r"([&%$#_])", r"\\\1", markup.line(text))


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
