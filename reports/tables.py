"""The main tables from result rows: methods × conditions with significance, and methods × cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError
from reports import conditions, numbers, results, significance
from reports.table import Block, Cell, Column, Mark, Row, Table, rank, ranked

MAIN = ("lpips", "perceptual", "fid", "psnr")
NOT_RUN = "not run"
SIGNIFICANCE_NOTE = (
    f"Bold: better than every other method at the {significance.LEVEL:.0%} level. Where no method is, the best value "
    "and all that do not differ from it significantly are underlined, else the second best. Metrics of single images: "
    f"paired bootstrap over images ({significance.DRAWS} draws) with Holm's correction; metrics of whole sets: the "
    "95% intervals do not overlap."
)


def main_table(
    rows: pd.DataFrame | str | Path,
    *,
    metrics: Sequence[str] | None = None,
    per_image: pd.DataFrame | None = None,
    intervals: bool = False,
    protocol: dict[str, Any] | None = None,
) -> Table:
    """Methods × conditions, one block of rows for each data set, number of shots and metric.

    `rows` are tidy result rows (`results.parquet`) or a run's folder. `metrics` are names such as "fid@embedded"; by
    default the main metrics of the protocol, else the leading perceptual, Fréchet and pixel metric. With `intervals`,
    95 % intervals stand behind the values and bold means significantly best (`per_image` rows serve the paired test).
    Raises BenchError for an unknown metric, and for several variants of SSIM.
    """
    if not isinstance(rows, pd.DataFrame):
        run = results.load(Path(rows))
        rows, protocol = run.rows, protocol or run.protocol
        per_image = run.per_image if per_image is None else per_image
    rows = results.tidy(rows)
    known = list(dict.fromkeys(rows["metric"]))
    unknown = [metric for metric in metrics or () if metric not in known]
    if unknown:
        raise BenchError(f"unknown metric {', '.join(unknown)}; these results have {', '.join(known)}")
    metrics = checked(metrics or main_metrics(known, protocol))
    return by_condition(results.over_seeds(rows), metrics, per_image, intervals, protocol)


def main_metrics(known: Sequence[str], protocol: dict[str, Any] | None) -> list[str]:
    """The metrics of the suite's main table (`report: main:` of the suite), else the leading one of each kind."""
    suite = (protocol or {}).get("suite")
    asked = suite.get("report", {}).get("main", []) if isinstance(suite, dict) else []
    leading = [next((m for m in known if numbers.family(m) == family), None) for family in MAIN]
    return compatible([m for m in asked if m in known]) or [m for m in leading if m] or list(known[:1])


def compatible(metrics: Sequence[str]) -> list[str]:
    """The metrics without a second variant of SSIM, whose values differ too much to stand in one table."""
    first = next((m for m in metrics if numbers.family(m) == "ssim"), None)
    return [m for m in metrics if m == first or numbers.family(m) != "ssim"]


def checked(metrics: Sequence[str]) -> Sequence[str]:
    """The metrics of one table. Raises BenchError for several variants of SSIM."""
    if len(compatible(metrics)) < len(metrics):
        variants = [m for m in metrics if numbers.family(m) == "ssim"]
        raise BenchError(f"{' and '.join(variants)} are different measures: make a table for each")
    return metrics


def by_condition(
    cells: pd.DataFrame,
    metrics: Sequence[str],
    per_image: pd.DataFrame | None = None,
    intervals: bool = False,
    protocol: dict[str, Any] | None = None,
) -> Table:
    """Methods × conditions from `results.over_seeds` rows: see `main_table`."""
    chosen = cells[cells["metric"].isin(metrics)]
    heads = conditions.ordered(chosen["condition"])
    columns = tuple(Column(c.label, c.family) for c in heads)
    pairs = None
    if intervals and per_image is not None:
        pairs = _PerImage(per_image[per_image["metric"].isin(metrics)], chosen)
    shots = results.shots_titles(chosen["shots"])
    cells_of = dict(iter(chosen.groupby(["dataset", "shots", "metric"], sort=False)))
    blocks = []
    for dataset, (number, shots_title), metric in product(dict.fromkeys(chosen["dataset"]), shots.items(), metrics):
        if (dataset, number, metric) in cells_of:
            title = ", ".join(filter(None, [dataset, shots_title]))
            names = [c.name for c in heads]
            blocks.append(_block(cells_of[dataset, number, metric], title, names, pairs, intervals))
    titles = list(dict.fromkeys(chosen.set_index("metric")["metric_title"].loc[list(metrics)]))
    return Table(
        title=f"{', '.join(titles)} by condition",
        stub="Method",
        columns=columns,
        blocks=tuple(blocks) if intervals else ranked(blocks, columns),
        notes=notes(chosen, protocol, intervals),
        intervals=intervals,
    )


def by_cost(cells: pd.DataFrame, costs: pd.DataFrame) -> Table:
    """Methods × cost: millions of parameters and billions of multiply-accumulates, from plain counts in `costs`."""
    labels = cells.drop_duplicates("label").merge(costs[results.COSTS], on=results.METHOD)
    rows = [Row(r.label, (Cell(r.params / 1e6), Cell(r.macs / 1e9))) for r in labels.itertuples()]
    columns = (Column("Parameters (M)", "", False), Column("MACs (G)", "", False))
    return Table("Cost", "Method", columns, ranked([Block(tuple(rows))], columns))


def cell(row: Any) -> Cell:
    """A table cell from one row of `results.over_seeds`."""
    places = numbers.decimals(row.metric)
    return Cell(row.value, places, row.low, row.high, row.spread, row.note, comparable=row.comparable)


