"""Pictures and masks in every form that a caller may have: all say the same pixels, or are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.errors import BenchError
from bench.given import hole, picture

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 32, 3), dtype=np.uint8)
HOLE = np.zeros((40, 32), bool)
HOLE[4:20, 8:16] = True
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)


@pytest.mark.parametrize(
    "given",
    [PIXELS, Image.fromarray(PIXELS), TENSOR, TENSOR[None], TENSOR / 127.5 - 1],
    ids=["array", "image", "tensor", "batch", "floats"],
)
def test_pictures_have_one_meaning(given: Any) -> None:
    assert np.array_equal(np.asarray(picture(given, "image")), PIXELS)


def test_files_and_images_are_read_by_the_one_reader(tmp_path: Path) -> None:
    """EXIF turns an image in memory as it turns its file."""
    path = tmp_path / "turned.png"
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    assert picture(str(path), "image").size == (40, 32)
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(picture(opened, "image")), np.asarray(picture(path, "image")))
    clear = Image.fromarray(np.dstack([PIXELS, np.where(HOLE, 0, 255).astype(np.uint8)]))
    assert (np.asarray(picture(clear, "image"))[HOLE] == 255).all()


def test_other_ranges_are_said() -> None:
    floats = TENSOR / 255
    with pytest.raises(BenchError, match=r"image: hardly any float is below 0.*value_range=\(0, 1\)"):
        picture(floats, "image")
    assert np.array_equal(np.asarray(picture(floats, "image", (0, 1))), PIXELS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PIXELS / 255, r"image: an array of float64 \(40, 32, 3\) is no picture: give uint8 \(height, width, 3\)"),
        (PIXELS[..., 0], r"uint8 \(40, 32\) is no picture"),
        (TENSOR[0], r"a tensor of \(40, 32\) is no picture: give \(3, height, width\)"),
        (torch.stack([TENSOR, TENSOR]), "one at a time"),
        (Image.new("F", (8, 8)), r"image: a picture of the mode F: give image.convert\('RGB'\)"),
        (Image.new("RGBA", (8, 8)), "image is transparent as a whole"),
        (3, "image: int is no picture"),
        ("nowhere.png", "cannot read nowhere.png"),
    ],
    ids=["floats", "grey", "grey tensor", "several", "mode", "transparent", "number", "absent"],
)
def test_what_is_no_picture_is_refused(given: Any, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        picture(given, "image")


@pytest.mark.parametrize(
    "given",
    [
        HOLE,
        HOLE.astype(np.uint8),
        HOLE * np.uint8(255),
        HOLE[None].astype(float),
        torch.from_numpy(HOLE),
        torch.from_numpy(HOLE)[None, None].float(),
        Image.fromarray(HOLE * np.uint8(255)),
        Image.fromarray(HOLE),
    ],
)
def test_masks_have_one_meaning(given: Any) -> None:
    assert np.array_equal(hole(given, "mask"), HOLE)
    assert np.array_equal(hole(given, "mask", inverted=True), ~HOLE)


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    grey = np.where(HOLE, 200, 30).astype(np.uint8)
    with pytest.raises(BenchError, match="mask is no mask: it holds 2 values"):
        hole(grey, "mask")
    assert np.array_equal(hole(grey, "mask", threshold=127), HOLE)
    for given in (PIXELS, TENSOR, np.zeros(5)):
        with pytest.raises(BenchError, match=r"mask: an array of \(.* is no mask: give \(height, width\)"):
            hole(given, "mask")
    with pytest.raises(BenchError, match="mask has no hole"):
        hole(np.zeros((8, 8), np.uint8), "mask")
    with pytest.raises(BenchError, match="mask is all hole"):
        hole(np.ones((8, 8), np.uint8), "mask")
    Image.fromarray(PIXELS).save(tmp_path / "face.png")
    with pytest.raises(BenchError, match=r"face.png is no mask: it has colours"):
        hole(tmp_path / "face.png", "mask")
