"""Masks that train must not test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import suite
from bench.errors import BenchError
from masks import MaskSet
from masks.overlap import shared
from tests.hostile import SUITE


def folder(path: Path, widths: list[int], suffix: str = "png") -> Path:
    path.mkdir()
    for width in widths:
        mask = np.zeros((40, 40), np.uint8)
        mask[:, :width] = 255
        Image.fromarray(mask).save(path / f"{width}.{suffix}")
    return path


def test_the_same_masks_are_found_whatever_their_names_and_formats(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", [4, 10, 20])
    other = folder(tmp_path / "other", [11, 20, 30], "bmp")
    assert shared(f"folder:{one}", f"folder:{other}", 40) == [(one / "20.png", other / "20.bmp")]
    assert shared(f"folder:{one}/0-30", f"folder:{other}", 40) == []
    assert shared(f"folder:{one}/0-30", f"folder:{one}/30-60", 40) == []
    assert len(shared(f"folder:{one}", f"folder:{one}", 40)) == 3


def test_frozen_sets_hold_the_masks_of_their_files(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", [4, 10])
    MaskSet.make(f"folder:{one}", 40, 2, 0).save(tmp_path / "set.npz")
    tested = f"frozen:{tmp_path}/set.npz"
    assert shared(f"folder:{one}", tested, 40) == [(one / name, tmp_path / "set.npz") for name in ("10.png", "4.png")]
    assert shared(f"folder:{folder(tmp_path / 'other', [11])}", tested, 40) == []
    row = {"method": "aot", "options": {"masks": f"folder:{one}"}}
    with pytest.raises(BenchError, match=r"aot would train with masks that test it: 2 of .*one stand in .*set\.npz"):
        suite.parse(SUITE | {"size": 40, "methods": ["mean", row], "conditions": [f"{tested}+sketch"]}, "x.yaml")


def test_a_suite_that_trains_with_its_test_masks_is_refused(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", [4, 10]), folder(tmp_path / "other", [10, 20])

    def content(trained: str, tested: str) -> dict:
        row = {"method": "aot", "options": {"masks": trained}}
        return SUITE | {"methods": ["mean", row], "conditions": ["center/25", tested]}

    with pytest.raises(
        BenchError, match=r"aot would train with masks that test it: 1 of .*one stand in .*other.*10\.png"
    ):
        suite.parse(content(f"folder:{one}", f"folder:{other}"), "x.yaml")
    assert suite.parse(content(f"folder:{one}/0-20", f"folder:{other}"), "x.yaml")
    assert suite.parse(content("irregular", f"folder:{other}"), "x.yaml")
