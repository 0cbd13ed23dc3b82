"""What encoders of photographs see once they are retrained for inpainting: the erased picture and its valid mask."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def erased(images: Tensor, mask: Tensor, pixels: int) -> Tensor:
    """Images (N, 3, H, W) and masks (N, 1, H, W), 1 = hole, as (N, 4, pixels, pixels).

    The fourth channel is 1 where a pixel is known; a pixel of another size is known where it holds nothing of the hole.
    The others are 0 where it is not.
    """
    if images.shape[2:] != (pixels, pixels):
        images = F.interpolate(images, (pixels, pixels), mode="bilinear", align_corners=False, antialias=True)
        mask = F.adaptive_max_pool2d(mask, pixels)
    valid = 1 - mask
    return torch.cat([images * valid, valid], dim=1)


def with_more_channels(weight: Tensor, channels: int) -> Tensor:
    """Filters (outputs, inputs, k, k) that take more channels, of which they make nothing yet."""
    return F.pad(weight, (0, 0, 0, 0, 0, channels - weight.shape[1]))