def _block(block: pd.DataFrame, title: str, names: Sequence[str], pairs: _PerImage | None, intervals: bool) -> Block:
    first = block.iloc[0]
    lookup = {(r.label, r.condition): cell(r) for r in block.itertuples()}
    labels = list(dict.fromkeys(block["label"]))
    grid = [[lookup.get((label, name), Cell(note=NOT_RUN)) for name in names] for label in labels]
    higher = bool(first.higher_is_better)
    if intervals:
        for c, name in enumerate(names):
            scores = pairs.scores(first.dataset, first.shots, name, first.metric) if pairs else {}
            marks = significant_marks([line[c] for line in grid], [scores.get(label) for label in labels], higher)
            for line, mark in zip(grid, marks, strict=True):
                line[c] = replace(line[c], mark=mark)
    rows = tuple(Row(label, tuple(line)) for label, line in zip(labels, grid, strict=True))
    return Block(rows, f"{title}: {first.metric_title}", higher)


class _PerImage:
    """Per-image values in each cell of the protocol, averaged over seeds."""

    def __init__(self, per_image: pd.DataFrame, cells: pd.DataFrame) -> None:
        keys = ["dataset", "shots", "condition", "metric"]
        names = [*keys, *results.METHOD, "id"]
        frame = per_image[[*names, "value"]].astype(dict.fromkeys(names, "category"))
        frame["shots"] = frame["shots"].cat.rename_categories(str)
        means = frame.groupby(names, sort=False, observed=True)["value"].mean().reset_index()
        means = means.merge(cells[[*results.METHOD, "label"]].drop_duplicates(), on=results.METHOD)
        self._rows = means.groupby(keys, sort=False, observed=True).indices
        self._ids = pd.factorize(means["id"].astype(str), sort=True)[0]
        self._labels, self._names = pd.factorize(means["label"])
        self._values = means["value"].to_numpy(dtype=float)

    def scores(self, *cell: str) -> dict[str, NDArray[np.float64]]:
        """The values of each method (its label), all in the order of the image ids; NaN where a method lacks one."""
        if cell not in self._rows:
            return {}
        here = self._rows[cell]
        ids, row = np.unique(self._ids[here], return_inverse=True)
        labels, column = np.unique(self._labels[here], return_inverse=True)
        grid = np.full((len(labels), len(ids)), math.nan)
        grid[column, row] = self._values[here]
        return dict(zip(self._names[labels], grid, strict=True))


def significant_marks(
    cells: Sequence[Cell], scores: Sequence[NDArray[np.float64] | None], higher_is_better: bool
) -> list[Mark]:
    """Marks of one column under a test of significance: see `SIGNIFICANCE_NOTE`.

    `scores` holds each method's per-image values, for all the same images in the same order; where either of two
    methods has none, their intervals decide.
    """
    marks = rank(cells, higher_is_better)
    if "best" not in marks:
        return marks
    best = marks.index("best")
    rivals = [i for i, cell in enumerate(cells) if i != best and not math.isnan(cell.value)]
    beaten = dict(zip(rivals, _beaten(cells, scores, best, rivals), strict=True))
    if all(beaten.values()):
        return marks
    return ["second" if i == best or not beaten.get(i, True) else "" for i in range(len(cells))]


def _beaten(
    cells: Sequence[Cell], scores: Sequence[NDArray[np.float64] | None], best: int, rivals: Sequence[int]
) -> list[bool]:
    """Is each rival significantly worse than the best?"""
    ours = scores[best]
    paired = {rival: ours - theirs for rival in rivals if ours is not None and (theirs := scores[rival]) is not None}
    verdict = {}
    if paired:
        differences = np.column_stack(list(paired.values()))
        differences = differences[np.isfinite(differences).all(axis=1)]
        p = significance.holm(significance.paired_bootstrap(differences))
        verdict = dict(zip(paired, p < significance.LEVEL, strict=True))
    for rival in rivals:
        if rival not in paired:
            lows, highs = (cells[best].low, cells[rival].low), (cells[best].high, cells[rival].high)
            verdict[rival] = max(lows) > min(highs)
    return [bool(verdict[rival]) for rival in rivals]


def notes(cells: pd.DataFrame, protocol: dict[str, Any] | None, intervals: bool) -> tuple[str, ...]:
    """What stands below a table of `results.over_seeds` rows: seeds, significance, metrics, protocol."""
    lines = []
    several = sorted(set(cells["asked"][cells["asked"] > 1]))
    if several:
        counts = " or ".join(str(count) for count in several)
        after = "intervals cover those of every seed" if intervals else "± is the standard deviation over them"
        lines.append(f"Means over {counts} seeds; {after}.")
    if intervals:
        lines.append(SIGNIFICANCE_NOTE)
    metrics = [*cells.drop_duplicates("metric_title").itertuples()]
    lines += [f"{metric.metric_title}: {metric.caution}." for metric in metrics if metric.caution]
    named = [f"{metric.metric_title}: {metric.extractor}" for metric in metrics if metric.extractor]
    if named:
        lines.append(f"Extractors: {'; '.join(named)}.")
    if protocol and protocol.get("mixed"):
        lines.append(f"NOT COMPARABLE, rows of different protocols: {'; '.join(protocol['mixed'])}.")
    if protocol and protocol.get("joined"):
        lines.append(f"Rows of other runs, of the same protocol: {'; '.join(protocol['joined'])}.")
    if protocol and protocol.get("hash"):
        lines.append(f"Protocol {protocol['hash']}.")
    return tuple(lines)
