"""What RGTSI and TransRef are given: the picture with its hole filled, and a reference.

In training, where there are no pairs of photographs of the same scene, the reference is made of the picture itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batch import Batch, Noise
from bench.nn import across
from bench.nn.augment import colour_jitter, flip

FILL = (123, 104, 117)  # colour of holes, of 255


def shown(batch: Batch) -> Tensor:
    """The image with its hole filled, and what is known of each channel: (N, 6, H, W)."""
    fill = 2 * batch.image.new_tensor(FILL).view(1, 3, 1, 1) / 255 - 1
    return torch.cat([batch.masked + fill * batch.mask, (1 - batch.mask).expand(-1, 3, -1, -1)], dim=1)


def references(images: Tensor, noise: Noise, itself: float) -> Tensor:
    """A reference for each image (N, 3, H, W): altered, the image itself with this probability, else another one.

    The other one is the one before it in the batch.
    """
    others = across.part(across.whole(images).roll(1, 0)) if itself < 1 else images
    chosen = torch.where(noise.uniform(1, 1, 1) < itself, images, others)
    return moved(flip(colour_jitter(chosen, noise, 0.1), noise), noise)


def moved(images: Tensor, noise: Noise, shift: float = 0.1, scale: float = 0.1) -> Tensor:
    """Each image shifted by up to `shift` of its sides and scaled by 1 ± `scale`, bilinear; mirrored at its border."""
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 + scale * (2 * noise.uniform() - 1)
    theta[:, :, 2] = 2 * shift * (2 * noise.uniform(2) - 1)  # the grid's sides are 2 long
    grid = F.affine_grid(theta, list(images.shape), align_corners=False).to(images.dtype)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
