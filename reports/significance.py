"""Which methods differ beyond chance: a paired bootstrap over test images, corrected for many comparisons.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 16; Holm, A Simple Sequentially Rejective
Multiple Test Procedure (1979).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

LEVEL = 0.05
MIN_IMAGES = 10  # with fewer pairs a bootstrap finds significance where there is none
DRAWS = 2000
_CHUNK = 2_000_000  # image counts multiplied at a time


def differences(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """b - a of each column (images, comparisons), NaN where one has no value, and whether a column can be tested.

    Not where a value is infinite: the mean is, too, and without that image it would be another one. Nor with fewer than
    `MIN_IMAGES` images that both have.
    """
    with np.errstate(invalid="ignore"):
        apart = b - a
    both = ~np.isnan(a) & ~np.isnan(b)
    return apart, (both.sum(axis=0) >= MIN_IMAGES) & (both == np.isfinite(apart)).all(axis=0)


def paired_bootstrap(differences: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Two-sided p-value of "the mean difference is zero" for each column of `differences` (images, comparisons).

    All columns share the resampled images. The smallest possible value is 2 / (draws + 1). Fewer than `MIN_IMAGES`
    images give 1: no claim.
    """
    images, comparisons = differences.shape
    if images < MIN_IMAGES:
        return np.ones(comparisons)
    return two_sided(resampled_sums(differences, seed, draws))


def enough(tests: int) -> int:
    """Draws for so many tests: else no p-value could be below the level after the correction."""
    return max(DRAWS, 100 * tests)


def two_sided(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values of "it is zero" from what was drawn of each difference: (draws, comparisons) -> (comparisons,)."""
    at_most, at_least = (drawn <= 0).sum(axis=0), (drawn >= 0).sum(axis=0)
    return np.minimum(1.0, 2 * (np.minimum(at_most, at_least) + 1) / (len(drawn) + 1))


def resampled_means(values: NDArray[np.float64], seed: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """Means of each column of `values` (images, columns) over resampled images, without NaN: (draws, columns).

    NaN where a draw has no value, and for a column with an infinite one.
    """
    with np.errstate(invalid="ignore"):
        known = ~np.isnan(values)
        sums = resampled_sums(np.where(known, values, 0.0), seed, draws)
        return sums / resampled_sums(known.astype(float), seed, draws)


def interval(differences: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Expanded percentile interval of the mean of `differences` (images,), at 1 - `LEVEL`: 95 %.

    The percentiles are Phi(sqrt(n / (n - 1)) t(LEVEL / 2, n - 1)) instead of LEVEL / 2, since a percentile interval
    is too narrow for few images (Hesterberg, What Teachers Should Know About the Bootstrap, 2015). It tells the chance
    of which images were tested, and nothing of another training run. Fewer than `MIN_IMAGES` images give (nan, nan).
    """
    if len(differences) < MIN_IMAGES:
        return float("nan"), float("nan")
    low, high = percentiles(resampled_means(differences[:, None], seed, draws), len(differences))
    return float(low[0]), float(high[0])


def percentiles(means: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The expanded percentiles of `interval`, of means over `n` resampled images: (draws, columns) -> (2, columns)."""
    tail = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, LEVEL / 2))
    return np.quantile(means, [tail, 1 - tail], axis=0)


def resampled_sums(values: NDArray[np.float64], seed: int, draws: int = DRAWS) -> NDArray[np.float64]:
    """Sums of each column of `values` (images, columns) over resampled images: (draws, columns)."""
    counts, step = _resamples(len(values), draws, seed), max(1, _CHUNK // len(values))
    return np.concatenate([counts[i : i + step].astype(float) @ values for i in range(0, draws, step)])


@lru_cache(maxsize=2)
def _resamples(images: int, draws: int, seed: int) -> NDArray[np.uint16]:
    """How often each image is drawn: (draws, images). Kept, since every column of a table has the same images."""
    generator = np.random.default_rng(seed)
    draw = (np.bincount(generator.integers(0, images, images), minlength=images) for _ in range(draws))
    return np.stack([counts.astype(np.uint16) for counts in draw])


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down adjustment: reject where the adjusted value is below the level."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted
