"""The spatial variant gradient layer: what a loss may change depends on how far a hole's pixel is from known ones."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.stylegan2_blocks import full_precision

Blur = Literal["released", "thesis"]


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return images.view_as(images)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        return gradients[0] * weight, None


def svgl(images: Tensor, weight: Tensor) -> Tensor:
    """The images themselves; on the way back their gradient is multiplied by `weight` (N, 1, H, W)."""
    return _Weighted.apply(images, weight)


def blur_line(size: int, kind: Blur) -> Tensor:
    """The separable blur's line of `size` values, sum 1; float64.

    released: roots of normal probabilities at the scale 1 / 40, in practice a box. thesis: a Gaussian, deviation 40 at
    a size of 64, in proportion at others.
    """
    if kind == "thesis":
        place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        line = torch.exp(-(place**2) / (2 * (40 * size / 64) ** 2))
    else:
        scale = 1 / 40
        edge = scale + (2 * scale + 1) / size / 2
        line = torch.special.ndtr(torch.linspace(-edge, edge, size + 1, dtype=torch.float64)).diff().sqrt()
    return line / line.sum()


def confidence(mask: Tensor, size: int = 65, kind: Blur = "released", steps: int = 7) -> Tensor:
    """Weights (N, 1, H, W) that fall from the border of the hole inwards: known pixels are blurred in, `steps` times.

    `mask`: 1 = hole. The weights are 0 outside the hole.
    """
    line = blur_line(size, kind).to(mask)
    before, after = size // 2, (size - 1) // 2
    known = filled = 1 - mask
    with full_precision(mask):
        for _ in range(steps):
            padded = F.pad(filled, (before, after, before, after), mode="reflect")
            rows = F.conv2d(padded, line.view(1, 1, -1, 1))
            weights = F.conv2d(rows, line.view(1, 1, 1, -1)) * mask
            filled = weights + known
    return weights


def reverse(mask: Tensor, confidence: Tensor) -> Tensor:
    """Weights (N, 1, H, W) that grow towards the middle of the hole, scaled to [0, 1] over the whole batch."""
    inner = (1 - confidence) * mask
    low, high = inner.amin(), inner.amax()
    return (inner - low) / (high - low).clamp_min(1e-12)
