"""Intervals over people and images, which are crossed: another study would ask other people about other pictures.

A vote is of one person and of one image, so votes that share either are alike. Which variance is right:

* over votes as if each was alone: too small as soon as people, or images, differ;
* over people and images at once, each vote weighed by the product of how often its person and its image are drawn (the
  pigeonhole bootstrap): too large. Of votes that share nothing it gives three times the variance (Owen, 2007);
* V = V(people) + V(images) - V(votes), each from a bootstrap of its own: right for all of them. What belongs to a
  single vote is in all three and counts once; what people share is in the first, what images share in the second
  (Cameron, Gelbach and Miller, Robust Inference with Multiway Clustering, 2011).

V is itself estimated, and may come out smaller than one of its parts: the largest of the four is taken, which errs on
the safe side.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports import significance
from reports.study.tally import Sums, Tally

FEWEST = 5  # people, or images, below which nothing is said
LEVEL = 0.95

Array = NDArray[np.float64]


def spread(tally: Tally, statistic: Callable[[Sums], Array], seed: int = 0) -> Array:
    """Standard error of a statistic of the votes: the root of V. NaN with fewer than `FEWEST` people or images."""
    flat, k = tally.flat, len(tally.methods)
    shape = statistic(tally.sums).shape
    if fewest(tally) < FEWEST:
        return np.full(shape, np.nan)
    variances = []
    for turn, clusters in enumerate((tally.people, tally.images, np.arange(len(flat)))):
        count = clusters.max() + 1
        summed = np.zeros((count, flat.shape[1]))
        np.add.at(summed, clusters, flat)
        drawn = statistic(Sums(k, significance.resampled_sums(summed, seed + turn)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of two methods that nobody compared: NaN
            variances.append(np.nanvar(drawn, axis=0) * count / (count - 1))
    people, images, votes = variances
    return np.sqrt(np.maximum.reduce([people + images - votes, people, images, votes]))


def fewest(tally: Tally) -> int:
    """The smaller of the numbers of people and of images."""
    return int(min(tally.people.max(), tally.images.max())) + 1


def around(value: Array, error: Array, tally: Tally) -> tuple[Array, Array]:
    """The 95% interval of a number that knows no bounds: value -+ t error, Student's t for the fewer clusters."""
    reach = _quantile(tally) * error
    return value - reach, value + reach


def of_share(share: Array, error: Array, count: Array, tally: Tally) -> tuple[Array, Array]:
    """The 95% interval of a share, always inside [0, 1]: Wilson's, for the effective number of votes.

    That is n = p (1 - p) / error^2, at most `count`: as many independent votes would have this error. Where the share
    is 0 or 1 it is the number of people or of images, if that is smaller.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.where(error > 0, share * (1 - share) / error**2, np.where(np.isnan(error), np.nan, fewest(tally)))
        n, t2 = np.minimum(n, count), _quantile(tally) ** 2
        middle = (share + t2 / (2 * n)) / (1 + t2 / n)
        reach = np.sqrt(t2 * (share * (1 - share) / n + t2 / (4 * n**2))) / (1 + t2 / n)
    return np.clip(middle - reach, 0, share), np.clip(middle + reach, share, 1)


def of_rank(rank: Array, error: Array, k: int, tally: Tally) -> tuple[Array, Array]:
    """The 95% interval of an average rank, always inside [1, k]: that of its share of the way from 1 to k.

    A vote gives any rank, not 1 or k alone, so that its variance may be below p (1 - p): n, the votes for 1 or k that
    would have this error, has no limit here.
    """
    low, high = of_share((rank - 1) / (k - 1), error / (k - 1), np.array(np.inf), tally)
    return 1 + (k - 1) * low, 1 + (k - 1) * high


def _quantile(tally: Tally) -> float:
    return float(special.stdtrit(max(1, fewest(tally) - 1), (1 + LEVEL) / 2))
