"""`facebench compare` of runs that keep their pictures, and of folders of pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.find import Finder
from bench.pack import pack, unpacked
from bench.pack.pictures import Finder as PackFinder
from reports.comparison import _pictures
from tests.bench.test_export import FACES, call, run

METRICS = {"metrics": ["psnr", "l1@hole"], "conditions": ["center/25"]}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("small"), data=[FACES], **METRICS)


def test_two_rows_of_a_run(small: Path, tmp_path: Path) -> None:
    printed = call("compare", small, small, "--pair", "Mean colour=Telea", "--out", tmp_path / "out")
    assert "Mean colour (A) and Telea (B)" in printed and "comparison.md" in printed
    made = {path.name for path in (tmp_path / "out").iterdir()}
    figure = "changed-synthfaces-all-Mean_colour-Telea-psnr.png"
    assert made == {"comparison.md", "comparison.csv", "comparison.tex", "changed.csv", figure}
    assert Image.open(tmp_path / "out" / figure).width > 600
    assert figure in (tmp_path / "out/comparison.md").read_text()
    cells = pd.read_csv(tmp_path / "out/comparison.csv")
    rows = pd.read_parquet(small / "results.parquet").set_index(["title", "metric"])["value"]
    assert np.isclose(cells["a"][0], rows["Mean colour", "psnr"]) and np.isclose(cells["b"][0], rows["Telea", "psnr"])


def test_files_of_somebody_else_are_kept(small: Path, tmp_path: Path) -> None:
    asked = ("compare", small, small, "--pair", "Mean colour=Telea", "--out", tmp_path)
    theirs = tmp_path / "comparison.csv"
    theirs.write_text("theirs")
    with pytest.raises(BenchError, match=r"comparison\.csv is there already, and this command did not write it"):
        call(*asked)
    assert [*tmp_path.iterdir()] == [theirs] and theirs.read_text() == "theirs"
    theirs.unlink()
    call(*asked)
    call(*asked)  # its own may be replaced


def test_pictures_are_those_that_were_scored_else_samples_else_none(small: Path, tmp_path: Path) -> None:
    where = ("Telea", "synthfaces", "all", "center/25")
    image = pd.read_parquet(small / "per_image.parquet")["id"].iloc[-1]
    found = Finder(small)(*where, image)
    assert set(found) == {"completed", "masked", "original"}
    hole = (found["masked"] == 255).all(axis=2)
    assert 0.2 < hole.mean() < 0.3
    assert (found["completed"] == found["original"]).all(axis=2)[~hole].all()
    assert Finder(tmp_path)(*where, image) == {}


def test_packs_show_what_they_hold(small: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.pack.zip", tmp_path / "part.pack.zip"
    pack(small, whole)
    pack(small, part, share=0.05)
    given = ["--pair", "Mean colour=Telea", "--out", tmp_path / "out"]
    for other in (small, whole):
        assert "not shown" not in call("compare", whole, other, *given)
        assert Image.open(tmp_path / "out/changed-synthfaces-all-Mean_colour-Telea-psnr.png").width > 600
    shutil.rmtree(tmp_path / "out")
    assert "not shown: 6 of 6 images that changed most: A or B has no picture" in call("compare", whole, part, *given)
    text = (tmp_path / "out/comparison.md").read_text()
    assert "part.pack.zip (B) has no picture of 0000" in text and "(A) has" not in text
    assert not list((tmp_path / "out").glob("*.png"))


def test_what_a_pack_does_not_know_the_other_side_may(small: Path, tmp_path: Path) -> None:
    pack(small, tmp_path / "a.pack.zip")
    row = pd.read_parquet(small / "per_image.parquet").assign(A="Telea", B="Telea").iloc[0]
    with unpacked(tmp_path / "a.pack.zip") as (folder, said):
        sides = [PackFinder(folder, said), Finder(small)]
        alone = sides[0](row.title, row.dataset, "all", row.condition, row.id)
        shown = _pictures(row, lambda side, of, image: sides[side](of.label, of.dataset, of.shots, of.condition, image))
    assert set(alone) == {"completed", "hole"} and set(shown) == {"A", "B", "masked", "original"}
    assert not alone["completed"][alone["hole"][..., 0] == 0].any()
    assert np.array_equal(shown["A"], shown["B"])


def test_two_folders_of_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        truth = rng.integers(40, 200, (64, 64, 3), dtype=np.uint8)
        hole = np.zeros((64, 64), bool)
        hole[20:40, 20:40] = True
        for folder, picture in (
            ("truth", truth),
            ("masks", hole.astype(np.uint8) * 255),
            ("a", np.where(hole[..., None], rng.integers(0, 255, truth.shape), truth)),
            ("b", np.where(hole[..., None], truth + rng.integers(1, 9, truth.shape), truth)),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / folder / f"{i}.png")
    a, b, truth, masks = (tmp_path / name for name in ("a", "b", "truth", "masks"))
    given = ["--truth", truth, "--masks", masks, "--metrics", "psnr,l1@hole", "--out", tmp_path / "out"]
    call("compare", a, b, *given)
    cells = pd.read_csv(tmp_path / "out/comparison.csv").set_index("metric")
    assert cells.loc["psnr", "low"] > 5 and cells.loc["l1@hole", "high"] < 0 and (cells["n"] == 12).all()
    (b / "0.png").unlink()
    (a / "7.png").unlink()
    printed = call("compare", a, b, *given)
    assert f"compared over the 10 images that both have: {a} lacks 1, such as 7; {b} lacks 1, such as 0" in printed
    fewer = pd.read_csv(tmp_path / "out/comparison.csv").set_index("metric")
    assert (fewer["n"] == 10).all()
    for place in (a, b):  # as if nobody had the others
        for name in ("0.png", "7.png"):
            (place / name).unlink(missing_ok=True)
    assert "compared over" not in call("compare", a, b, *given)
    assert pd.read_csv(tmp_path / "out/comparison.csv").set_index("metric").equals(fewer)
    (tmp_path / "c").mkdir()
    shutil.copyfile(truth / "0.png", tmp_path / "c/0.png")
    with pytest.raises(BenchError, match=r"c has 0, and no name is in both: name them alike"):
        call("compare", a, tmp_path / "c", *given)
    with pytest.raises(BenchError, match="--masks is for folders of pictures: say --truth DIR"):
        call("compare", a, b, "--masks", masks)
