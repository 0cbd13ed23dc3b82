"""Kernel distance between two sets of features: KID (Bińkowski et al., 2018), equation 4, unbiased, over all images.

The kernel is (x^T y / d + 1)³. Unlike FID it has no bias at small n; it may be slightly negative for equal sets.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics.score import Pair, Score

CHUNK = 2048


def _row_sums(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the kernel matrix of `a` (n, d) and `b` (m, d) over b for each a, and over a for each b; float64."""
    d = a.shape[1]
    over_b, over_a = a.new_zeros(len(a), dtype=torch.float64), a.new_zeros(len(b), dtype=torch.float64)
    for i in range(0, len(a), CHUNK):
        left = a[i : i + CHUNK].double()
        for j in range(0, len(b), CHUNK):
            kernel = (left @ b[j : j + CHUNK].double().T / d + 1) ** 3
            over_b[i : i + CHUNK] += kernel.sum(dim=1)
            over_a[j : j + CHUNK] += kernel.sum(dim=0)
    return over_b, over_a


def _within(rows: Tensor) -> Tensor:
    """For each row the mean kernel with every other row."""
    own = (rows.double().square().sum(dim=1) / rows.shape[1] + 1) ** 3
    return (_row_sums(rows, rows)[0] - own) / (len(rows) - 1)


def score(pair: Pair) -> Score:
    """KID (the squared maximum mean discrepancy) and what each image adds to it (its Hájek projection)."""
    completed, reference = pair.completed, pair.reference
    xx, yy = _within(completed), _within(reference)
    xy, yx = _row_sums(completed, reference)
    xy, yx = xy / len(reference), yx / len(completed)
    value = xx.mean() + yy.mean() - 2 * xy.mean()
    influence = 2 * (xx - xy)
    if pair.paired:
        influence = influence + 2 * (yy - yx)
    return Score(float(value), influence - influence.mean() + value)
