"""What bold and underlined mean, in every table of results: the best value that a test tells from all others."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports import results, significance
from reports.table import Block, Cell, Column, Mark, direction, rank

NOTE = (
    f"Bold: better than every other method at the {significance.LEVEL:.0%} level; the second best is underlined. Where "
    "no method is, nothing is bold: the best value is underlined, and all that the test does not tell from it. Test: "
    f"paired bootstrap over the images that both have ({significance.DRAWS} draws or more) with Holm's correction; "
    "where images have no values, 95% intervals that do not overlap. Not tested: values without intervals, infinite "
    f"ones, and fewer than {significance.MIN_IMAGES} images; where nothing is, the best value is underlined alone."
)
SCORES = ["dataset", "shots", "condition", "metric"]

Values = NDArray[np.float64] | None  # of one cell: a value an image, in one order for the whole column; NaN where none
Beaten = Callable[[int, list[int]], Mapping[int, bool | None]]
"""Best, rivals -> is a rival worse? None: its images' values cannot be tested. Without those whose images have none."""


class Place(NamedTuple):
    """What a cell is about. Without a condition: the means over all of them."""

    label: str
    dataset: str
    shots: str
    condition: str
    metric: str


class PerImage:
    """Values of single images, means over seeds: what tells methods apart beyond chance."""

    def __init__(self, per_image: pd.DataFrame | None, rows: pd.DataFrame) -> None:
        """Those of the methods, data sets and metrics of `rows`, which have a `label`."""
        names = [*SCORES, *results.METHOD, "id"]
        if per_image is None:
            per_image = pd.DataFrame(columns=[*names, "value"])
        wanted = per_image["metric"].isin(set(rows["metric"])) & per_image["dataset"].isin(set(rows["dataset"]))
        frame = per_image.loc[wanted, [*names, "value"]].astype(dict.fromkeys(names, "category"))
        frame["shots"] = frame["shots"].cat.rename_categories(str)
        means = frame.groupby(names, sort=False, observed=True)["value"].mean().reset_index()
        self._keep(means.merge(rows[[*results.METHOD, "label"]].drop_duplicates(), on=results.METHOD))

    def _keep(self, means: pd.DataFrame) -> None:
        self._means = means
        self._rows = means.groupby(list(Place._fields), sort=False, observed=True).indices
        self._names = means["id"].astype(str).to_numpy(object)
        self._ids = pd.factorize(self._names, sort=True)[0]
        self._values = means["value"].to_numpy(dtype=float)
        self._known: dict[tuple[Place, ...], Mapping[int, bool | None]] = {}

    def over(self, conditions: Collection[str]) -> PerImage:
        """The means of each image over conditions, which then have no name."""
        chosen = self._means[self._means["condition"].isin(conditions)]
        names = [*(field for field in Place._fields if field != "condition"), "id"]
        means = chosen.groupby(names, sort=False, observed=True)["value"].mean().reset_index()
        made = PerImage.__new__(PerImage)
        made._keep(means.assign(condition=""))
        return made

    def values(self, places: Sequence[Place]) -> list[Values]:
        """The values of some cells, all in the order of the image ids; None where a cell has none."""
        rows = [self._rows.get(tuple(place)) for place in places]
        found = [row for row in rows if row is not None]
        ids = np.unique(self._ids[np.concatenate(found)]) if found else np.array([], int)
        made: list[Values] = []
        for row in rows:
            made.append(None if row is None else np.full(len(ids), math.nan))
            if row is not None:
                made[-1][np.searchsorted(ids, self._ids[row])] = self._values[row]  # type: ignore[index]
        return made

    def pairs(self, a: Place, b: Place) -> tuple[NDArray[np.object_], NDArray[np.float64], NDArray[np.float64]]:
        """Ids of the images that have a value in both cells, and their values in each."""
        found = []
        for place in (a, b):
            rows = self._rows.get(tuple(place), np.array([], int))
            found.append(pd.Series(self._values[rows], index=self._names[rows]))
        both = pd.concat(found, axis=1, join="inner")
        both = both.dropna().sort_index()
        return both.index.to_numpy(object), both[0].to_numpy(float), both[1].to_numpy(float)

    def images(self, *places: Place) -> int:
        """How many images have a value in any of the cells."""
        found = [self._rows.get(tuple(place), np.array([], int)) for place in places]
        rows = np.concatenate(found)
        return len(np.unique(self._ids[rows[~np.isnan(self._values[rows])]]))

    def beaten(self, places: Sequence[Place]) -> Beaten:
        """The paired test of one column. A verdict is kept: several tables have the same column."""

        def beaten(best: int, rivals: list[int]) -> dict[int, bool | None]:
            order = [places[i] for i in (best, *rivals)]
            if len({place.dataset for place in order}) > 1:
                return {}  # other images: they make no pairs
            key = tuple(order)
            if key not in self._known:
                self._known[key] = paired(self.values(order))(0, list(range(1, len(order))))
            return {r: self._known[key][i] for i, r in enumerate(rivals, 1) if i in self._known[key]}

        return beaten


