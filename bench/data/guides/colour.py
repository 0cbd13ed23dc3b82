"""Each region of the label map in its mean colour: (N, 3, H, W) in [-1, 1]."""

from __future__ import annotations

from collections.abc import Set

import torch
from torch import Tensor

from bench.bicubic import pictures
from bench.data.dataset import Indices
from bench.data.guides import semantics
from bench.data.guides.guide import Asked, Frame, Guide, Maker, Sides
from bench.given import Given
from bench.metrics.images import to_uint8


class Colour(Guide):
    told = "each region of the label map in its mean colour"
    by_hand = "a picture of each region in its mean colour"
    remedy = semantics.GUIDE.remedy
    layer = 1

    def of(self, asked: Asked) -> Maker:
        labels = semantics.GUIDE.of(asked)

        def made(indices: Indices) -> Tensor | None:
            found = labels(indices)
            return None if found is None else colour_map(asked.images.images(indices), found)

        return made

    def handed(self, given: Given, frame: Frame) -> Tensor:
        return frame.pixels(given, self.name)

    def reads(self, source: str) -> Set[str]:
        return semantics.GUIDE.reads(source)

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return pictures(value, after)

    def drawn(self, value: Tensor, inside: Tensor) -> Tensor:
        return to_uint8(value)


def colour_map(images: Tensor, labels: Tensor) -> Tensor:
    """Each region in its mean colour: (N, 3, H, W) uint8 and labels (N, H, W) uint8 to (N, 3, H, W) in [-1, 1]."""
    n = len(images)
    regions = labels.long() + 256 * torch.arange(n, device=labels.device).view(n, 1, 1)
    colours = images.permute(0, 2, 3, 1).reshape(-1, 3).long()  # whole numbers: sums without rounding
    total = colours.new_zeros(256 * n, 3).index_add_(0, regions.flatten(), colours)
    mean = total / torch.bincount(regions.flatten(), minlength=256 * n).clamp_min(1)[:, None]
    return (mean / 127.5 - 1)[regions].permute(0, 3, 1, 2).contiguous()


GUIDE = Colour()
