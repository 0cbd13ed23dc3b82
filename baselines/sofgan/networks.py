"""SofGAN's generator: a StyleGAN2 that starts from a label map, sees it again on its way, and styles its regions apart.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.sofgan.labels import CLASSES
from bench.nn.stylegan2 import NoiseMaps, Synthesis, Width, check_size
from bench.nn.stylegan2_blocks import Mapping, ModulatedConv2d, ResBlock, StyledConv, UnitMoment, upsample

SEEN = 32  # side of the label map that becomes the first map, an eighth of it
Regions = Tensor | None  # (N, S, h, w): how much each of S styles counts at a place; none where there is one style


def aligned(maps: Tensor, side: int) -> Tensor:
    """Bilinear, corner pixels on corner pixels; label maps become soft at their borders."""
    return F.interpolate(maps, (side, side), mode="bilinear", align_corners=True)


class HalfMoments(UnitMoment):
    """Both halves of a vector, each divided by the root of its mean square."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.cat([super(HalfMoments, self).forward(half) for half in z.chunk(2, dim=1)], dim=1)


class LayoutEncoder(nn.Sequential):
    """Label maps (N, 17, h, w) to the first map (N, 4 width, 4, 4), which takes the place of StyleGAN2's constant."""

    def __init__(self, width: int):
        super().__init__(ResBlock(CLASSES, width), ResBlock(width, 2 * width), ResBlock(2 * width, 4 * width))

    def forward(self, layout: Tensor) -> Tensor:
        return super().forward(aligned(layout, SEEN))


class LayoutModulation(nn.Module):
    """Scale and shift of every pixel by the label map, without a norm."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(CLASSES, hidden, 3, padding=1), nn.LeakyReLU(0.2))
        self.mlp_gamma, self.mlp_beta = (nn.Conv2d(hidden, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        seen = self.mlp_shared(aligned(layout, x.shape[-1]))
        return x * (1 + self.mlp_gamma(seen)) + self.mlp_beta(seen)


class LaidConv(StyledConv):
    """StyleGAN2's layer to twice the size, then the modulation by the label map."""

    def __init__(self, inputs: int, outputs: int, code: int, hidden: int):
        super().__init__(inputs, outputs, code, up=True)
        self.segEncoder = LayoutModulation(outputs, hidden)


def regional(convolution: ModulatedConv2d, x: Tensor, codes: Tensor, regions: Regions) -> Tensor:
    """The same maps (N, C, h, w) under each of the codes (N, S, D), each in its regions."""
    styled = [convolution(x, code) for code in codes.unbind(1)]
    if regions is None:
        return styled[0]
    shares = aligned(regions, styled[0].shape[-1])
    return torch.stack([share[:, None] * one for share, one in zip(shares.unbind(1), styled, strict=True)]).sum(0)


class Generator(Synthesis):
    """Label maps and codes to pictures.

    `layout`: channels of the label encoder's first block; `hidden`: of the modulations, at the sides `laid`.
    """

    def __init__(
        self,
        size: int,
        width: Width,
        code: int = 512,
        depth: int = 8,
        layout: int = 32,
        hidden: int = 128,
        laid: Collection[int] = (64, 128, 256),
    ):
        super().__init__(size, width, code)
        self.style = Mapping(code, depth)
        self.style[0] = HalfMoments()
        self.segEncoder = LayoutEncoder(layout)
        self.conv1 = StyledConv(4 * layout, width(4), code)
        for power in range(3, check_size(size) + 1):
            if (side := 2**power) in laid:
                self.convs[2 * power - 6] = LaidConv(width(side // 2), width(side), code, hidden)

    def forward(self, layout: Tensor, codes: Tensor, noise: NoiseMaps = None, regions: Regions = None) -> Tensor:
        """Pictures (N, 3, size, size), linear.

        `layout`: (N, 17, h, w). `codes`: (N, S, layers, D) of S styles, in their regions (N, S, h, w). `noise`: one map
        a styled layer, of `sides`, or none.
        """

        def styled(layer: int, x: Tensor) -> Tensor:
            module: Any = self.convs[layer - 1] if layer else self.conv1
            x = regional(module.conv, x, codes[:, :, layer], regions)
            x = module.activate(module.noise(x, None if noise is None else noise[layer]))
            return module.segEncoder(x, layout) if isinstance(module, LaidConv) else x

        def coloured(module: Any, x: Tensor, code: int) -> Tensor:
            return regional(module.conv, x, codes[:, :, code], regions) + module.bias

        x = styled(0, self.segEncoder(layout))
        image = coloured(self.to_rgb1, x, 1)
        for k, to_rgb in enumerate(self.to_rgbs):
            x = styled(2 * k + 2, styled(2 * k + 1, x))
            image = upsample(image) + coloured(to_rgb, x, 2 * k + 3)
        return image
