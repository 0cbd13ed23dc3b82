"""DeepFaceEditing's networks: what reads a geometry, what draws a part of that geometry in a style, what joins parts.

Names inside are those of the released files.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.nn.lgnet import Norm
from bench.nn.translator import Conv, NormedBlock, ResidualBlock, drawing, halving, normal, translator

NORMS: dict[str, Norm] = {"instance": partial(nn.InstanceNorm2d, affine=True), "none": nn.Identity}


class GeometryEncoder(nn.Module):
    """A part of a sketch, or of a picture, (N, 3, s, s) in [-1, 1] -> its geometry.

    That is (N, width 2^halvings, s / 2^halvings, s / 2^halvings). Sketches have one residual block, pictures six.
    """

    def __init__(self, width: int, halvings: int, blocks: int, norm: Norm):
        super().__init__()
        middle = (NormedBlock(width * 2**halvings, norm) for _ in range(blocks))
        self.model = nn.Sequential(*halving(3, width, halvings, norm), *middle)

    def forward(self, part: Tensor) -> Tensor:
        return self.model(part)


class StyleEncoder(nn.Module):
    """A part of a picture (N, 3, s, s) in [-1, 1] -> the `numbers` (N, numbers) of all adaptive norms."""

    def __init__(self, width: int, halvings: int, numbers: int):
        super().__init__()
        widths = [min(width * 2**i, 4 * width) for i in range(halvings + 1)]
        self.model = nn.Sequential(
            Conv(3, width, 7), *(Conv(before, here, 4, 2) for before, here in pairwise(widths)),
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], numbers, 1),
        )  # fmt: skip

    def forward(self, part: Tensor) -> Tensor:
        return self.model(part).flatten(1)


class AdaIN(nn.Module):
    """Adaptive instance norm (Huang & Belongie, 2017) of maps (N, channels, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`style`: (N, 2, channels), shift and scale."""
        return normal(x, style)


class PartGenerator(nn.Module):
    """Draws a part: its geometry in the style of a part of a picture."""

    def __init__(self, width: int, halvings: int, blocks: int, style_width: int, style_halvings: int):
        super().__init__()
        widths = [width * 2**i for i in range(halvings, -1, -1)]
        doublings = [
            layer
            for before, here in pairwise(widths)
            for layer in (nn.ConvTranspose2d(before, here, 3, 2, 1, 1), AdaIN(here), nn.ReLU())
        ]
        self.model = nn.Sequential(
            *(ResidualBlock(widths[0]) for _ in range(blocks)), *doublings, *drawing(width, nn.Tanh())
        )
        self.shapes = [(2, 2, widths[0])] * blocks + [(2, here) for here in widths[1:]]
        """Of the styles, in the order of the layers: shift and scale of each norm."""
        self.sizes = [4 * widths[0]] * blocks + [2 * here for here in widths[1:]]
        self.enc_style = StyleEncoder(style_width, style_halvings, sum(self.sizes))
        plain = torch.tensor([[0.0], [1.0]])  # shift and scale, near which training starts
        bias = torch.cat([plain.expand(shape).flatten() for shape in self.shapes])
        self.enc_style.model[-1].bias = nn.Parameter(bias)

    def forward(self, geometry: Tensor, part: Tensor) -> Tensor:
        """The feature (N, width, s, s) of a geometry in the style of `part` (N, 3, s, s)."""
        numbers = self.enc_style(part).split(self.sizes, dim=1)
        styles = iter([one.unflatten(1, shape) for one, shape in zip(numbers, self.shapes, strict=True)])
        x = geometry
        for layer in self.model[:-3]:
            x = layer(x, next(styles)) if isinstance(layer, ResidualBlock | AdaIN) else layer(x)
        return x

    def picture(self, feature: Tensor) -> Tensor:
        """What a feature shows, (N, 3, s, s) in [-1, 1]. Of a face that is joined it is not used."""
        return self.model[-3:](feature)


class Translator(nn.Module):
    """Maps to pictures in [-1, 1]: the features of all parts to the face, or a picture to its sketch."""

    def __init__(self, inputs: int, width: int, halvings: int, blocks: int, norm: Norm):
        super().__init__()
        middle = (NormedBlock(width * 2**halvings, norm) for _ in range(blocks))
        self.model = translator(inputs, width, halvings, middle, nn.Tanh(), norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)
