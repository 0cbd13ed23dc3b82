"""pix2pixHD's network of pictures to pictures: its blocks, its layers, where its norms stand."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.nn.translator import Conv, NormedBlock, ResidualBlock, translator


def test_a_style_shifts_and_scales_both_norms_of_a_block() -> None:
    torch.manual_seed(0)
    block, x, style = ResidualBlock(4), torch.randn(2, 4, 6, 6), torch.randn(2, 2, 2, 4)
    (shift1, scale1), (shift2, scale2) = ([one[..., None, None] for one in pair.unbind(1)] for pair in style.unbind(1))
    first, second = block.conv_block
    with torch.no_grad():
        inner = F.relu(F.instance_norm(first(x)) * scale1 + shift1)
        torch.testing.assert_close(block(x, style), x + F.instance_norm(second(inner)) * scale2 + shift2)
        plain = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1).expand(2, 2, 2, 4)
        torch.testing.assert_close(block(x, plain), block(x))


def test_a_block_has_norms_of_its_own_or_none() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6)
    normed, plain = NormedBlock(4, partial(nn.InstanceNorm2d, affine=True)), ResidualBlock(4)
    names = {name: value for name, value in normed.state_dict().items() if ".norm." not in name}
    assert len(normed.state_dict()) - len(names) == 4
    plain.load_state_dict(names)
    with torch.no_grad():
        torch.testing.assert_close(normed(x), plain(x), msg="scales are 1, shifts are 0")
        normed.conv_block[1].norm.bias.fill_(2)
        torch.testing.assert_close(normed(x), plain(x) + 2)
        free = NormedBlock(4, nn.Identity)
        first, second = free.conv_block
        torch.testing.assert_close(free(x), x + second.conv(first.conv(x).relu()))


def test_a_convolution_reflects_borders_and_activates_as_asked() -> None:
    torch.manual_seed(0)
    layer, x = Conv(1, 2, 4, 2, activate=False), torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        expected = F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), layer.conv.weight, layer.conv.bias, 2)
        torch.testing.assert_close(layer(x), expected)
        layer.activate = True
        torch.testing.assert_close(layer(x), expected.relu())


@pytest.mark.parametrize("size", [(32, 32), (16, 40)])
def test_pictures_keep_their_size(size: tuple[int, int]) -> None:
    network = translator(2, 4, 3, [ResidualBlock(32)], nn.Tanh(), after=nn.Identity)
    assert network(torch.randn(1, 2, *size)).shape == (1, 3, *size)
    norms = [
        isinstance(layer, nn.InstanceNorm2d) for layer in network if isinstance(layer, nn.InstanceNorm2d | nn.Identity)
    ]
    assert norms == [True] * 4 + [False] * 3
    assert network(torch.randn(1, 2, *size)).abs().max() <= 1
