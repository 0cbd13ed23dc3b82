"""68 landmarks of each face in iBUG's order: (N, 68, 2), (x, y) in pixels; the first pixel's centre is (0.5, 0.5)."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.data.guides.guide import Asked, Guide, Maker, Sides, known

SIDES = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31), *range(35, 30, -1),  # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    *range(54, 47, -1), *range(59, 54, -1),  # outer lips
    *range(64, 59, -1), *range(67, 64, -1),  # inner lips
)  # fmt: skip
"""For each landmark, the one that is in its place in the mirrored picture."""
DOT = (230, 40, 60)


class Landmarks(Guide):
    told = "68 lines `x y` in pixels, in NAME.txt, in iBUG's order; the centre of the first pixel is 0.5 0.5"
    layer = 3

    def of(self, asked: Asked) -> Maker:
        return lambda indices: known(asked.images, "landmarks", indices)

    def mirrored(self, value: Tensor, width: int) -> Tensor:
        across = torch.tensor([-1.0, 1.0]).to(value)
        return value[:, list(SIDES)] * across + torch.tensor([float(width), 0.0]).to(value)

    def masked(self, value: Tensor, mask: Tensor) -> Tensor:
        return value  # the points of a face belong together

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return value * torch.tensor([after[1] / before[1], after[0] / before[0]]).to(value)

    def drawn(self, value: Tensor, inside: Tensor) -> Tensor:
        drawn, (height, width) = inside.clone(), inside.shape[2:]
        thick = max(1, round(min(height, width) / 100))
        image, corner = torch.arange(len(value))[:, None], (value - thick / 2).round().long()
        for across in range(thick):
            for down in range(thick):
                x, y = (corner[..., 0] + across).clamp(0, width - 1), (corner[..., 1] + down).clamp(0, height - 1)
                drawn[image, :, y, x] = torch.tensor(DOT, dtype=torch.uint8)
        return drawn

    def exported(self, value: Tensor) -> list[str]:
        return ["".join(f"{x:.3f} {y:.3f}\n" for x, y in points.tolist()) for points in value]


GUIDE = Landmarks()
