"""Pictures of any aspect ratio come into the size of a suite: by what rule, and from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from bench import cli, loading, stored
from bench.data.dataset import prepare_folder
from bench.errors import BenchError
from bench.framing import CROP, Framing, framed, normal, told, typed

PAD = Framing("pad")
SIZE = (48, 40)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_size_has_one_form() -> None:
    assert normal([256, 256]) == normal(256) == 256 and normal([256, 192]) == (256, 192)
    assert told(256) == "256" and told((256, 192)) == "256 x 192"
    assert typed("--size", "64x64") == 64 and typed("--size", "64x48") == (64, 48)
    for text in ("64,48", "x", "64x", "-1"):
        with pytest.raises(BenchError, match=f"--size {text}: give the side in pixels, such as 256, or HEIGHTxWIDTH"):
            typed("--size", text)


def test_a_square_is_the_centre_and_keeps_an_image_of_this_size() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = noise(10, 10)
    np.testing.assert_array_equal(framed(Image.fromarray(wide), 10), wide[:, 10:20])


def test_a_square_is_what_resizing_all_and_cropping_gives() -> None:
    image = Image.fromarray(noise(32, 64))
    expected = image.resize((32, 16), Image.Resampling.LANCZOS).crop((8, 0, 24, 16))
    np.testing.assert_array_equal(framed(image, 16), np.asarray(expected))


@pytest.mark.parametrize(("height", "width"), [(24, 60), (80, 20), (24, 20)])
def test_the_largest_central_rectangle_is_kept(height: int, width: int) -> None:
    """24 x 20 pixels have the aspect ratio of 12 x 10: what making all smaller and then cropping gives."""
    image = Image.fromarray(noise(height, width))
    found = framed(image, (12, 10))
    small = np.asarray(image.resize((width // 2, height // 2), Image.Resampling.LANCZOS))
    top, left = (height // 2 - 12) // 2, (width // 2 - 10) // 2
    np.testing.assert_array_equal(found, small[top : top + 12, left : left + 10])


@pytest.mark.parametrize("size", [16, (12, 20)])
def test_padding_shows_all_and_repeats_the_outermost_pixels(size: int | tuple[int, int]) -> None:
    picture = noise(12, 8)
    found = framed(Image.fromarray(picture), size, PAD)
    height, width = (16, 16) if size == 16 else (12, 20)
    inner = round(8 * height / 12)
    left = (width - inner) // 2
    whole = np.asarray(Image.fromarray(picture).resize((inner, height), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(found[:, left : left + inner], whole)
    assert found.shape == (height, width, 3)
    assert (found[:, :left] == whole[:, :1]).all() and (found[:, left + inner :] == whole[:, -1:]).all()
    turned = framed(Image.fromarray(picture.transpose(1, 0, 2)), normal((width, height)), PAD)
    assert (turned[:left] == turned[left]).all() and (turned[left + inner :] == turned[left + inner - 1]).all()


def test_padding_does_not_show_what_a_mirror_would() -> None:
    """What lies away from the border is in the frame once: a hole over it leaves nothing of it."""
    picture = np.zeros((20, 10, 3), np.uint8)
    picture[5:15, 1:9] = 255
    found = framed(Image.fromarray(picture), 20, PAD)
    assert found[:, 6:14].max() == 255 and found[:, :6].max() == 0 and found[:, 14:].max() == 0


def test_labels_stay_labels_and_a_squeezed_picture_shows_the_same() -> None:
    maps = Image.fromarray(noise(30, 30) // 128)
    assert set(np.unique(framed(maps, (12, 20), PAD, labels=True))) <= {0, 1}
    tall = Image.fromarray(np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[:, None, None], 3, 2).repeat(80, 1))
    for rule in (CROP, PAD):
        framing = Framing(rule.rule, (48, 24))
        small, squeezed = (framed(tall, size, framing).astype(int) for size in ((48, 24), 48))
        np.testing.assert_allclose(squeezed[:, 24], small[:, 12], atol=2)


def test_what_decides_the_pictures_decides_their_cache(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    Image.fromarray(noise(30, 20)).save(tmp_path / "faces" / "a.png")

    def entry(size: Any, framing: Framing = CROP) -> Path:
        return prepare_folder(tmp_path / "faces", size, tmp_path / "cache", framing=framing).entry

    every = [entry(16), entry((16, 12)), entry((16, 12), PAD), entry(16, PAD), entry(16, Framing("crop", (16, 12)))]
    assert len(set(every)) == len(every)
    assert entry(16) == every[0] and every[1].name.startswith("16x12px-")


@pytest.fixture(scope="module", params=["crop", "pad"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished suite of portraits, with a method that takes them, and one that takes squares alone."""
    folder = tmp_path_factory.mktemp("framed")
    (folder / "faces").mkdir()
    for i in range(8):
        Image.fromarray(np.roll(noise(60, 40), i, 1)).save(folder / "faces" / f"{i}.png")
    content = {
        "suite": "tall",
        "size": list(SIZE),
        "framing": request.param,
        "data": [{"name": "mine", "folder": str(folder / "faces"), "test": 4}],
        "methods": [
            "mean",
            {"method": "gconv", "preset": "tiny"},
            {"method": "comodgan", "preset": "tiny", "at": 64},
        ],
        "conditions": ["irregular/20-30"],
        "train": {"features": "embedded", "steps": 2, "batch": 2},
        "metrics": ["psnr", "fid@embedded"],
        "report": {"main": ["psnr"], "samples": 1},
    }
    (folder / "tall.yaml").write_text(yaml.safe_dump(content))
    done = CliRunner().invoke(
        cli.app, ["run", str(folder / "tall.yaml"), "--out", str(folder / "runs"), "--workers", "0"]
    )
    assert done.exit_code == 0, done.output
    return folder / "runs" / "tall"


