"""Agreement between people: Krippendorff's alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reports import significance
from reports.study.votes import Vote

Level = Literal["nominal", "ordinal"]
Array = NDArray[np.float64]


def coincidences(values: Array) -> Array:
    """o[u, c, d] = n[u, c] (n[u, d] - [c = d]) / (m[u] - 1) for each unit u that two people or more judged, else 0.

    `values` (units, categories): how many people gave the unit that value, m[u] in all.
    """
    total = values.sum(axis=-1)
    pairs = values[..., :, None] * (values[..., None, :] - np.eye(values.shape[-1]))
    return np.where(total > 1, 1 / np.maximum(total - 1, 1), 0)[..., None, None] * pairs


def alpha(found: Array, level: Level) -> Array:
    """Krippendorff's alpha = 1 - D_observed / D_expected of coincidences (..., c, c); NaN where all values are one.

    1: people always agree, 0: as by chance. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011). The
    difference of two values is 0 or 1 (nominal), or (sum of n from c to d - (n_c + n_d) / 2)^2 (ordinal).
    """
    counts = found.sum(axis=-1)
    total = counts.sum(axis=-1)
    size = found.shape[-1]
    differ = np.broadcast_to(1 - np.eye(size), found.shape)
    if level == "ordinal":
        below = np.cumsum(counts, axis=-1) - counts / 2  # n of all lower values, and half of its own
        differ = (below[..., :, None] - below[..., None, :]) ** 2
    observed = (found * differ).sum(axis=(-1, -2))
    expected = (counts[..., :, None] * counts[..., None, :] * differ).sum(axis=(-1, -2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - (total - 1) * observed / expected


def between_people(votes: Sequence[Vote], methods: Sequence[str], seed: int = 0) -> tuple[float, float, float]:
    """Alpha of the votes of one place, and the 95% percentile interval over its images.

    Of rankings a unit is a method's picture of an image, its value the rank (ordinal); else a unit is a question, its
    value what was chosen (nominal).
    """
    ranked = any(len(vote.order) > 1 for vote in votes)
    units: dict[tuple[object, ...], Array] = {}
    for vote in votes:
        asked = vote.question
        for rank, name in enumerate(vote.order):
            unit = (asked.image, name if ranked else frozenset(asked.shown))
            value_of = rank if ranked else methods.index(name)
            units.setdefault(unit, np.zeros(len(methods)))[value_of] += 1
    images = np.unique([str(unit[0]) for unit in units], return_inverse=True)[1]
    found = coincidences(np.stack(list(units.values())))
    of_image = np.zeros((images.max() + 1, *found.shape[1:]))
    np.add.at(of_image, images, found)
    level: Level = "ordinal" if ranked else "nominal"
    drawn = significance.resampled_sums(of_image.reshape(len(of_image), -1), seed)
    spread = alpha(drawn.reshape(-1, *found.shape[1:]), level)
    value = float(alpha(of_image.sum(axis=0), level))
    if len(of_image) < significance.MIN_IMAGES or np.isnan(spread).all():
        return value, float("nan"), float("nan")
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return value, float(low), float(high)
