"""What guides an edit, made from a picture or its label map: sketches, colour maps, one-hot maps.

Canny's edges are in `bench.nn.canny`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

PALETTE = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 0, 85), (255, 0, 170), (0, 255, 0), (85, 255, 0), (170, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 0, 255), (85, 0, 255), (170, 0, 255), (0, 85, 255), (0, 170, 255), (255, 255, 0),
    (255, 255, 85), (255, 255, 170), (255, 0, 255), (255, 85, 255), (255, 170, 255), (0, 255, 255), (85, 255, 255),
    (170, 255, 255),
)  # fmt: skip
"""Display colours of label maps (face-parsing.PyTorch)."""


def pencil(image: np.ndarray) -> np.ndarray:
    """The pencil filter of pSp's sketches: (H, W, 3) uint8 RGB to (H, W) uint8, dark lines on white.

    Bright and dark sides of an edge are drawn apart: the positive derivatives of the picture, then of its negative.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    across, down = (cv2.Sobel(grey, cv2.CV_16S, dx, 1 - dx).astype(np.int32) for dx in (1, 0))
    edges = sum((sign * across).clip(0, 255) | (sign * down).clip(0, 255) for sign in (1, -1))
    return (255 - np.rint(0.75 * edges).clip(0, 255)).astype(np.uint8)


def sketch(images: Tensor, threshold: float | None = None) -> Tensor:
    """Line drawings, 1 = line: (N, 3, H, W) uint8 to (N, 1, H, W) float, on the CPU.

    Pixels that the pencil filter makes darker than `threshold` (of 255). The default, 255 - 70 sqrt(256 / side), is
    ours and gives drawings of faces at 64 to 512 pixels: in small pictures all edges are steep. The papers (pSp,
    FACEMUG) clean the filter's output by the sketch simplification network of Simo-Serra et al. instead, whose weights
    are a Torch7 file that PyTorch no longer reads.
    """
    if threshold is None:
        threshold = 255 - 70 * math.sqrt(256 / min(images.shape[-2:]))
    pictures = images.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    drawn = np.stack([pencil(picture) for picture in pictures])
    return torch.from_numpy(drawn)[:, None].lt(threshold).float()


def colour_map(images: Tensor, labels: Tensor) -> Tensor:
    """Each region in its mean colour: (N, 3, H, W) uint8 and labels (N, H, W) uint8 to (N, 3, H, W) in [-1, 1]."""
    n = len(images)
    regions = labels.long() + 256 * torch.arange(n, device=labels.device).view(n, 1, 1)
    colours = images.permute(0, 2, 3, 1).reshape(-1, 3).long()  # whole numbers: sums without rounding
    total = colours.new_zeros(256 * n, 3).index_add_(0, regions.flatten(), colours)
    mean = total / torch.bincount(regions.flatten(), minlength=256 * n).clamp_min(1)[:, None]
    return (mean / 127.5 - 1)[regions].permute(0, 3, 1, 2).contiguous()


def palette(labels: Tensor) -> Tensor:
    """Display colours of label maps: (N, H, W) uint8, labels below 24, to (N, 3, H, W) uint8."""
    colours = torch.tensor(PALETTE, dtype=torch.uint8, device=labels.device)
    return colours[labels.long()].permute(0, 3, 1, 2).contiguous()


def one_hot(labels: Tensor, classes: int = 19) -> Tensor:
    """One plane a class: labels (N, H, W) uint8, below `classes`, to (N, classes, H, W) float, 0 or 1."""
    n, height, width = labels.shape
    planes = torch.zeros(n, classes, height, width, device=labels.device)
    return planes.scatter_(1, labels[:, None].long(), 1)