def test_a_suite_of_pictures_that_are_not_square(run: Path) -> None:
    rows = pd.read_parquet(run / "results.parquet")
    assert set(rows["size"]) == {"48 x 40"} and rows.groupby("title")["value"].count().eq(2).all()
    text = next((run / "report" / "tables").glob("*.md")).read_text()
    assert "CoModGAN: works at 64 x 64 pixels, resized there and back" in text
    said = "Pictures are padded by their outermost pixels to 48 x 40 (height x width): masks and scores cover them."
    assert (said in text) == ("pad" in (run.parents[1] / "tall.yaml").read_text().split("framing: ")[1][:4])
    shown = run / "samples" / "mine" / "irregular_20-30"
    assert {Image.open(path).size for path in shown.rglob("*.png")} == {SIZE[::-1]}


def test_its_pictures_are_read_again(run: Path) -> None:
    """By the run itself, and from the folder of one completion with the images alone."""
    opened = stored.Run.open(run)
    images = opened.prepared().data["mine"].images
    assert images.size == SIZE
    for cell in opened.cells:
        folder = run.parent / "jobs" / cell.completion
        archive, task = stored.handed(folder, [str(run.parents[1] / "faces")], run.parents[1] / "other")
        assert task.images.framing == images.framing and task.images.size == SIZE
        holes = next(iter(task.holes()))
        found = archive.read(range(len(holes)), next(iter(task.originals())), holes)
        assert found.shape == (len(holes), 3, *SIZE)


def test_its_models_complete_pictures(run: Path) -> None:
    model = loading.load("gconv", run=run)
    picture, hole = Image.fromarray(noise(*SIZE)), np.zeros(SIZE, np.uint8)
    hole[10:20, 5:30] = 1
    assert model.size == SIZE and model.complete(picture, hole).size == SIZE[::-1]
    other, erased = Image.fromarray(noise(60, 40)), np.zeros((60, 40), np.uint8)
    erased[20:30, 5:20] = 1
    with pytest.raises(BenchError, match=r"made for 40 x 48, and the image has 40 x 60: say size=.*--size 48x40\)"):
        model.complete(other, erased)
    assert model.complete(other, erased, size=SIZE).size == SIZE[::-1]
