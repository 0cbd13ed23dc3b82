"""Deformable alignment: where the convolution reads, and precision."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bench.nn.alignment import Alignment, DeformableConv2d, NonLocal


def test_without_offsets_it_is_a_convolution() -> None:
    torch.manual_seed(0)
    layer, x = DeformableConv2d(4, 6).double(), torch.randn(2, 4, 7, 9, dtype=torch.float64)
    offsets = torch.zeros(2, 18, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(layer(x, offsets), F.conv2d(x, layer.weight, padding=1))


def test_offsets_are_rows_then_columns_of_each_tap() -> None:
    """A shift of all taps by (1, -2) reads the picture that is shifted so; zeros lie around it."""
    torch.manual_seed(0)
    layer, x = DeformableConv2d(2, 3).double(), torch.randn(1, 2, 8, 8, dtype=torch.float64)
    offsets = torch.tensor([1.0, -2.0], dtype=torch.float64).repeat(9).view(1, 18, 1, 1).expand(1, 18, 8, 8)
    moved = F.pad(x, (2, 0, 0, 1))[:, :, 1:, :8]
    inside = (..., slice(1, 6), slice(3, 7))  # windows of which all lies in both
    expected = F.conv2d(moved, layer.weight, padding=1)
    torch.testing.assert_close(layer(x, offsets)[inside], expected[inside])


def test_each_tap_has_its_own_offset() -> None:
    torch.manual_seed(0)
    layer, x = DeformableConv2d(1, 1).double(), torch.randn(1, 1, 8, 8, dtype=torch.float64)
    offsets = torch.zeros(1, 18, 8, 8, dtype=torch.float64)
    offsets[:, 2 * 5] = 2  # of the right neighbour, tap 5 of 9: two rows down
    other = layer.weight.detach().clone()
    other[..., 1, 2] = 0
    kernel = torch.zeros(1, 1, 7, 3, dtype=torch.float64)
    kernel[..., 5, 2] = layer.weight[0, 0, 1, 2]
    expected = F.conv2d(x, other, padding=1) + F.conv2d(x, kernel, padding=(3, 1))
    torch.testing.assert_close(layer(x, offsets), expected)


def test_half_precision_is_taken_and_given() -> None:
    torch.manual_seed(0)
    alignment, x = Alignment(8, 8, 8), torch.randn(1, 8, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        aligned = alignment(x, x.bfloat16())
    assert aligned.dtype == torch.bfloat16
    aligned.float().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in alignment.parameters())


def test_attention_is_that_of_the_fact_sheet() -> None:
    """Softmax over the pooled places, without a scale."""
    torch.manual_seed(0)
    block, x = NonLocal(8).double().eval(), torch.randn(1, 8, 4, 6, dtype=torch.float64)
    query, keys, values = (layer(x).flatten(2)[0] for layer in (block.theta, block.phi, block.g))
    found = torch.stack([values @ (keys.T @ query[:, place]).softmax(0) for place in range(24)], dim=1)
    torch.testing.assert_close(block(x), block.W(found.view(1, 4, 4, 6)) + x)


@pytest.mark.parametrize("halvings", [1, 3])
def test_sizes_are_kept(halvings: int) -> None:
    x = torch.randn(1, 4, 32, 16)
    assert Alignment(4, 6, 8, halvings)(x, x).shape == x.shape
