"""Canny's edge maps, by scikit-image as in EdgeConnect's code."""

from __future__ import annotations

import numpy as np
import torch
from skimage.feature import canny as detect
from torch import Tensor

LUMA = (0.2125, 0.7154, 0.0721)  # of scikit-image


def to_grey(images: Tensor) -> Tensor:
    """Luma of RGB images. (N, 3, H, W) -> (N, 1, H, W), same range."""
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def canny(grey: Tensor, sigma: float, known: Tensor | None = None) -> Tensor:
    """Edge maps, 1 = edge, at scikit-image's default thresholds. (N, 1, H, W) in [0, 1] -> (N, 1, H, W).

    `sigma`: of the Gaussian, in pixels. `known`: (N, 1, H, W), 1 = known; other pixels count nowhere, and pixels
    that touch them are no edges. Runs on the CPU, no gradient.
    """
    planes = grey.detach().cpu().numpy()[:, 0]
    masks = [None] * len(planes) if known is None else known.detach().cpu().numpy()[:, 0] > 0
    edges = [detect(plane, sigma=sigma, mask=mask) for plane, mask in zip(planes, masks, strict=True)]
    return torch.from_numpy(np.stack(edges))[:, None].to(grey)
