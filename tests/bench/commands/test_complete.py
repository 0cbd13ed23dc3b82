"""`facebench complete`, as a user types it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import facebench
from bench.errors import BenchError
from masks import MaskSet
from tests.bench.test_export import call


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with faces/, masks/ and masks.npz of the same names."""
    monkeypatch.chdir(tmp_path)
    names = ["a", "b", "c"]
    frozen = MaskSet.make("irregular/20-30", 48, 3, 0, images=[f"{name}.png" for name in names])
    frozen.save("masks.npz")
    for folder in ("faces", "masks"):
        Path(folder).mkdir()
    for name, face, hole in zip(names, facebench.faces(3, size=48), frozen, strict=True):
        face.save(f"faces/{name}.png")
        Image.fromarray(hole * 255).save(f"masks/{name}.png")
    return tmp_path


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_one_picture(place: Path) -> None:
    assert "wrote completed.png: 48 x 48 pixels, by telea (paper)" in call(
        "complete", "telea", "faces/a.png", "masks/a.png"
    )
    hole, made, given = pixels("masks/a.png") > 0, pixels("completed.png"), pixels("faces/a.png")
    assert np.array_equal(made[~hole], given[~hole])
    assert (made[hole] != given[hole]).any()
    model = facebench.load("telea")
    assert np.array_equal(made, np.asarray(model.complete("faces/a.png", "masks/a.png")))
    call("complete", "telea", "faces/a.png", "masks/a.png", "--size", 32, "--out", "small.png")
    assert pixels("small.png").shape == (32, 32, 3)
    (place / "into").mkdir()
    call("complete", "telea", "faces/a.png", "masks/a.png", "--out", "into")
    assert np.array_equal(pixels("into/a.png"), made)


def test_folders_are_matched_by_name_and_can_be_measured(place: Path) -> None:
    assert "wrote filled: 3 pictures" in call("complete", "telea", "faces", "masks", "--out", "filled")
    call("complete", "telea", "faces", "masks.npz", "--out", "again")
    for name in "abc":
        assert np.array_equal(pixels(f"filled/{name}.png"), pixels(f"again/{name}.png"))
    call("evaluate", "filled", "faces", "--masks", "masks", "--metrics", "l1,l1@hole", "--out", "scores.csv")
    scores = pd.read_csv("scores.csv").set_index("metric")["value"]
    assert 0 < scores["l1"] < scores["l1@hole"]
    call("complete", "telea", "faces", "masks/a.png", "--out", "one")  # one mask serves all
    assert np.array_equal(pixels("one/a.png"), pixels("filled/a.png"))
    assert not np.array_equal(pixels("one/b.png"), pixels("filled/b.png"))


def test_guides_are_one_file_or_a_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    class Noted:
        label = "noted"

        def complete(self, file: Path, mask: Path, **options: object) -> Image.Image:
            given[file.stem] = {name: str(value) for name, value in options.items()}
            return Image.open(file)

    monkeypatch.setattr("bench.loading.load", lambda *arguments, **options: Noted())
    for folder, suffix in (("maps", "png"), ("points", "txt")):
        Path(folder).mkdir()
        for name in "abc":
            Path(f"{folder}/{name}.{suffix}").touch()
    call("complete", "sean", "faces", "masks", "--layout", "maps", "--landmarks", "points", "--sketch", "maps/c.png")
    for name in "abc":
        expected = {"layout": f"maps/{name}.png", "landmarks": f"points/{name}.txt", "sketch": "maps/c.png"}
        assert expected.items() <= given[name].items()
    Path("points/b.txt").unlink()
    with pytest.raises(BenchError, match=r"1 of 3 pictures have no landmarks of their name in points \(first: b\)"):
        call("complete", "lafin", "faces", "masks", "--landmarks", "points")


def test_frozen_masks_belong_to_the_square_that_a_run_makes(place: Path) -> None:
    (place / "large").mkdir()
    for name in "abc":
        Image.open(f"faces/{name}.png").resize((128, 96)).save(f"large/{name}.png")
    call("complete", "telea", "large", "masks.npz", "--size", 48, "--out", "square")
    square = np.asarray(Image.open("large/b.png").resize((48, 48), Image.Resampling.LANCZOS, (16, 0, 112, 96)))
    known = pixels("masks/b.png") == 0
    assert np.array_equal(pixels("square/b.png")[known], square[known])


