"""Every method against every other, image by image: what the compare page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports import conditions, markup, numbers, results, significance
from reports.marks import PerImage, Place
from reports.page import browser
from reports.site.gather import Board, Source
from reports.site.pages import Pages, black

Tested = NDArray[np.float64]  # (5, pairs): difference, low, high, p, n


def write(pages: Pages, boards: Sequence[Board], sources: Sequence[Source], index: dict[str, Any]) -> None:
    """Write the page, and what it loads: a script for each board and metric."""
    listed = []
    for board in boards:
        titles = results.shots_titles(board.cells["shots"])
        for shots in reversed(titles):  # the most first
            cells = board.cells[(board.cells["shots"] == shots) & board.cells["value"].notna()]
            labels = list(dict.fromkeys(cells["label"]))
            if len(labels) < 2:
                continue
            metrics = []
            for metric, stem in markup.slugs(cells["metric"]).items():
                rows = cells[cells["metric"] == metric]
                first = rows.iloc[0]
                stem = "-".join(["pairs", board.slug, stem, *[shots] * (len(titles) > 1)])
                pages.data(stem, _compared(rows, labels, board.per_image))
                title = numbers.head(first.metric_title, bool(first.higher_is_better))
                metrics.append({"title": title, "stem": stem, "decimals": numbers.decimals(metric)})
            title = ", ".join(filter(None, (board.title, titles[shots])))
            listed.append({"title": title, "board": board.title, "labels": labels, "metrics": metrics})
    pages.write(
        "compare.html",
        "Compare",
        "compare.html",
        data={"compared": listed, "level": significance.LEVEL},
        compared=bool(listed),
        draws=significance.DRAWS,
        least=significance.MIN_IMAGES,
        browser=browser(index, black(sources)),
    )


def all_pairs(values: NDArray[np.float64], draws: int = significance.DRAWS) -> Tested:
    """All pairs of columns of `values` (images, methods; NaN where one is missing): B - A for each A before B.

    The difference of means over the images that both have, its interval, p, as of `significance`, and how many images
    these are; of infinite values the last alone. Columns without gaps share their resampled means: the mean of a
    difference is the difference of the means.
    """
    count = values.shape[1]
    a, b = np.triu_indices(count, 1)
    made = np.full((5, len(a)), math.nan)
    known: NDArray[np.bool_] = ~np.isnan(values)
    finite = ~np.isinf(values).any(axis=0)
    enough = len(values) >= significance.MIN_IMAGES
    whole: NDArray[np.bool_] = np.asarray(finite & known.all(axis=0) & enough)
    both = whole[a] & whole[b]
    made[4, both] = len(values)
    if both.any():
        means = np.full((draws, count), math.nan)
        means[:, whole] = significance.resampled_means(values[:, whole], 0, draws)
        drawn = means[:, b[both]] - means[:, a[both]]
        made[0, both] = values[:, b[both]].mean(axis=0) - values[:, a[both]].mean(axis=0)
        made[1:3, both] = significance.percentiles(drawn, len(values))
        made[3, both] = significance.two_sided(drawn)
    for k in np.flatnonzero(~both):
        shared = known[:, a[k]] & known[:, b[k]]
        made[4, k] = shared.sum()
        apart, _ = significance.differences(values[shared, a[k]], values[shared, b[k]])
        if len(apart) and np.isfinite(apart).all():
            made[:4, k] = (
                apart.mean(),
                *significance.interval(apart, draws),
                significance.paired_bootstrap(apart[:, None], draws)[0],
            )
    return made


def _compared(rows: pd.DataFrame, labels: Sequence[str], per_image: PerImage) -> list[dict[str, Any]]:
    """Of each condition its title, each method's value, and every pair; p is corrected over the conditions."""
    places = numbers.decimals(rows["metric"].iloc[0])
    found, every = [], conditions.ordered(rows["condition"])
    draws = significance.enough(len(every))
    for condition in every:
        here = rows[rows["condition"] == condition.name]
        known = dict(zip(here["label"], here["value"], strict=True))
        first = here.iloc[0]
        where = [Place(label, first.dataset, first.shots, condition.name, first.metric) for label in labels]
        values = per_image.values(where)
        length = max((len(column) for column in values if column is not None), default=0)
        columns = np.column_stack([np.full(length, math.nan) if column is None else column for column in values])
        means = [
            known.get(label, math.nan) if column is None else _mean(column)
            for label, column in zip(labels, values, strict=True)
        ]
        found.append((condition.title, means, all_pairs(columns, draws)))
    p = np.stack([pairs[3] for _, _, pairs in found])
    for k in range(p.shape[1]):
        there = ~np.isnan(p[:, k])
        p[there, k] = significance.holm(p[there, k])
    return [
        {
            "title": title,
            "values": ["∞" if value == math.inf else _rounded(value, places) for value in values],
            "pairs": [
                [*(_rounded(x, places) for x in pair), _rounded(corrected, 4), int(images)]
                for *pair, _, images, corrected in zip(*pairs.tolist(), p[i].tolist(), strict=True)
            ],
        }
        for i, (title, values, pairs) in enumerate(found)
    ]


def _mean(column: NDArray[np.float64]) -> float:
    """Over the images that have a value."""
    there = column[~np.isnan(column)]
    return float(there.mean()) if len(there) else math.nan


def _rounded(value: float, places: int) -> float | None:
    return round(value, places) if math.isfinite(value) else None
