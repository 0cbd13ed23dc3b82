"""Partial convolution: known pixels alone count."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.nn.partial import PartialConv2d, freeze_batch_norm


def convolution(bias: bool, stride: int = 1) -> PartialConv2d:
    torch.manual_seed(0)
    return PartialConv2d(4, 6, 3, stride, bias=bias).double()


def case() -> tuple[torch.Tensor, torch.Tensor]:
    """Features and masks that differ between channels, as where a decoder joins two masks."""
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(2, 4, 12, 12, generator=generator) > 0.7).double()
    mask[:, :, 4:9, 4:9] = 0
    return torch.randn(2, 4, 12, 12, generator=generator, dtype=torch.float64), mask


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_the_definition_window_by_window(bias: bool, stride: int) -> None:
    layer, (x, mask) = convolution(bias, stride), case()
    y, updated = layer(x, mask)
    padded, known = F.pad(x * mask, (1, 1, 1, 1)), F.pad(mask, (1, 1, 1, 1))
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            window = (..., slice(row * stride, row * stride + 3), slice(column * stride, column * stride + 3))
            count = known[window].sum((1, 2, 3))
            expected = torch.einsum("oihw,nihw->no", layer.weight, padded[window]) * (36 / count.clamp_min(1))[:, None]
            if bias:
                expected = expected + layer.bias
            expected = expected * (count > 0)[:, None]
            torch.testing.assert_close(y[:, :, row, column], expected)
            assert torch.equal(updated[:, :, row, column], (count > 0).double()[:, None].expand(-1, 6))
    assert 0 < updated.mean() < 1


def test_values_of_unknown_pixels_do_not_matter() -> None:
    layer, (x, mask) = convolution(True), case()
    assert torch.equal(layer(x, mask)[0], layer(torch.where(mask > 0, x, torch.full_like(x, 9.0)), mask)[0])


def test_a_mask_of_one_channel_stands_for_all() -> None:
    layer, (x, mask) = convolution(False), case()
    y, updated = layer(x, mask[:, :1])
    expected, channels = layer(x, mask[:, :1].expand(-1, 4, -1, -1))
    torch.testing.assert_close(y, expected)
    assert updated.shape[1] == 1 and torch.equal(updated.expand_as(channels), channels)


def test_fully_known_inside_equals_a_convolution() -> None:
    layer, (x, mask) = convolution(True), case()
    y, updated = layer(x, torch.ones_like(mask))
    plain = F.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(y[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    assert not torch.allclose(y[..., 0, :], plain[..., 0, :])  # zero padding is unknown: the border is rescaled
    assert updated.min() == 1


def test_frozen_batch_norms_keep_their_statistics() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()).train()
    freeze_batch_norm(network)
    before = network[1].running_mean.clone()
    network(torch.randn(2, 3, 4, 4) + 5)
    assert torch.equal(network[1].running_mean, before)
    assert network.training and network[2].training and network[1].weight.requires_grad
