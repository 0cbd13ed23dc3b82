"""Band-limited procedural noise for `synthfaces`, and the counter-based random numbers under it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_TILE = 128
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(keys: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele et al. 2014): mixes unsigned 64-bit keys into random 64-bit words, element by element."""
    with np.errstate(over="ignore"):
        z = keys.astype(np.uint64) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def unit(words: np.ndarray) -> np.ndarray:
    """Turn random 64-bit words into float64 numbers in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


@cache
def _tile() -> Tensor:
    """White noise in [-1, 1], (1, 2, 129, 129); the last row and column repeat the first, so it wraps."""
    words = splitmix64(np.arange(2 * _TILE * _TILE, dtype=np.uint64))
    tile = torch.from_numpy(unit(words) * 2 - 1).float().reshape(1, 2, _TILE, _TILE)
    return F.pad(tile, (0, 1, 0, 1), mode="circular").contiguous()


def noise(u: Tensor, v: Tensor, channels: int = 2) -> Tensor:
    """Sample one or two independent value noises of unit lattice step.

    u, v: (N, 1, H, W) lattice coordinates; they wrap after 128 cells. Returns (N, channels, H, W) in [-1, 1].
    """
    grid = torch.stack([u[:, 0], v[:, 0]], -1)
    cell = grid.floor()
    t = grid - cell
    grid = (3 - 2 * t).mul_(t).mul_(t).add_(cell).mul_(1 / _TILE)
    grid = (grid - grid.floor()).mul_(2).sub_(1)
    tile = _tile()[:, :channels].expand(len(u), -1, -1, -1)
    return F.grid_sample(tile, grid, mode="bilinear", align_corners=True)


def band(frequency: float, pixel: float) -> float:
    """How much of a texture of so many lattice cells per unit survives pixels of this size: 1 for coarse, 0 beyond.

    Every size shows the same scene, less the detail that its pixels cannot carry.
    """
    return min(1.0, max(0.0, 1.5 - frequency * pixel))
