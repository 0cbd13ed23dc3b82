"""The authors' masks, bit for bit, against check values made with the authors' code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import masks
from masks.generators import gconv
from masks.shapes import Box, Sketch
from masks.streams import AuthorStream, sine_cosine

GOLDEN = Path(__file__).parents[1] / "golden"

NAMES = {
    "masks": {
        "comod_0_1": "comodgan",
        "comod_0_02": "comodgan/0-20",
        "comod_06_08": "comodgan/60-80",
        "brush": "comodgan-brush",
        "stroke_rect": "exegan",
        "stroke": "exegan-strokes",
    },
    "masks-gconv": {
        "release_brush": "gconv-brush",
        "mm_brush": "mmediting-brush",
        "mm_irregular": "mmediting-irregular",
        "mm_bbox": "mmediting-box",
    },
    "masks-lama": {
        "train_celeba": "lama-train",
        "small_train": "lama-train-small",
        "thin_256": "lama-thin-256",
        "medium_256": "lama-medium-256",
        "thick_256": "lama-thick-256",
        "irregular": "irregular-strokes",
        "rectangle": "rectangles",
    },
}
CASES = [(file, key, name) for file, keys in NAMES.items() for key, name in keys.items()]


def check(file: str, key: str, drawn: np.ndarray) -> None:
    """Compare masks (n, 256, 256) with every 8th pixel and the exact hole share of the check value."""
    with np.load(GOLDEN / f"{file}.npz") as golden:
        expected = golden[f"out_{key}"]
        mean = json.loads(str(golden["meta"]))["stats"][key][0]
    np.testing.assert_array_equal(drawn[:, None, ::8, ::8], expected)
    assert drawn.mean() == mean


@pytest.mark.parametrize(("file", "key", "name"), CASES)
def test_check_values(file: str, key: str, name: str) -> None:
    n = 4 if file == "masks-lama" else 1
    check(file, key, masks.published(name, 1, 256, n))


def test_second_mask_of_one_stream() -> None:
    drawn = masks.published("gconv-brush", 1, 256, 2)
    check("masks-gconv", "release_brush_second_draw", drawn[1:])


def test_box_of_the_release() -> None:
    box = gconv.shrunk(AuthorStream(1), Box(37, 51, 37 + 128, 51 + 128), 32)
    check("masks-gconv", "release_box", Sketch(boxes=([box],)).render(256, 256)[None])


@pytest.mark.parametrize(
    ("name", "size", "holes"),
    [
        ("mat-256", 256, [23530, 2511, 13383, 20314, 25534, 32123]),
        ("mat-256-small", 256, [23530, 2511, 1596, 7204, 12295, 1440]),
        ("mat-512", 512, [212472, 118219, 58901, 47426, 133863, 202205]),
        ("mat-512-small", 512, [52990, 22366, 34326, 79908, 6766, 64152]),
        ("fcf", 256, [45387, 44754, 30184, 43305, 40111, 27769]),
    ],
)
def test_hole_pixels_of_six_masks(name: str, size: int, holes: list[int]) -> None:
    assert masks.published(name, 1, size, 6).sum(axis=(1, 2)).tolist() == holes


def test_stream_goes_on_and_leaves_the_global_one_alone() -> None:
    state = np.random.RandomState(1)
    np.random.seed(3)
    one_by_one = np.concatenate([masks.published("lama-thick-256", state) for _ in range(3)])
    np.testing.assert_array_equal(one_by_one, masks.published("lama-thick-256", 1, n=3))
    assert np.random.rand() == np.random.RandomState(3).rand()


@pytest.mark.parametrize("name", masks.PUBLISHED)
def test_every_published_generator_draws_binary_masks(name: str) -> None:
    drawn = masks.published(name, 7, 256, 2)
    assert drawn.shape == (2, 256, 256) and drawn.dtype == np.uint8 and set(np.unique(drawn)) == {0, 1}


def test_unknown_name() -> None:
    with pytest.raises(masks.MaskError, match="no published generator 'lama'"):
        masks.published("lama", 1)


def test_sine_and_cosine_are_those_of_the_math_library() -> None:
    angles = np.arange(0, 361) / 360 * 2 * np.pi
    exact = np.array([sine_cosine(float(angle)) for angle in angles])
    np.testing.assert_allclose(exact, np.stack([np.sin(angles), np.cos(angles)], 1), rtol=3e-16, atol=0)
    # where a step can end exactly on a whole pixel, the bits must be equal
    whole = np.flatnonzero(np.arange(361) % 30 == 0)
    np.testing.assert_array_equal(exact[whole], np.stack([np.sin(angles), np.cos(angles)], 1)[whole])
