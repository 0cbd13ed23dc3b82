"""A method at another size than its suite: pictures are resized before it completes them, and its output back after.

Both ways by torch's bicubic filter, antialiased where pictures shrink (the one of Pillow). What lies under a hole is
never read: a resized pixel is a mean of known ones, and hole where any pixel that it covers is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batch import Batch

FILTER = "bicubic, antialiased"
PICTURES = ("exemplar", "colour", "degraded")  # fields of a batch that are whole pictures


def there(batch: Batch, side: int) -> Batch:
    """The batch in pictures of `side` x `side` pixels, with all that guides it; its holes are 0."""
    height, width = batch.image.shape[2:]
    known = 1 - batch.mask
    mask = F.adaptive_max_pool2d(batch.mask, side)
    share = _resized(known, (side, side)).clamp(min=0.5)  # beside a hole; inside it is masked
    image = (_resized(batch.image * known, (side, side)) / share).clamp(-1, 1) * (1 - mask)
    given = {name: getattr(batch, name) for name in PICTURES}
    pictures: dict[str, Any] = {name: back(one, (side, side)) for name, one in given.items() if one is not None}
    lines = None if batch.sketch is None else F.adaptive_max_pool2d(batch.sketch, side)
    labels = None
    if batch.semantics is not None:
        labels = F.interpolate(batch.semantics[:, None].float(), (side, side), mode="nearest-exact")[:, 0]
        labels = labels.to(batch.semantics.dtype)
    points = None
    if batch.landmarks is not None:
        points = batch.landmarks * torch.tensor([side / width, side / height]).to(batch.landmarks)
    return replace(batch, image=image, mask=mask, sketch=lines, semantics=labels, landmarks=points, **pictures)


def back(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] at (height, width)."""
    return _resized(images, size).clamp(-1, 1)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)
