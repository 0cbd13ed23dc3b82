"""Kernel distances between two sets of features: squared maximum mean discrepancies, over all images.

KID (Bińkowski et al., 2018, equation 4) is the unbiased estimate with the kernel (x^T y / d + 1)³. Unlike FID it has no
bias at small n; it may be slightly negative for equal sets. CMMD (Jayasumana et al., 2024, section 4) is the biased
one, with each point's kernel with itself, of vectors of length 1 with the kernel exp(-|x - y|² / 2σ²), σ = 10, times
1,000: never negative.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.metrics.score import Pair, Score

CHUNK = 2048
SIGMA, SCALE = 10.0, 1000.0  # of CMMD

Kernel = Callable[[Tensor, Tensor], Tensor]  # of rows (n, d) and (m, d), float64: (n, m)


def score(pair: Pair) -> Score:
    """KID and what each image adds to it (its Hájek projection)."""
    return _discrepancy(pair, _cubic, lambda rows: (rows.square().sum(dim=1) / rows.shape[1] + 1) ** 3)


def cmmd(pair: Pair) -> Score:
    """CMMD and what each image adds to it; the features need not have length 1 yet."""
    ours, theirs = (
        rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in (pair.completed, pair.reference)
    )
    found = _discrepancy(Pair(ours, theirs, pair.paired), _gaussian)
    assert found.contributions is not None
    return Score(SCALE * found.value, SCALE * found.contributions)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _gaussian(x: Tensor, y: Tensor) -> Tensor:
    squares = x.square().sum(dim=1)[:, None] + y.square().sum(dim=1) - 2 * x @ y.T
    return (squares / (-2 * SIGMA**2)).exp()


def _discrepancy(pair: Pair, kernel: Kernel, own: Callable[[Tensor], Tensor] | None = None) -> Score:
    """`own`: the kernel of each row with itself, where that is left out."""
    completed, reference = pair.completed, pair.reference
    xx, yy = (_within(rows, kernel, own) for rows in (completed, reference))
    xy, yx = _row_sums(completed, reference, kernel)
    xy, yx = xy / len(reference), yx / len(completed)
    value = xx.mean() + yy.mean() - 2 * xy.mean()
    influence = 2 * (xx - xy)
    if pair.paired:
        influence = influence + 2 * (yy - yx)
    return Score(float(value), influence - influence.mean() + value)


def _row_sums(a: Tensor, b: Tensor, kernel: Kernel) -> tuple[Tensor, Tensor]:
    """Sums of the kernel matrix of `a` (n, d) and `b` (m, d) over b for each a, and over a for each b; float64."""
    over_b, over_a = a.new_zeros(len(a), dtype=torch.float64), a.new_zeros(len(b), dtype=torch.float64)
    for i in range(0, len(a), CHUNK):
        left = a[i : i + CHUNK].double()
        for j in range(0, len(b), CHUNK):
            part = kernel(left, b[j : j + CHUNK].double())
            over_b[i : i + CHUNK] += part.sum(dim=1)
            over_a[j : j + CHUNK] += part.sum(dim=0)
    return over_b, over_a


def _within(rows: Tensor, kernel: Kernel, own: Callable[[Tensor], Tensor] | None) -> Tensor:
    """For each row the mean kernel with every row, or with every other one where `own` is left out."""
    sums = _row_sums(rows, rows, kernel)[0]
    return sums / len(rows) if own is None else (sums - own(rows.double())) / (len(rows) - 1)
