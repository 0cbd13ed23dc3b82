"""NIQE (Mittal, Soundararajan and Bovik, 2013): how far an image's statistics are from those of pristine pictures.

As BasicSR and the authors' MATLAB release compute it: rounded luma, blocks of 96 pixels at two scales, no crop, no
selection of sharp blocks. All in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.metrics import pixel
from bench.metrics.pixel import mirrored, weighted_sum
from bench.metrics.score import TooSmall
from bench.npz import open_npz

BLOCK = 96
GAUSSIAN = [float(v) for v in np.exp(-(np.arange(-3, 4.0) ** 2) / (2 * (7 / 6) ** 2))]
GAUSSIAN = [v / sum(GAUSSIAN) for v in GAUSSIAN]
HALVE = [v / 256 for v in (-3, -9, 29, 111, 111, 29, -9, -3)]  # MATLAB's antialiased bicubic resize by 0.5
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))


def score(completed: Mapping[str, Tensor], truth: object, masks: Tensor | None) -> Tensor:
    """NIQE of the completed images (N,); NaN for a picture without texture."""
    return completed["niqe"]


def read_model(path: Path) -> tuple[Tensor, Tensor]:
    """Mean (36,) and covariance (36, 36) of pristine pictures from ``niqe_pris_params.npz``."""
    try:
        with open_npz(path) as archive:
            mean, covariance = archive["mu_pris_param"].ravel(), archive["cov_pris_param"]
        if mean.shape != (36,) or covariance.shape != (36, 36):
            raise ValueError(f"shapes {mean.shape} and {covariance.shape}")
        return torch.from_numpy(mean).double(), torch.from_numpy(covariance).double()
    except Exception as error:  # a damaged archive raises many kinds of errors
        raise BenchError(f"{path} does not hold NIQE's parameters: {error}; fetch it again") from error


def niqe(images: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Equation 10: the distance between the two Gaussians. `images`: uint8 (N, 3, H, W); returns (N,) float64."""
    scores = []
    for blocks in features(luma(images)):
        blocks = blocks[~blocks.isnan().any(dim=1)] if len(blocks) else blocks
        if len(blocks) < 2:
            scores.append(torch.tensor(torch.nan, dtype=torch.float64, device=images.device))
            continue
        difference = mean - blocks.mean(dim=0)
        pooled = torch.linalg.pinv((covariance + torch.cov(blocks.T)) / 2, rtol=1e-15)
        scores.append((difference @ pooled @ difference).clamp(min=0).sqrt())
    return torch.stack(scores)


def luma(images: Tensor) -> Tensor:
    """MATLAB's Y of 8-bit RGB, 16 to 235, rounded half to even: (N, 3, H, W) to (N, 1, H, W) float64."""
    return pixel.luma(images).round()


def features(grey: Tensor) -> Tensor:
    """The 36 features (section 2) of every block: (N, 1, H, W) to (N, blocks, 36), block columns first."""
    rows, columns = grey.shape[-2] // BLOCK, grey.shape[-1] // BLOCK
    if min(rows, columns) < 2:
        height, width = grey.shape[-2:]
        raise TooSmall(f"NIQE needs images of {2 * BLOCK} pixels or more a side, got {width}x{height}")
    grey = grey[..., : rows * BLOCK, : columns * BLOCK]
    scales = []
    for block in (BLOCK, BLOCK // 2):
        mean = _blur(grey)
        deviation = (_blur(grey.square()) - mean.square()).abs().sqrt()
        normal = ((grey - mean) / (deviation + 1))[:, 0]  # equation 1
        blocks = normal.unfold(1, block, block).unfold(2, block, block)  # (N, rows, columns, block, block)
        scales.append(_block_features(blocks.transpose(1, 2).flatten(1, 2)))
        grey = _halve(grey)
    return torch.cat(scales, dim=2)


def _blur(images: Tensor) -> Tensor:
    return weighted_sum(torch.nn.functional.pad(images, (3, 3, 3, 3), mode="replicate"), GAUSSIAN)


def _halve(images: Tensor) -> Tensor:
    images = mirrored(images, 3, 4)  # MATLAB's border
    return weighted_sum(images, HALVE)[..., ::2, ::2]


def _block_features(blocks: Tensor) -> Tensor:
    """Blocks (N, B, h, w) to (N, B, 18): the fit of the block, then of its products with four neighbours."""
    shape, left, right = _fit(blocks)
    columns = [shape, (left + right) / 2]
    for shift in SHIFTS:
        shape, left, right = _fit(blocks * blocks.roll(shift, dims=(-2, -1)))
        index = shape.cpu().numpy()
        ratio = torch.from_numpy(gamma(2 / index) / gamma(1 / index)).to(blocks.device)
        columns += [shape, (right - left) * ratio, left, right]
    return torch.stack(columns, dim=2)


def gamma(x: Any) -> Any:
    """The gamma function; imported here, since that takes longer than many a run."""
    from scipy.special import gamma

    return gamma(x)


@cache
def _grid() -> tuple[Any, Any]:
    shapes = np.arange(0.2, 10.001, 0.001)
    return shapes, gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The asymmetric generalised Gaussian of each block, by moments (equation 6): shape, left and right scale."""
    negative, positive = blocks < 0, blocks > 0
    square = blocks.square()
    left = ((square * negative).sum(dim=(-2, -1)) / negative.sum(dim=(-2, -1))).sqrt()
    right = ((square * positive).sum(dim=(-2, -1)) / positive.sum(dim=(-2, -1))).sqrt()
    g = left / right
    ratio = blocks.abs().mean(dim=(-2, -1)).square() / square.mean(dim=(-2, -1))
    ratio = ratio * (g**3 + 1) * (g + 1) / (g**2 + 1).square()
    shapes, known = _grid()
    value = ratio.cpu().numpy()
    best = np.abs(np.nan_to_num(value)[..., None] - known).argmin(axis=-1)
    shape = np.where(np.isnan(value), np.nan, shapes[best])
    scale = torch.from_numpy(np.sqrt(gamma(1 / shape) / gamma(3 / shape))).to(blocks.device)
    return torch.from_numpy(shape).to(blocks.device), left * scale, right * scale
