"""What is said of official weights that may have seen the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench import exposure, jobs, registry, results
from bench.data import catalogue, lists, splits
from bench.data.splits import Split
from bench.runner import Options, run
from bench.suite import Suite, parse

HQ = [f"{number}.jpg" for number in range(lists.CELEBA_HQ)]
DRAWN = catalogue.DATASETS["celeba-hq"].split("f", HQ, 0)
LAMA = lists.by_lists("celeba-hq", "f", HQ, 0, {"held_out": lists.HELD_OUT["lama"]})
FFHQ = [f"{number:05d}.png" for number in range(70_000)]
LAST = catalogue.DATASETS["ffhq"].split("f", FFHQ, 0)


def suite(row: dict[str, Any], name: str, **data: Any) -> Suite:
    return parse(
        {
            "suite": "exposure",
            "size": 256,
            "data": [{"name": name, "folder": "anywhere"} | data],
            "methods": [{"weights": "official.pth"} | row],
            "conditions": ["center/25"],
            "metrics": ["l1@hole"],
            "report": {"main": ["l1@hole"]},
        },
        "here",
    )


def said(row: dict[str, Any], name: str, ids: list[str], split: Split, **data: Any) -> list[str]:
    made = suite(row, name, **data)
    return list(exposure.remarks(made.methods[0], made, made.data[0], ids, split))


@pytest.mark.parametrize(
    ("method", "name", "ids", "split", "expected"),
    [
        ("lama", "celeba-hq", HQ, DRAWN, "1,872 of 2,000 test images stand in the list of their training (at most,"),
        ("lama", "celeba-hq", HQ, LAMA, None),
        ("lama", "celeba-hq", HQ[1:], splits.draw("x", "f", HQ[1:], 0), "trained on images of CelebA-HQ, of which is"),
        ("lama", "CelebA HQ", HQ, LAMA, None),
        ("lama", "celeba", HQ, DRAWN, "trained on images of CelebA-HQ, of which is not known"),
        ("lama", "ffhq", FFHQ, LAST, None),
        ("aot", "celeba-hq", HQ, DRAWN, "trained on images of CelebA-HQ, of which is not known: test images may be"),
        ("grig", "ffhq", FFHQ, LAST, None),
        ("grig", "ffhq", FFHQ, splits.draw("x", "f", FFHQ, 0, test=700), "of 700 test images stand in the list of"),
        ("vspbfr", "ffhq", FFHQ, LAST, "trained on all images of FFHQ, the 10,000 test images among them"),
        ("lama", "mine", HQ, DRAWN, "trained on CelebA-HQ, Places365; whether the test images are among what they saw"),
    ],
)
def test_what_the_cards_tell(method: str, name: str, ids: list[str], split: Split, expected: str | None) -> None:
    """The 1,872 pictures are those that the draw of seed 0 shares with LaMa's list of 28,000."""
    options = {"conditions": ["degraded/blind"]} if method == "vspbfr" else {}
    made = suite({"method": "mean", "weights": None}, name).model_copy(update=options)
    row = made.methods[0].model_copy(update={"method": method, "weights": Path("official.pth")})
    found = list(exposure.remarks(row, made, made.data[0], ids, split))
    own = [text for text in found if not text.startswith("prior ")]
    assert len(own) == (expected is not None), found
    assert expected is None or (own[0].startswith("official weights: ") and expected in own[0])


def test_a_split_is_named_that_avoids_them() -> None:
    assert said({"method": "lama"}, "celeba-hq", HQ, DRAWN)[0].endswith("`split: lama` avoids them")
    assert parse(suite({"method": "lama"}, "celeba-hq", split="lama").model_dump(mode="json"), "here")


def test_official_priors_count_as_well() -> None:
    made = suite({"method": "exegan", "weights": None}, "ffhq")
    made = made.model_copy(update={"priors": [made.methods[0].model_copy(update={"method": "psp", "weights": "x.pt"})]})
    found = list(exposure.remarks(made.methods[0], made, made.data[0], FFHQ, LAST))
    assert found == ["prior pSp, official weights: trained on all images of FFHQ, the 10,000 test images among them"]


def test_a_row_gives_the_list_itself(tmp_path: Path) -> None:
    split = splits.draw("mine", "f", HQ[:20], 0, test=10)
    path = tmp_path / "trained.txt"
    path.write_text("\n".join([*split.test[:3], *split.train, "elsewhere.png"]))
    row = {"method": "lama", "trained_on": str(path)}
    assert said(row, "mine", HQ[:20], split) == [
        "official weights: 3 of 10 test images stand in the list of their training"
    ]
    path.write_text("\n".join(split.train))
    assert said(row, "mine", HQ[:20], split) == []


def test_it_stands_under_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told when the suite is planned, and a note of each of the row's numbers, which tables print as a footnote."""
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        (tmp_path / "mine").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"mine/{i}.png")
    network = registry.get("aot").load().create("tiny").networks()["generator"]
    torch.save(network.state_dict(), tmp_path / "G.pt")
    (tmp_path / "list.txt").write_text("\n".join(map(str, range(12))))
    row = {"method": "aot", "weights": str(tmp_path / "G.pt"), "trained_on": str(tmp_path / "list.txt")}
    content = suite({"method": "lama"}, "mine").model_dump(mode="json") | {"size": 64, "methods": [row, "mean"]}
    content["data"] = [{"name": "mine", "folder": str(tmp_path / "mine"), "test": 4}]
    made = jobs.plan(parse(content, "here"), tmp_path / "runs")
    assert "AOT-GAN on mine: official weights: 4 of 4 test images stand" in " ".join(capsys.readouterr().err.split())
    assert not run(made, Options(device="cpu", workers=0)).failed
    notes = results.rows(made, made.scores).set_index("title")["note"]
    assert "official weights: 4 of 4 test images stand in the list of their training" in notes["AOT-GAN"]
    assert "weights" not in notes.drop("AOT-GAN").item()


def test_nothing_is_said_of_synthetic_faces_and_of_what_is_trained_here() -> None:
    split = splits.draw("synthfaces", "f", HQ[:20], 0)
    assert said({"method": "lama"}, "synthfaces", HQ[:20], split, folder=None, train=8, test=8) == []
    assert said({"method": "lama", "weights": None}, "celeba-hq", HQ, DRAWN) == []


@pytest.mark.parametrize("slug", registry.entries())
def test_cards_name_what_is_known(slug: str) -> None:
    """A data set of the catalogue, and all of it, its published training images, a published test, or nothing."""
    for name, which in registry.get(slug).card.trained_on.items():
        assert name in catalogue.DATASETS and which in ("", "all", "train", *lists.HELD_OUT)


def test_numbers_that_an_archive_gave_tell_nothing_of_celeba_hq() -> None:
    made = suite({"method": "lama"}, "celeba-hq")
    found = list(exposure.remarks(made.methods[0], made, made.data[0], HQ, LAMA, named=False))
    assert found == [
        "official weights: trained on images of CelebA-HQ, of which is not known: test images may be among them"
    ]
