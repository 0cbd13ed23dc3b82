"""MAT's second stage: a U-Net with StyleGAN2's synthesis as its decoder, which refines the picture of the first."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines.mat.first_stage import Whole, styled
from bench.nn.stylegan2 import NoiseMaps, Synthesis, Width
from bench.nn.stylegan2_blocks import ConvLayer, EqualLinear


class SecondStage(nn.Module):
    """(N, 3, size, size), linear, from the filled picture, the known pixels, the mask (1 = known) and codes w.

    `coarsest`: side of the map that the decoder starts from, a power of two of at least 4.
    """

    def __init__(self, size: int, width: Width, coarsest: int, code: int, whole: int):
        super().__init__()
        self.coarsest, self.inside = coarsest, width(coarsest)
        self.enc = nn.ModuleDict()
        inputs = 7
        for side in (size >> level for level in range((size // coarsest).bit_length())):
            first = ConvLayer(inputs, width(side), 3, down=True) if self.enc else ConvLayer(inputs, width(side), 1)
            inputs = width(side)
            self.enc[str(side)] = nn.Sequential(first, ConvLayer(inputs, inputs, 3))
        self.to_square = EqualLinear(code, coarsest**2, activate=True)
        self.to_style = Whole(self.inside, whole, int(math.log2(coarsest)) - 1)
        self.start = ConvLayer(self.inside, self.inside, 3)
        # StyleGAN2's synthesis starts at 4 x 4: all its sides are `enlarged` times as large here
        enlarged = coarsest // 4
        narrower = Width(width.base // enlarged, width.limit)
        self.dec = Synthesis(size // enlarged, narrower, code + whole)
        self.codes, self.sides = self.dec.codes, [enlarged * side for side in self.dec.sides]

    def forward(
        self, filled: Tensor, masked: Tensor, known: Tensor, codes: Tensor, kept: Tensor, noise: NoiseMaps
    ) -> Tensor:
        """`codes` (N, layers, D); `kept`: see `styled`; `noise`: maps of `sides`, or none."""
        x = torch.cat([known - 0.5, filled, masked], dim=1)
        maps = {}
        for block in self.enc.values():
            x = block(x)
            maps[x.shape[-1]] = x
        x = styled(x, self.to_square(codes[:, 0]), kept)
        whole = self.to_style(x)[:, None].expand(-1, self.codes, -1)

        def edit(layer: int, x: Tensor) -> Tensor:
            return x + maps[x.shape[-1]] if layer % 2 else x

        return self.dec.synthesise(self.start(x) + x, torch.cat([codes, whole], dim=2), noise, edit)