def paired(values: Sequence[Values]) -> Beaten:
    """The test of cells whose images have values: see `NOTE`."""

    def beaten(best: int, rivals: list[int]) -> dict[int, bool | None]:
        ours, there = values[best], {r: found for r in rivals if (found := values[r]) is not None}
        if ours is None or not there:
            return {}
        differences, able = significance.differences(np.column_stack(list(there.values())), ours[:, None])
        differences = differences[:, able]
        finite, draws = np.isfinite(differences), significance.enough(able.sum())
        p = np.ones(able.sum())
        for images in np.unique(finite, axis=1).T:  # those that both have
            alike = (finite == images[:, None]).all(axis=0)
            p[alike] = significance.paired_bootstrap(differences[images][:, alike], draws)
        worse = iter((significance.holm(p) < significance.LEVEL).tolist())
        return {r: next(worse) if tested else None for r, tested in zip(there, able, strict=True)}

    return beaten


def marks(cells: Sequence[Cell], higher_is_better: bool | None, beaten: Beaten | None = None) -> list[Mark]:
    """The mark of each cell of one column: see `NOTE`.

    Where `beaten` says nothing of a rival, the intervals decide; one that has none is not told from the best. Where
    nothing can be tested, the best is underlined alone. Cells that stand apart take no part.
    """
    here = [i for i, cell in enumerate(cells) if not cell.apart]
    made: list[Mark] = [""] * len(cells)
    order = rank([cells[i] for i in here], higher_is_better)
    if "best" not in order:
        return made
    ties = [i for i, mark in zip(here, order, strict=True) if mark == "best"]  # as they are printed
    best = (max if higher_is_better else min)(ties, key=lambda i: cells[i].value)
    rivals = [i for i in here if i != best and not math.isnan(cells[i].value)]
    verdict = dict(beaten(best, rivals)) if beaten else {}
    for rival in rivals:
        low, high = max(cells[best].low, cells[rival].low), min(cells[best].high, cells[rival].high)
        if rival not in verdict and not math.isnan(cells[best].low + cells[rival].low):
            verdict[rival] = low > high
    if all(verdict.get(rival) for rival in rivals):
        second = [i for i in ties if i != best] or [i for i, mark in zip(here, order, strict=True) if mark == "second"]
        named: dict[int, Mark] = {best: "best", **dict.fromkeys(second, "second")}
    elif any(worse is not None for worse in verdict.values()):
        named = {i: "second" for i in (best, *rivals) if not verdict.get(i)}
    else:
        named = dict.fromkeys(ties, "second")
    return [named.get(i, "") for i in range(len(cells))]


def marked(
    blocks: Sequence[Block], columns: Sequence[Column], beaten: Callable[[int, int], Beaten]
) -> tuple[Block, ...]:
    """Blocks with the marks of every column; `beaten` gives the test of column c of block b."""
    made = []
    for b, block in enumerate(blocks):
        lines = [list(row.cells) for row in block.rows]
        for c, column in enumerate(columns):
            found = marks([line[c] for line in lines], direction(block, column), beaten(b, c))
            for line, mark in zip(lines, found, strict=True):
                line[c] = replace(line[c], mark=mark)
        rows = (replace(row, cells=tuple(line)) for row, line in zip(block.rows, lines, strict=True))
        made.append(replace(block, rows=tuple(rows)))
    return tuple(made)


def explained(blocks: Sequence[Block]) -> tuple[str, ...]:
    """The rule, for what stands below a table: where it has marks."""
    return (NOTE,) if any(cell.mark for block in blocks for row in block.rows for cell in row.cells) else ()
