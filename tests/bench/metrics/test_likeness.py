"""Whether completed pictures were made with other masks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench.errors import BenchError
from bench.metrics.likeness import Likeness

SIDE = 64


def pictures(n: int = 6) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 3, SIDE, SIDE), dtype=np.uint8))


def box(left: int, right: int, n: int = 6) -> Tensor:
    mask = torch.zeros(n, 1, SIDE, SIDE)
    mask[..., 16:48, left:right] = 1
    return mask


def filled(truth: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask > 0, torch.tensor(100, dtype=torch.uint8), truth)


def looked(completed: Tensor, truth: Tensor, mask: Tensor) -> Likeness:
    likeness = Likeness()
    likeness.add(completed, truth, mask, [str(i) for i in range(len(truth))])
    return likeness


def test_results_of_other_masks_are_named_with_their_share() -> None:
    truth = pictures()
    assert not looked(filled(truth, box(16, 48)), truth, box(16, 48)).note
    seen = looked(filled(truth, box(0, 32)), truth, box(16, 48))
    assert seen.copies == pytest.approx({str(i): 0.5 for i in range(6)}, abs=0.01)
    assert "6 of 6 images (0, 1, 2, ...) hold the original under the hole: 50% of its pixels" in seen.note
    assert seen.shares == [0.25] * 6
    assert len(looked(truth, truth, box(16, 48)).copies) == 6
    seen.check("masks", False, "-")


def test_flat_places_are_naturally_equal() -> None:
    truth = torch.full((2, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    truth[..., :20] = pictures(2)[..., :20]  # a white background; the hole reaches a little beyond
    assert not looked(filled(truth, box(0, 18, 2)), truth, box(18, 60, 2)).note
    truth = pictures(2)
    truth[..., 15:49, 15:49] = 255  # a white wall, which anybody can fill; all else came out otherwise
    looked(torch.where(truth < 255, 255 - truth, truth), truth, box(16, 48, 2)).check("masks", False, "-")


@pytest.mark.parametrize("lower", [0, 1], ids=["exact", "one level lower"])
def test_inverted_masks_are_refused(lower: int) -> None:
    truth = pictures().clamp(min=1)
    done = filled(truth, box(16, 48))
    seen = looked(done - lower, truth, 1 - box(16, 48))
    with pytest.raises(BenchError, match=r"M: inside the holes 6 of 6 .* black seems to be the hole: turn them"):
        seen.check("M", False, "turn them")
    with pytest.raises(BenchError, match="white seems to be the hole: turn them"):
        seen.check("M", True, "turn them")


def test_fills_of_real_faces_are_no_copies(shared: Path) -> None:
    """Telea's and Navier-Stokes' fills of photographs, some of which have wide flat backgrounds."""
    files = sorted((shared / "data/faces").glob("*.png"))
    masks = sorted((shared / "data/masks").glob("*.png"))
    for flag in (cv2.INPAINT_TELEA, cv2.INPAINT_NS):
        seen = Likeness()
        for i, file in enumerate(files):
            image = np.array(Image.open(file).convert("RGB"))
            hole = np.array(Image.open(masks[i % len(masks)]).convert("L")) > 127
            done = cv2.inpaint(image, hole.astype(np.uint8), 3, flag)
            parts = [torch.from_numpy(part.transpose(2, 0, 1).copy())[None] for part in (done, image)]
            seen.add(*parts, torch.from_numpy(hole)[None, None], [file.name])
        assert seen.n == len(files) and not seen.copies
        seen.check("masks", False, "-")


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def noise(image: np.ndarray) -> np.ndarray:
    return np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def resized(image: np.ndarray) -> np.ndarray:
    return cv2.resize(cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA), (128, 128))


@pytest.mark.parametrize(
    "kept",
    [lambda x: x, lambda x: jpeg(x, 95), lambda x: jpeg(x, 75), noise, resized],
    ids=["png", "jpeg 95", "jpeg 75", "raw", "resized"],
)
def test_inverted_and_other_masks_are_told_however_results_were_kept(
    kept: Callable[[np.ndarray], np.ndarray], shared: Path
) -> None:
    hole, other = np.zeros((2, 128, 128), np.uint8)
    hole[32:96, 24:88], other[32:96, 64:128] = 1, 1
    truth, done = [], []
    for file in sorted((shared / "data/faces").glob("*.png"))[::4]:
        image = np.array(Image.open(file).convert("RGB").resize((128, 128)))
        truth.append(image)
        done.append(kept(cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)))

    def seen(done: list[np.ndarray], mask: np.ndarray) -> Likeness:
        parts = [torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2) for part in (done, truth)]
        return looked(*parts, torch.from_numpy(mask).expand(len(truth), 1, 128, 128))

    right, turned, shifted = seen(done, hole), seen(done, 1 - hole), seen(done, other)
    assert not right.copies and not right.inverted
    assert turned.inverted == turned.n == len(turned.copies)
    assert len(shifted.copies) > 0.7 * shifted.n and not shifted.inverted
    originals = seen([kept(image) for image in truth], hole)  # accepted, and told
    assert len(originals.copies) == originals.n and not originals.inverted
