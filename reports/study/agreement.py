"""Agreement between people: Krippendorff's alpha."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports import significance
from reports.study.votes import Vote

Array = NDArray[np.float64]


def coincidences(values: Array) -> Array:
    """o[u, c, d] = n[u, c] (n[u, d] - [c = d]) / (m[u] - 1) for each unit u that two people or more judged, else 0.

    `values` (units, categories): how many people gave the unit that value, m[u] in all.
    """
    total = values.sum(axis=-1)
    pairs = values[..., :, None] * (values[..., None, :] - np.eye(values.shape[-1]))
    return np.where(total > 1, 1 / np.maximum(total - 1, 1), 0)[..., None, None] * pairs


def alpha(found: Array) -> Array:
    """Krippendorff's alpha = 1 - D_observed / D_expected of coincidences (..., c, c), ordinal; NaN where none differ.

    1: people always agree, 0: as by chance. The difference of the values c and d is the square of the sum of n from c
    to d, less (n_c + n_d) / 2. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    counts = found.sum(axis=-1)
    below = np.cumsum(counts, axis=-1) - counts / 2  # n of all lower values, and half of its own
    differ = (below[..., :, None] - below[..., None, :]) ** 2
    observed = (found * differ).sum(axis=(-1, -2))
    expected = (counts[..., :, None] * counts[..., None, :] * differ).sum(axis=(-1, -2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - (counts.sum(axis=-1) - 1) * observed / expected


def between_people(votes: Sequence[Vote], seed: int = 0) -> tuple[float, float, float]:
    """Alpha of the votes of one place, and the 95% percentile interval over its images.

    A unit is one picture of a question, its value the rank: of what was chosen 1, of what was not 2.
    """
    most = max(len(vote.question.shown) for vote in votes)
    units: dict[tuple[str, frozenset[str], str], Array] = {}
    for vote in votes:
        asked = vote.question
        for name in asked.shown:
            rank = vote.order.index(name) if name in vote.order else len(vote.order)
            unit = (asked.image, frozenset(asked.shown), name)
            units.setdefault(unit, np.zeros(most))[rank] += 1
    images = np.unique([image for image, _, _ in units], return_inverse=True)[1]
    found = coincidences(np.stack(list(units.values())))
    of_image = np.zeros((images.max() + 1, *found.shape[1:]))
    np.add.at(of_image, images, found)
    value = float(alpha(of_image.sum(axis=0)))
    spread = alpha(significance.resampled_sums(of_image.reshape(len(of_image), -1), seed).reshape(-1, most, most))
    if len(of_image) < significance.MIN_IMAGES or np.isnan(spread).all():
        return value, float("nan"), float("nan")
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return value, float(low), float(high)
