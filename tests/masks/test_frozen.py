"""Frozen sets as conditions: which mask belongs to which image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import masks
from masks import MaskError, MaskSet

NAMES = ["test/b.png", "test/a.png", "test/c.png"]


def frozen(path: Path, names: Sequence[str] | None = NAMES, size: int = 32, seed: int = 0) -> str:
    """A set of three masks; the name of the condition of its file."""
    MaskSet.make("irregular/20-30", size, 3, seed, images=names).save(path / "set.npz")
    return f"frozen:{path}/set.npz"


def order(condition: str, images: Sequence[str], size: int = 32) -> list[int]:
    """Which masks of the file these images get."""
    made = MaskSet.make(condition, size, len(images), 5, images=images)
    given = [mask.tobytes() for mask in MaskSet.load(condition.removeprefix("frozen:"))]
    assert not made.redrawn() and made.manifest["images"] == list(images)
    return [given.index(mask.tobytes()) for mask in made]


def test_a_set_is_drawn_as_it_is(tmp_path: Path) -> None:
    name = frozen(tmp_path)
    loaded = MaskSet.load(tmp_path / "set.npz")
    for i in range(3):
        np.testing.assert_array_equal(masks.draw(name, 32, 9, i), loaded[i])
    assert MaskSet.make(name, 32, 3, 9).fingerprint == loaded.fingerprint
    assert order(name, NAMES) == [0, 1, 2]
    with pytest.raises(MaskError, match="it holds 3 masks, so there is no mask 3"):
        MaskSet.make(name, 32, 4, 0)


@pytest.mark.parametrize(
    "images",
    [
        ["test/a.png", "test/c.png", "test/b.png"],
        ["test/a.jpg", "test/c.WEBP", "test/b"],
        ["a.png", "elsewhere/c.png", "b.png"],
    ],
    ids=["order", "suffixes", "folders"],
)
def test_masks_are_matched_by_the_names_of_their_images(tmp_path: Path, images: list[str]) -> None:
    name = frozen(tmp_path)
    assert order(name, images) == [1, 2, 0]
    assert order(name, images[:2]) == [1, 2]


def test_a_dot_in_a_name_is_no_suffix(tmp_path: Path) -> None:
    """Whether names are given with their suffixes, or without."""
    name = frozen(tmp_path, ["1.0.png", "1.5.png", "."])
    assert order(name, ["1.5.jpg", "1.0.png"]) == order(name, ["1.5", "1.0"]) == [1, 0]
    assert order(name, ["."]) == [2]
    with pytest.raises(MaskError, match=r"has no mask of 1 of 1 images \(first: \)"):
        MaskSet.make(name, 32, 1, 0, images=[""])


def test_a_name_in_two_folders_is_two_images(tmp_path: Path) -> None:
    name = frozen(tmp_path, ["one/a.png", "two/a.png", "two/b.png"])
    assert order(name, ["two/a.png", "one/a.png"]) == [1, 0]
    with pytest.raises(MaskError, match=r"has no mask of 1 of 2 images \(first: a\.png\)"):
        MaskSet.make(name, 32, 2, 0, images=["a.png", "two/b.png"])
    name = frozen(tmp_path, NAMES)
    with pytest.raises(MaskError, match=r"\(first: one/a\.png\)"):
        MaskSet.make(name, 32, 2, 0, images=["one/a.png", "two/a.png"])


def test_flat_names_are_those_of_exported_pictures(tmp_path: Path) -> None:
    name = frozen(tmp_path, ["a/1.png", "b/1.png", "c.png"])
    assert order(name, ["c", "b__1", "a__1.png"]) == [2, 1, 0]


def test_sets_of_other_images_are_refused(tmp_path: Path) -> None:
    name = frozen(tmp_path)
    other = r"set\.npz has no mask of 2 of 3 images \(first: d\.png\), it belongs to test/b\.png and others: give those"
    with pytest.raises(MaskError, match=other):
        MaskSet.make(name, 32, 3, 0, images=["a.png", "d.png", "e.png"])
    name = frozen(tmp_path, None)
    assert order(name, ["x.png", "y.png", "z.png"]) == [0, 1, 2]
    with pytest.raises(MaskError, match=r"set\.npz holds 3 masks without names .* 2 images: take a set of 2 masks"):
        MaskSet.make(name, 32, 2, 0, images=NAMES[:2])


def test_frozen_masks_are_not_resized(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"set\.npz.* have 32 x 32 pixels, .* not resized: run at --size 32"):
        MaskSet.make(frozen(tmp_path), 64, 3, 0)


def test_another_set_in_the_same_file_is_seen(tmp_path: Path) -> None:
    name = frozen(tmp_path)
    before = MaskSet.make(name, 32, 3, 0)
    frozen(tmp_path, seed=1)
    os.utime(tmp_path / "set.npz", (1, 1))
    after = MaskSet.make(name, 32, 3, 0)
    assert after.fingerprint != before.fingerprint
    assert (before.redrawn(), after.redrawn()) == ([0, 1, 2], [])


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive"])
def test_files_that_are_no_sets_are_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(MaskError, match=r"set\.npz"):
        MaskSet.make(f"frozen:{tmp_path}/set.npz", 32, 3, 0, images=NAMES)


def test_a_set_without_a_hole_is_refused(tmp_path: Path) -> None:
    made = MaskSet.make("whole", 32, 2, 0)
    empty = MaskSet(made._bits * 0, made.manifest)
    facts = {"ratios": [0.0, 0.0], "sha256": masks.file.digest(empty._bits, 32, 32)}
    MaskSet(empty._bits, made.manifest | facts).save(tmp_path / "empty.npz")
    made.save(tmp_path / "whole.npz")
    assert MaskSet.make(f"frozen:{tmp_path}/whole.npz", 32, 2, 0).fingerprint == made.fingerprint
    with pytest.raises(MaskError, match=r"empty\.npz.*mask 0 has no hole"):
        MaskSet.make(f"frozen:{tmp_path}/empty.npz", 32, 2, 0)
