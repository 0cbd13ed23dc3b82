"""The one filter by which batches of pictures are resized: torch's bicubic, antialiased where they shrink."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

FILTER = "bicubic, antialiased"


def bicubic(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (N, C, H, W) at (height, width); values may overshoot."""
    return F.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)


def pictures(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] at (height, width), in [-1, 1]."""
    return bicubic(images, size).clamp(-1, 1)
