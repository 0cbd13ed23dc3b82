"""Scores of a user study: one row for each measure of each method at each place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bench.study.design import Place
from reports.study import agreement, intervals, strengths
from reports.study.tally import Array, Sums, Tally, tally
from reports.study.votes import Votes

COLUMNS = ["dataset", "condition", "measure", "method", "against", "value", "low", "high", "interval"]
COLUMNS += ["votes", "people", "images"]
WILSON, STUDENT, PERCENTILE = "Wilson", "t", "percentile"  # kinds of interval
RANK, FIRST, SHARE, PREFERENCE, STRENGTH, ALPHA = (
    "average rank",
    "share of first ranks",
    "share of rank {}",
    "preference",
    "strength",
    "agreement",
)


def scores(votes: Votes) -> pd.DataFrame:
    """The measures of every place that has votes, with 95% intervals (`reports.study.intervals`).

    average rank (rankings; 1 = best); share of first ranks (of the votes that saw the method, how many put it first),
    share of rank 1, 2, ... (rankings); preference (of the votes between `method` and `against`, how many are for
    `method`); strength (Bradley-Terry, of mean 0); agreement (Krippendorff's alpha, of no method). Shares are in
    [0, 1].
    """
    rows = [row for place in votes.study.places for row in _place(votes, place)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _place(votes: Votes, place: Place) -> Iterator[dict[str, Any]]:
    asked = ((vote, vote.question) for vote in votes.counted)
    here = [vote for vote, one in asked if (one.dataset, one.condition) == (place.dataset, place.condition)]
    seen = {name for vote in here for name in vote.question.shown}
    methods = [name for name in place.methods if name in seen]
    if not here:
        return
    found = tally(here, methods)
    facts = {
        "dataset": place.dataset,
        "condition": place.condition,
        "people": len(set(found.people)),
        "images": len(set(found.images)),
        "against": "",
    }
    ranked = votes.study.kind == "ranking"
    k, sums = len(methods), found.sums
    first = str(votes.study.facts.get("against"))  # of a pair, where it is one of it
    pairs = [(j, i) if methods[j] == first else (i, j) for i, j in combinations(range(k), 2)]
    error = _Errors(found)
    numbers: list[tuple[str, int, float, tuple[Any, Any], Any]] = []
    if ranked:
        of_rank = intervals.of_rank(sums.average_rank, error.average_rank, k, found)
        numbers += [(RANK, i, sums.average_rank[i], _at(of_rank, i), sums.shown[i]) for i in range(k)]
    if votes.study.kind != "2afc":
        of_share = intervals.of_share(sums.shares, error.shares, sums.shown[:, None], found)
        numbers += [(FIRST, i, sums.shares[i, 0], _at(of_share, (i, 0)), sums.shown[i]) for i in range(k)]
        for rank in range(k if ranked else 0):
            name = SHARE.format(rank + 1)
            numbers += [(name, i, sums.shares[i, rank], _at(of_share, (i, rank)), sums.shown[i]) for i in range(k)]
    of_strength = intervals.around(sums.strengths, error.strengths, found)
    numbers += [(STRENGTH, i, sums.strengths[i], _at(of_strength, i), sums.shown[i]) for i in range(k)]
    for measure, i, value, (low, high), count in numbers:
        yield facts | {
            "measure": measure,
            "method": methods[i],
            "value": value,
            "low": low,
            "high": high,
            "interval": STUDENT if measure == STRENGTH else WILSON,
            "votes": count,
        }
    of_pair = intervals.of_share(sums.preference, error.preference, sums.compared, found)
    for i, j in pairs:
        if sums.compared[i, j]:
            low, high = _at(of_pair, (i, j))
            row = {"measure": PREFERENCE, "method": methods[i], "against": methods[j], "value": sums.preference[i, j]}
            yield facts | row | {"low": low, "high": high, "interval": WILSON, "votes": sums.compared[i, j]}
    value, low, high = agreement.between_people(here)
    row = {"measure": ALPHA, "method": "", "value": value, "low": low, "high": high, "interval": PERCENTILE}
    yield facts | row | {"votes": len(here)}


def _at(bounds: tuple[Array, Array], where: Any) -> tuple[float, float]:
    return float(bounds[0][where]), float(bounds[1][where])


class _Errors:
    """Standard errors of all measures of one place, from the same draws."""

    def __init__(self, found: Tally) -> None:
        k = len(found.methods)

        def every(sums: Sums) -> Array:
            parts = [sums.average_rank, sums.strengths, sums.shares, sums.preference]
            return np.concatenate([part.reshape(*sums.flat.shape[:-1], -1) for part in parts], axis=-1)

        error = intervals.spread(found, every)
        self.average_rank = error[:k]
        self.strengths = np.maximum(error[k : 2 * k], strengths.least_error(found.sums.wins))
        self.shares = error[2 * k : 2 * k + k * k].reshape(k, k)
        self.preference = error[2 * k + k * k :].reshape(k, k)
