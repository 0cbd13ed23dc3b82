"""Intervals and tests over images: what is the number worth, and is one method better than another?

Everything takes the contributions of images (n,), whose mean is the metric's value (`bench.metrics.score.Score`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000


def bootstrap(
    contributions: ArrayLike, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over images (Efron, 1979).

    `contributions`: (n,); the same `seed` and n draw the same images for every metric and method. Infinite or too few
    values (n < 2) give (nan, nan).
    """
    values = np.asarray(contributions, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan"), float("nan")
    rng = np.random.Generator(np.random.PCG64(seed))
    n, means = len(values), np.empty(resamples)
    step = max(1, 2_000_000 // n)  # memory stays flat
    for start in range(0, resamples, step):
        chosen = rng.integers(0, n, (min(step, resamples - start), n), dtype=np.int32)
        means[start : start + len(chosen)] = values[chosen].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_test(a: ArrayLike, b: ArrayLike, *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value that two methods differ, from the contributions of the same images (n,) in the same order.

    Sign flips of the differences (Fisher's randomisation test): 1 where all are equal, never 0.
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    difference = difference[np.isfinite(difference)]
    if len(difference) == 0:
        return 1.0
    observed = abs(difference.mean())
    rng = np.random.Generator(np.random.PCG64(seed))
    n, extreme = len(difference), 0
    step = max(1, 2_000_000 // n)
    for start in range(0, resamples, step):
        signs = rng.integers(0, 2, (min(step, resamples - start), n), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ difference / n) >= observed * (1 - 1e-12)).sum())
    return (extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values adjusted for many comparisons (Holm, 1979): compare them with the level itself."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1)
    return adjusted


def compare(methods: Mapping[str, ArrayLike], *, seed: int = 0) -> dict[tuple[str, str], float]:
    """Holm-adjusted p-values for every two methods: {(a, b): p}. Values are contributions of the same images."""
    names = list(methods)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    adjusted = holm([paired_test(methods[a], methods[b], seed=seed) for a, b in pairs])
    return dict(zip(pairs, adjusted.tolist(), strict=True))
