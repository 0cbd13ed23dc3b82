"""AOT-GAN's soft mask-guided adversarial loss (section 3.3), also an ablation of GRIG."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn import across


def soft_mask_discriminator(real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
    """The discriminator's least-squares loss (Eq. 6): a completion is as real as the blurred mask says.

    `real`, `fake`: logits (N, 1, h, w) of images and completions; `mask`: (N, 1, H, W), 1 = hole.
    """
    return F.mse_loss(enlarge(fake, mask), blur(1 - mask)) + (enlarge(real, mask) - 1).square().mean()


def soft_mask_generator(fake: Tensor, mask: Tensor) -> Tensor:
    """The generator's loss (Eq. 7): what was filled should be judged as real; the mean over the hole."""
    return ((enlarge(fake, mask) - 1).square() * mask).sum() / across.mean(mask.sum()).clamp_min(1)


def enlarge(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits at the size of the mask (bilinear, corners aligned)."""
    return F.interpolate(logits, mask.shape[2:], mode="bilinear", align_corners=True)


def blur(mask: Tensor, kernel: int = 71, sigma: float = 10.0, trained_at: int = 512) -> Tensor:
    """The soft label: the mask under a Gaussian (71 x 71, sigma 10 at 512 px, in proportion at other sizes)."""
    scale = min(1.0, mask.shape[-1] / trained_at)
    radius = max(1, round(kernel // 2 * scale))
    x = torch.arange(-radius, radius + 1, device=mask.device, dtype=mask.dtype)
    line = torch.exp(-(x**2) / (2 * (sigma * scale) ** 2))
    line = line / line.sum()
    rows = F.conv2d(mask, line.view(1, 1, -1, 1), padding=(radius, 0))
    return F.conv2d(rows, line.view(1, 1, 1, -1), padding=(0, radius))
