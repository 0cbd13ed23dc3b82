"""MATLAB's cubic resizing as matrices: antialiased where it shrinks, edges mirrored with their pixels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def cubic(x: np.ndarray) -> np.ndarray:
    """The cubic kernel of a = -0.5; 0 from 2 on."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


@lru_cache(maxsize=16)
def weights(side: int, other: int) -> np.ndarray:
    """What `other` pixels take of `side` pixels in a row: (other, side), rounded to single precision.

    Centres are aligned; where there are fewer, the kernel is stretched over all that they stand for.
    """
    scale = side / other
    stretch = max(scale, 1)
    centres = (np.arange(other) + 0.5) * scale - 0.5
    reach = int(np.ceil(2 * stretch))
    places = np.floor(centres)[:, None].astype(int) + np.arange(-reach, reach + 2)
    values = cubic((centres[:, None] - places) / stretch)
    values = (values / values.sum(axis=1, keepdims=True)).astype(np.float32)
    mirrored = places % (2 * side)
    mirrored = np.minimum(mirrored, 2 * side - 1 - mirrored)
    matrix = np.zeros((other, side))
    np.add.at(matrix, (np.arange(other)[:, None], mirrored), values)
    return matrix


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) at (height, width)."""
    rows, columns = (torch.as_tensor(weights(a, b)).to(images) for a, b in zip(images.shape[2:], size, strict=True))
    return rows @ images @ columns.T


def low_pass(images: Tensor, factor: int) -> Tensor:
    """Images made `factor` times smaller and then as large as they were: their low frequencies."""
    height, width = images.shape[2:]
    return resized(resized(images, (height // factor, width // factor)), (height, width))
