"""Encoders of an image to StyleGAN2's codes: pSp's gradual style encoder, its two ablations, and e4e's.

Sources: pSp (Richardson et al., CVPR 2021; arXiv 2008.00951) and e4e (Tov et al., SIGGRAPH 2021; arXiv 2102.02766).
Layer names are those of the authors' checkpoints. Codes come without the mean latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.irse import UNITS, WIDTHS, Trunk
from bench.nn.sizes import Sizes
from bench.nn.stylegan2 import EqualLinear

MIDDLE, FINE = 3, 7  # the first styles that read the middle and the fine map


class StyleHead(nn.Module):
    """Map to style (pSp, Fig. 2): strided convolutions down to one pixel, then a linear layer. (N, dim)."""

    def __init__(self, width: int, pixels: int, dim: int):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(pixels.bit_length() - 1):
            layers += [nn.Conv2d(width, width, 3, stride=2, padding=1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


class GradualStyleEncoder(Trunk):
    """pSp's encoder (Fig. 2): an IR-SE50 trunk, a top-down path over three maps, one head for each style.

    Images (N, channels, size, size) -> codes (N, styles, dim). Styles 0-2 read the coarse map (1/16 of the size),
    3-6 the middle (1/8), the rest the fine one (1/4).
    """

    def __init__(
        self, styles: int = 18, channels: int = 3, size: int = 256, widths: Sequence[int] = WIDTHS,
        units: Sequence[int] = UNITS, dim: int = 512,
    ):  # fmt: skip
        super().__init__(channels, widths, units)
        self.size = size
        width = widths[3]
        self.latlayer1 = nn.Conv2d(widths[2], width, 1)
        self.latlayer2 = nn.Conv2d(widths[1], width, 1)
        self.styles = nn.ModuleList(StyleHead(width, size >> (4 - level(i)), dim) for i in range(styles))

    def features(self, images: Tensor) -> list[Tensor]:
        Sizes(only=self.size).check(images, "this style encoder")
        return super().features(images)

    def pyramid(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The coarse, the middle and the fine map of the top-down path, from the trunk's four."""
        _, fine, middle, coarse = maps
        middle = _up(coarse, self.latlayer1(middle))
        return coarse, middle, _up(middle, self.latlayer2(fine))

    def rows(self, maps: Sequence[Tensor], count: int | None = None) -> list[Tensor]:
        """What the first `count` heads give, all without it; (N, dim) each."""
        levels = self.pyramid(maps)
        return [head(levels[level(i)]) for i, head in enumerate(self.styles[:count])]

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack(self.rows(self.features(images)), dim=1)


class ProgressiveEncoder(GradualStyleEncoder):
    """e4e's encoder (section 5.1): the layers of pSp; row 0 is the base of all, every other adds an offset to it."""

    def forward(self, images: Tensor, last: int | None = None) -> Tensor:
        """Codes (N, styles, dim); rows after `last` are the base alone. Without `last` every row has its offset."""
        count = len(self.styles)
        base, *offsets = self.rows(self.features(images), count if last is None else last + 1)
        rows = [base, *(base + offset for offset in offsets)]
        return torch.stack(rows + [base] * (count - len(rows)), dim=1)


class SingleCodeEncoder(Trunk):
    """pSp's naive W encoder (Table 2): the last map, averaged, and a linear layer. One code (N, dim)."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, units: Sequence[int] = UNITS, dim: int = 512):
        super().__init__(channels, widths, units)
        self.linear = EqualLinear(widths[3], dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.features(images)[-1].mean((2, 3)))


class SingleLayerEncoder(Trunk):
    """pSp's naive W+ encoder (Table 2): all codes from the last map by two linear layers. (N, styles, dim)."""

    def __init__(
        self, styles: int = 18, channels: int = 3, widths: Sequence[int] = WIDTHS, units: Sequence[int] = UNITS,
        dim: int = 512,
    ):  # fmt: skip
        super().__init__(channels, widths, units)
        self.output_layer_2 = nn.Sequential(
            nn.BatchNorm2d(widths[3]), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(widths[3] * 49, dim)
        )
        self.linear = EqualLinear(dim, dim * styles)
        self.dim = dim

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.output_layer_2(self.features(images)[-1])).unflatten(1, (-1, self.dim))


class LatentDiscriminator(nn.Module):
    """e4e's critic of single codes: is a code (N, dim) one of W? Logits (N, 1)."""

    def __init__(self, dim: int = 512, layers: int = 4):
        super().__init__()
        widths = [dim] * layers + [1]
        linear = [nn.Linear(*sizes) for sizes in pairwise(widths)]
        self.mlp = nn.Sequential(linear[0], *(m for layer in linear[1:] for m in (nn.LeakyReLU(0.2), layer)))

    def forward(self, codes: Tensor) -> Tensor:
        return self.mlp(codes)


def level(style: int) -> int:
    """The map that a style reads: 0 coarse, 1 middle, 2 fine."""
    return (style >= MIDDLE) + (style >= FINE)


def _up(x: Tensor, lateral: Tensor) -> Tensor:
    return F.interpolate(x, size=lateral.shape[2:], mode="bilinear", align_corners=True) + lateral
