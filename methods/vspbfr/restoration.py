"""VSPBFR's restoration network: an encoder and a decoder of SMART layers between a degraded picture and its priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.batch import Noise
from bench.nn import stylegan2_blocks as blocks
from bench.nn.stylegan2 import NoiseMaps, Synthesis, Width, check_size, fixed
from bench.nn.stylegan2_blocks import (
    Activation,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    ModulatedConv2d,
    NoiseInjection,
    StyledConv,
    low_pass,
)
from bench.nn.stylegan2_training import mixed_codes

DILATIONS = (1, 2, 4, 8)


class Branch(nn.Module):
    """One branch of a SMART layer: a dilated convolution of scaled maps, its filters normalised to unit length."""

    def __init__(self, inputs: int, outputs: int, dilation: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, 3, 3))
        self.dilation = dilation

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps (N, outputs, H, W) of maps x (N, inputs, H, W) that the style (N, inputs) has scaled."""
        weight = self.weight[0]
        norm = torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + 1e-8)
        x = F.conv2d(x, weight, padding=self.dilation, dilation=self.dilation)
        return x * norm.to(x.dtype)[:, :, None, None]


class SMART(nn.Module):
    """Style-modulated aggregation (Eq. 3.7): dilated modulated convolutions side by side, then one that fuses them.

    All branches share the scales that a code gives. (N, inputs, H, W) -> (N, outputs, H, W).
    """

    def __init__(self, inputs: int, outputs: int, code: int):
        super().__init__()
        width = outputs // len(DILATIONS)
        self.modulation = EqualLinear(code, inputs, bias=1.0)
        self.ModulatedConv2ds = nn.ModuleList(Branch(inputs, width, dilation) for dilation in DILATIONS)
        self.fusion = ConvLayer(outputs, outputs, 3)
        self.noise = NoiseInjection()
        self.activate = Activation(outputs)
        self.scale = 1 / math.sqrt(inputs * 9)

    def forward(self, x: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        style = self.modulation(code) * self.scale
        x = x * style[:, :, None, None]
        x = torch.cat([branch(x, style) for branch in self.ModulatedConv2ds], dim=1)
        return self.activate(self.noise(self.fusion(x), noise))


class Dilated(EqualConv2d):
    """Dilated convolution that keeps the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int):
        super().__init__(inputs, outputs, kernel, padding=dilation * (kernel // 2))
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, padding=self.padding, dilation=self.dilation)


class Aggregation(nn.Module):
    """The SMART layer without code and noise, and a 1 x 1 fusion."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        width = outputs // len(DILATIONS)
        self.dilated_convs = nn.ModuleList(Dilated(inputs, width, kernel, dilation) for dilation in DILATIONS)
        self.fusion = ConvLayer(outputs, outputs, 1)
        self.activate = Activation(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.fusion(torch.cat([conv(x) for conv in self.dilated_convs], dim=1)))


class ModulatedDown(ModulatedConv2d):
    """Modulated convolution to half the size, after the low-pass filter."""

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(low_pass(x, 2), weight, stride=2)


class StyledDown(StyledConv):
    """Modulated convolution to half the size, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, code: int):
        super().__init__(inputs, outputs, code)
        self.conv = ModulatedDown(inputs, outputs, 3, code)


class Restoration(Synthesis):
    """Encoder and decoder, whose layers take a style code w and a random code each; the decoder's also the whole's.

    Rows of codes are as in StyleGAN2; the encoder, which goes from fine to coarse, takes them backwards.
    `smart=False` puts StyleGAN2's layers in the place of SMART layers; `style=0` leaves the codes w out.
    """

    def __init__(
        self, size: int, width: Width, code: int = 512, style: int = 512, whole: int = 1024, depth: int = 8,
        smart: bool = True,
    ):  # fmt: skip
        super().__init__(size, width, style + code + whole)
        self.code, self.uses_style, self.whole = code, style > 0, whole
        layer = SMART if smart else StyledConv
        if smart:  # where the size stays
            self.conv1 = SMART(width(4), width(4), style + code + whole)  # type: ignore[assignment]
            for power in range(3, check_size(size) + 1):
                here = width(2**power)
                self.convs[2 * power - 5] = SMART(here, here, style + code + whole)
        self.style = blocks.Mapping(code, depth)
        self.down_from_big = Aggregation(3, width(size), 1)
        self.encoder_convs, self.encoder_sides = nn.ModuleList(), []
        for power in range(check_size(size), 2, -1):
            here, below = width(2**power), width(2 ** (power - 1))
            self.encoder_convs += [layer(here, here, style + code), StyledDown(here, below, style + code)]
            self.encoder_sides += [2**power, 2 ** (power - 1)]
        self.final_layer = Aggregation(width(4), width(4), 3)
        self.final_linear = nn.Sequential(EqualLinear(width(4) * 16, whole, activate=True))
        self.final_transfer = EqualLinear(whole, width(4) * 16, activate=True)

    def layer_codes(self, w: Tensor, noise: Noise, mixing: float) -> Tensor:
        """The codes (N, layers, D) of style codes w (N, at least as many, D') and of random z."""
        return self.joined(w, mixed_codes(self.style, noise, self.code, self.codes, mixing))

    def joined(self, w: Tensor, random: Tensor) -> Tensor:
        """Style codes and random codes (N, layers, D') of each layer behind each other."""
        return torch.cat([w[:, : self.codes], random], dim=2) if self.uses_style else random

    def random(self, noise: Noise) -> dict[str, Any]:
        """What `forward` takes from random numbers: dropout and noise maps."""
        kept = noise.uniform(self.whole) < 0.5 if self.training else None
        return {"kept": kept, "noise": noise.maps([*self.encoder_sides, *self.sides])}

    def encode(
        self, images: Tensor, codes: Tensor, noise: NoiseMaps = None, kept: Tensor | None = None
    ) -> tuple[dict[int, Tensor], Tensor]:
        """(maps by side, code of the whole picture (N, whole)); the smallest map has that code added."""
        x, maps = self.down_from_big(images), {}
        for i in range(0, len(self.encoder_convs), 2):
            code = codes[:, self.codes - 1 - i]
            first, second = (None, None) if noise is None else noise[i : i + 2]
            maps[x.shape[-1]] = x = self.encoder_convs[i](x, code, first)
            x = self.encoder_convs[i + 1](x, code, second)
        x = self.final_layer(x)
        whole = self.final_linear(x.flatten(1))
        if kept is not None:
            whole = whole * kept * 2
        maps[4] = x + self.final_transfer(whole).view_as(x)
        return maps, whole

    def forward(
        self,
        images: Tensor,
        bank: Mapping[int, Tensor],
        codes: Tensor,
        noise: NoiseMaps = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """The restored image (N, 3, size, size), linear, of `codes` (N, layers, D).

        `bank`: maps of a generator by side, added where the decoder reaches their size; `noise`: maps for the encoder,
        then for the decoder; `kept`: dropout on the code of the whole picture.
        """
        fixed(self.size).check(images, "this network")
        inner = len(self.encoder_sides)
        maps, whole = self.encode(images, codes, None if noise is None else noise[:inner], kept)
        codes = torch.cat([codes, whole[:, None].expand(-1, self.codes, -1)], dim=2)

        def edit(layer: int, x: Tensor) -> Tensor:
            if layer % 2 == 0:
                return x
            side = x.shape[-1]
            x = x + maps[side]
            return x + bank[side] if side in bank else x

        return self.synthesise(maps[4], codes, None if noise is None else noise[inner:], edit)
