"""Whether completed pictures were made with other masks."""

from __future__ import annotations

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
