"""StyleMapGAN's networks: a StyleGAN2 whose styles are maps, and an encoder of pictures into such a map.

Names inside are those of the released files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.gfpgan.networks import BiasedConv
from bench.nn.stylegan2 import Width
from bench.nn.stylegan2_blocks import (
    GAIN,
    Activation,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    ResBlock,
    UnitMoment,
    full_precision,
    low_pass,
)


def enlarged(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    """Transposed convolution of stride 2, then the low-pass filter."""
    return low_pass(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding, gain=4.0)


class Enlarging(EqualConv2d):
    """The same with equalised weights; `padding` of the filter, so that the sides double."""

    def forward(self, x: Tensor) -> Tensor:
        return enlarged(x, self.weight * self.scale, self.padding)


class ModulatedByMap(nn.Module):
    """Layer norm, scale and shift of every pixel by a map of its resolution (Eq. 1), convolution; `up`: twice the size.

    No demodulation and no noise.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, style: int, up: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.gamma, self.beta = BiasedConv(style, inputs, 3, 1.0), BiasedConv(style, inputs, 3)
        self.scale, self.up = 1 / math.sqrt(inputs * kernel**2), up

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = F.layer_norm(x, x.shape[1:]) * self.gamma(style) + self.beta(style)
        weight = self.weight[0] * self.scale
        return enlarged(x, weight, 1) if self.up else F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class StyledConv(nn.Module):
    """Such a convolution, and activation."""

    def __init__(self, inputs: int, outputs: int, style: int, kernel: int = 3, up: bool = False):
        super().__init__()
        self.conv, self.activate = ModulatedByMap(inputs, outputs, kernel, style, up), Activation(outputs)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps (N, C, H, W), styles (N, S, H, W)."""
        return self.activate(self.conv(x, style))


class StyledBlock(nn.Module):
    """Residual block of two styled convolutions, the first of which doubles the size."""

    def __init__(self, inputs: int, outputs: int, styles: tuple[int, int]):
        super().__init__()
        self.conv1 = StyledConv(inputs, outputs, styles[0], up=True)
        self.conv2 = StyledConv(outputs, outputs, styles[1])
        self.skip = nn.Sequential(Enlarging(inputs, outputs, 1, padding=2))

    def forward(self, x: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Maps, and the styles before their size doubles and after it."""
        return (self.conv2(self.conv1(x, before), after) + self.skip(x)) / GAIN


class Decoder(nn.Module):
    """A stylemap to a picture of `size` (Fig. 3).

    `side`, `channels`: of stylemaps; `light`: the maps that are made of them keep its channels.
    """

    def __init__(self, size: int, width: Width, side: int = 8, channels: int = 64, light: bool = False):
        super().__init__()
        self.size, self.side = size, side
        sides = [side * 2**i for i in range((size // side).bit_length())]
        widths = [width(one) for one in sides]
        styles = [channels if light else one for one in widths]
        self.input = nn.ParameterDict({"input": torch.randn(1, widths[0], side, side)})
        self.convs_latent = nn.ModuleList([ConvLayer(channels, styles[0], 3), ConvLayer(styles[0], styles[0], 3)])
        for before, here in pairwise(styles):
            up = nn.Sequential(Enlarging(before, here, 3, padding=1), nn.Identity(), Activation(here))
            self.convs_latent.extend([up, ConvLayer(here, here, 3)])
        self.conv1 = StyledConv(widths[0], widths[0], styles[0])
        self.convs = nn.ModuleList(
            StyledBlock(*channels_, styles_)
            for channels_, styles_ in zip(pairwise(widths), pairwise(styles), strict=True)
        )
        self.to_rgb = StyledConv(widths[-1], 3, styles[-1], kernel=1)

    def styles(self, stylemap: Tensor) -> list[Tensor]:
        """The styles of all layers, two of each resolution, of stylemaps (N, channels, side, side): W+."""
        found = []
        for layer in self.convs_latent:
            stylemap = layer(stylemap)
            found.append(stylemap)
        return found

    def draw(self, styles: Sequence[Tensor]) -> Tensor:
        """Pictures (N, 3, size, size), linear but for the last activation, of such styles."""
        first, *others = styles
        x = self.conv1(self.input["input"].repeat(len(first), 1, 1, 1), first)
        for number, block in enumerate(self.convs):
            x = block(x, *others[2 * number : 2 * number + 2])
        return self.to_rgb(x, others[-1])

    def forward(self, stylemap: Tensor) -> Tensor:
        return self.draw(self.styles(stylemap))


class StyleMapping(nn.Sequential):
    """Latent codes z (N, D) to stylemaps (N, channels, side, side), at a hundredth of the learning rate."""

    def __init__(self, dim: int = 64, depth: int = 8, channels: int = 64, side: int = 8):
        widths = [*[dim] * depth, channels * side**2]
        layers = (EqualLinear(before, here, rate=0.01, activate=True) for before, here in pairwise(widths))
        super().__init__(UnitMoment(), *layers)
        self.shape = (channels, side, side)

    def forward(self, z: Tensor) -> Tensor:
        with full_precision(z):
            return super().forward(z).unflatten(1, self.shape)


class Generator(nn.Module):
    """Mapping network and decoder."""

    def __init__(self, mapping: StyleMapping, decoder: Decoder):
        super().__init__()
        self.mapping_z, self.decoder = mapping, decoder

    def forward(self, z: Tensor) -> Tensor:
        """Pictures of latent codes (N, D)."""
        return self.decoder(self.mapping_z(z))


class Encoder(nn.Module):
    """Pictures (N, 3, size, size) to stylemaps (N, channels, side, side)."""

    def __init__(self, size: int, width: Width, side: int = 8, channels: int = 64):
        super().__init__()
        widths = [width(side * 2**i) for i in reversed(range((size // side).bit_length()))]
        self.from_rgb = ConvLayer(3, widths[0], 1)
        self.convs = nn.Sequential(*(ResBlock(before, here) for before, here in pairwise(widths)))
        self.final_conv = ConvLayer(widths[-1], channels, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.final_conv(self.convs(self.from_rgb(images)))


def mixed(ours: Tensor, theirs: Tensor, mask: Tensor) -> Tensor:
    """Maps (N, C, S, S) with those of a reference in each cell that a mask (N, 1, H, W) touches, 1 = reference."""
    return torch.where(F.adaptive_max_pool2d(mask, ours.shape[-1]) > 0, theirs, ours)