def test_masks_of_other_kinds_are_said(place: Path) -> None:
    call("complete", "telea", "faces/a.png", "masks/a.png", "--out", "plain.png")
    hole = pixels("masks/a.png") > 0
    Image.fromarray(np.where(hole, 200, 10).astype(np.uint8)).save("grey.png")
    call("complete", "telea", "faces/a.png", "grey.png", "--mask-threshold", 127, "--out", "grey-hole.png")
    Image.fromarray(np.where(hole, 0, 255).astype(np.uint8)).save("black.png")
    call("complete", "telea", "faces/a.png", "black.png", "--invert-masks", "--out", "black-hole.png")
    for name in ("grey-hole.png", "black-hole.png"):
        assert np.array_equal(pixels(name), pixels("plain.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("aot faces/a.png masks/a.png", r"aot must be trained: give .*\(--run\).*\(--weights\)"),
        ("telea nowhere.png masks/a.png", "cannot read nowhere.png"),
        ("telea faces/a.png faces/a.png", "faces/a.png is no mask"),
        ("telea faces/a.png", "fills holes: give the mask"),
        ("telea faces other", "3 of 3 pictures have no mask of their name in other .*called {name}_m; name them"),
        ("telea other masks/a.png --out other", "--out: other holds the pictures"),
        (
            "telea faces/a.png masks/a.png --out faces/a.png",
            "faces/a.png is given, and would be lost: name another file",
        ),
        ("telea faces/a.png masks/a.png --out masks/a.png", "masks/a.png is given, and would be lost"),
        ("telea faces/a.png masks/a.png --out link.png", "link.png is given, and would be lost"),
        ("telea faces/a.png masks/a.png --sketch faces/b.png --out faces/b.png", "faces/b.png is given, and would be"),
        ("telea faces/a.png masks/a.png --out faces/c.png", "faces/c.png is there already, .* did not write it: name"),
        ("telea faces masks --out masks", "--out: masks holds the masks: choose another folder"),
        ("telea faces masks --out linked", "--out: linked holds the masks"),
        ("telea faces masks --sketch guides --out guides", "--out: guides holds the sketch"),
        ("telea faces photos/a.png --out photos", "photos/a.png is given, and would be lost"),
        ("telea faces masks --out photos", "photos/a.png is there already"),
        ("telea faces/a.png masks/a.png --out a.jpg", "results are PNG, which keeps every bit: name it a.png"),
        ("telea faces masks --out a.png", "faces is a folder, so results are written to one"),
        ("telea faces masks.npz --invert-masks", "--invert-masks is for folders of mask files"),
        ("telea faces/a.png masks.npz --size 32", "masks.npz has masks of 48 x 48, and frozen masks are not resized"),
        ("telea empty masks/a.png", "no images in empty"),
        ("lama faces/a.png masks/a.png --weights nowhere.pt", "nowhere.pt"),
        ("lama faces/a.png masks/a.png --run nowhere", "run.json is missing"),
        ("lama faces/a.png masks/a.png --weights a.pt --prior psp", "--prior psp: write NAME=FILE"),
        ("lama faces/a.png masks/a.png --weights a.pt --prior psp=a.pt --prior psp=b.pt", "--prior gives psp twice"),
        ("telea faces/a.png masks/a.png --preset huge", "telea has no preset 'huge': choose from paper"),
        ("telea faces/a.png wrong.png", r"faces/a.png has 48 x 48 pixels and wrong.png has 32 x 32 pixels"),
    ],
)
def test_errors_name_the_file_and_the_remedy(place: Path, arguments: str, message: str) -> None:
    (place / "other").mkdir()
    (place / "empty").mkdir()
    (place / "photos").mkdir()
    Image.open("faces/c.png").save("photos/b.png")
    shutil.copytree("faces", "guides")
    Path("link.png").symlink_to("masks/a.png")
    Path("linked").symlink_to("masks")
    for name in "abc":
        Image.open(f"masks/{name}.png").save(f"other/{name}_m.png")
    Image.open("masks/a.png").save("photos/a.png")
    Image.open("masks/a.png").resize((32, 32), Image.Resampling.NEAREST).save("wrong.png")
    before = {path: path.read_bytes() for path in place.rglob("*.*")}
    with pytest.raises(BenchError, match=message):
        call("complete", *arguments.split())
    assert {path: path.read_bytes() for path in place.rglob("*.*")} == before


def test_results_are_made_again_in_their_place(place: Path) -> None:
    for seed in (0, 1):
        call("complete", "telea", "faces/a.png", "masks/a.png", "--seed", seed)
        call("complete", "telea", "faces", "masks", "--seed", seed)
    assert np.array_equal(pixels("completed.png"), pixels("completed/a.png"))


def test_bad_input_ends_with_code_two(place: Path) -> None:
    command = [sys.executable, "-m", "bench", "complete", "telea", "nowhere.png", "masks/a.png"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot read nowhere.png")
    command = [*command[:4], "mean", "faces", "masks", "--seed", str(2**64)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Invalid value for '--seed'" in done.stderr
