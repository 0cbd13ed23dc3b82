"""Seams against cases worked out by hand, and against scikit-image."""

from __future__ import annotations

import math

import pytest
import torch
from skimage.color import rgb2gray
from skimage.filters import sobel

from bench.metrics import measure, seam

from .conftest import pictures


def flat(*columns: int) -> torch.Tensor:
    """A picture of four rows and these grey columns: uint8 (1, 3, 4, columns)."""
    return torch.tensor(columns, dtype=torch.uint8).expand(1, 3, 4, len(columns)).contiguous()


HOLE = torch.tensor([0, 0, 1, 1, 1, 0]).bool().expand(1, 1, 4, 6)  # an edge on its left, another on its right


@pytest.mark.parametrize(
    ("completed", "truth", "expected"),
    [
        ((0, 0, 51, 51, 51, 0), (0,) * 6, 0.2),  # both edges show a step of 51 levels
        ((0, 0, 51, 51, 0, 0), (0,) * 6, 0.1),  # one of two edges
        ((0, 0, 51, 102, 51, 0), (0, 0, 51, 51, 51, 0), 0.0),  # steps of the original's own height
        ((0,) * 6, (0, 0, 51, 51, 51, 0), -0.2),  # smoother than the photograph
        ((0, 0, 0, 255, 0, 0), (0,) * 6, 0.0),  # a fault that does not touch the edge
    ],
)
def test_the_step_is_what_two_neighbours_differ_by(completed, truth, expected):
    assert seam.step(flat(*completed), flat(*truth), HOLE).tolist() == pytest.approx([expected], abs=1e-12)


def test_a_step_counts_all_colours_and_both_directions():
    truth = torch.zeros(1, 3, 6, 6, dtype=torch.uint8)
    completed, hole = truth.clone(), torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    hole[..., 2:4, 1:5] = True  # a rectangle of 2 x 4 pixels has 12 pairs across its edge
    completed[:, 0, 2, 1:5] = 255  # its upper row is red: 4 pairs above it, 1 on either side
    assert seam.step(completed, truth, hole).item() == pytest.approx(6 / 12 * math.sqrt(1 / 3))
    turned = [images.transpose(2, 3) for images in (completed, truth, hole)]
    assert seam.step(*turned).item() == pytest.approx(seam.step(completed, truth, hole).item())


def test_the_band_is_one_pixel_on_either_side():
    # Sobel of a vertical step of 51 levels: 0.2 on the two columns beside it, over the root of 2
    step = 0.2 / math.sqrt(2)
    band = [step, step, 0.0, 0.0]  # the left edge's two columns show it, the right edge's do not
    found = seam.sobel(flat(0, 0, 51, 51, 51, 51), flat(0, 0, 0, 0, 0, 0), HOLE)
    assert found.item() == pytest.approx(sum(band) / 4)
    assert seam.sobel(flat(0, 0, 51, 51, 51, 51), flat(51, 51, 0, 0, 0, 0), HOLE).item() == pytest.approx(0)


def test_sobel_equals_scikit_image():
    completed, _, _ = pictures(2, 48)
    expected = torch.tensor([sobel(rgb2gray(image)).tolist() for image in completed.permute(0, 2, 3, 1).numpy()])
    assert (seam.magnitude(completed)[:, 0] - expected).abs().max() < 1e-7


def test_the_original_has_no_seam_and_what_has_no_edge_no_value():
    completed, truth, masks = pictures(3, 64)
    masks = masks.bool()
    for function in (seam.step, seam.sobel):
        assert function(truth, truth, masks).tolist() == [0, 0, 0]
        assert (function(completed, truth, masks) > 0).all()  # noise in the hole
        assert function(completed, truth, torch.ones_like(masks)).isnan().all()
    assert measure(completed, truth, masks, ["seam", "seam@sobel"]).value("seam") > 0
