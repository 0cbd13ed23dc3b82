"""Results by group: how a method does for each kind of face, and how far its best and its worst group are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports import conditions, numbers, results, significance
from reports.marks import Beaten, marked, paired
from reports.markup import slugs
from reports.results import Results
from reports.table import Block, Cell, Column, Row, Table
from reports.tables import compatible, notes

FEW = significance.MIN_IMAGES
PARTLY = "not every condition has values of single images"
WORST, GAP = "worst", "gap"
LEVEL = (0.025, 0.975)

Scores = dict[tuple[str, str, str], NDArray[np.float64]]  # (shots, metric, label) -> a value an image
Key = tuple[str, str, str]


def tables(found: Results, cells: pd.DataFrame) -> dict[str, Table]:
    """Methods × groups for each data set whose images have groups, by the stem of its files, plain and with intervals.

    All metrics of single images are shown, blocks as in `tables.by_condition`; `cells` are `results.over_seeds` rows.
    """
    made: dict[str, Table] = {}
    if found.groups is None or found.per_image is None:
        return made
    for dataset, slug in slugs(found.groups["dataset"]).items():
        groups = found.groups[found.groups["dataset"] == dataset]
        here = cells[(cells["dataset"] == dataset) & cells["metric"].isin(compatible(results.single(cells["metric"])))]
        if len(here):
            made[f"groups-{slug}"] = table = _table(dataset, groups, found.per_image, here, found.protocol)
            made[f"groups-{slug}-intervals"] = replace(table, intervals=True)
    return made


def _table(
    dataset: str,
    groups: pd.DataFrame,
    per_image: pd.DataFrame,
    cells: pd.DataFrame,
    protocol: dict[str, Any],
) -> Table:
    ids = sorted(set(groups["id"]))
    scores = _scores(dataset, ids, per_image, cells)
    columns: list[Column] = []
    members_of: list[NDArray[np.bool_] | None] = []  # of a column, the images it is about
    lines: dict[Key, list[Cell]] = {key: [] for key in scores}
    for attribute, members in groups.groupby("attribute", sort=False):
        of = dict(zip(members["id"], members["group"], strict=True))
        of_image = np.array([of.get(image, "") for image in ids], dtype=object)
        names = sorted(set(of.values()))
        columns += [Column(f"{name} (n = {(of_image == name).sum()})", attribute) for name in names]
        columns += [Column(WORST, attribute), Column(GAP, attribute, False)]
        members_of += [*(of_image == name for name in names), None, None]
        for key, line in _attribute(scores, of_image, names, cells).items():
            lines[key] += line
    remarks = cells[cells["note"] != ""].groupby(["shots", "metric", "label"])["note"].first()
    titles = results.shots_titles(cells["shots"])
    blocks, keys = [], []
    for shots, metric in product(titles, dict.fromkeys(cells["metric"])):
        block = cells[(cells["shots"] == shots) & (cells["metric"] == metric)]
        rows = []
        for label in dict.fromkeys(block["label"]):
            key = (shots, metric, label)
            said = remarks.get(key, "")
            found = lines.get(key) or [Cell(note=PARTLY)] * len(columns)
            noted = [replace(one, note="; ".join(filter(None, (one.note, said)))) for one in found]
            rows.append(Row(label, tuple(noted)))
        if rows:
            first = block.iloc[0]
            title = f"{', '.join(filter(None, [dataset, titles[shots]]))}: {first.metric_title}"
            blocks.append(Block(tuple(rows), title, bool(first.higher_is_better)))
            keys.append((shots, metric))

    def beaten(b: int, c: int) -> Beaten:
        """Methods are compared on the images of a group; the worst groups of two methods may be of other images."""
        found = [scores.get((*keys[b], row.title)) for row in blocks[b].rows]
        inside = members_of[c]
        return paired([None if one is None or inside is None else one[inside] for one in found])

    made = marked(blocks, columns, beaten)
    return Table(
        title=f"{dataset} by group",
        stub="Method",
        columns=tuple(columns),
        blocks=made,
        notes=(*_explained(cells), *notes(cells.assign(asked=1), protocol, made)),  # seeds are told here
    )


def _scores(dataset: str, ids: Sequence[str], per_image: pd.DataFrame, cells: pd.DataFrame) -> Scores:
    """The values of each method, all in the order of `ids`: means over conditions and seeds, NaN where there is none.

    A method that lacks a condition has none: its mean would be that of other masks.
    """
    names = [*results.METHOD, "shots", "condition", "metric", "id"]
    frame = per_image[(per_image["dataset"] == dataset) & per_image["metric"].isin(set(cells["metric"]))]
    frame = frame[[*names, "value"]].astype(dict.fromkeys(names, "category"))
    frame = frame.merge(cells[[*results.METHOD, "label"]].drop_duplicates(), on=results.METHOD)
    asked = cells["condition"].nunique()
    scores = {}
    for key, part in frame.groupby(["shots", "metric", "label"], sort=False, observed=True):
        if part["condition"].nunique() == asked:
            scores[key] = part.groupby("id", observed=True)["value"].mean().reindex(ids).to_numpy(float)
    return scores


def _attribute(scores: Scores, of_image: Any, names: Sequence[str], cells: pd.DataFrame) -> dict[Key, list[Cell]]:
    """The cells of one attribute: its groups, the worst of them and the gap to the best."""
    if not scores:
        return {}
    values = np.column_stack(list(scores.values()))
    higher = dict(zip(cells["metric"], cells["higher_is_better"].astype(bool), strict=True))
    parts = [values[of_image == name] for name in names]
    means = np.array([_mean(part) for part in parts])  # (groups, columns)
    # a seed for each group: their images are others, so that their draws are independent
    draws = [significance.resampled_means(part, seed) for seed, part in enumerate(parts)]
    made = {}
    for c, key in enumerate(scores):
        places = numbers.decimals(key[1])
        line = [
            Cell(means[g, c], places, *_interval(draws[g][:, c], len(part)), note=_size(len(part)))
            for g, part in enumerate(parts)
        ]
        known = [g for g, part in enumerate(parts) if len(part) >= FEW and not math.isnan(means[g, c])]
        if len(known) > 1:
            order = sorted(known, key=list(means[:, c]).__getitem__)
            worst, best = (order[0], order[-1]) if higher[key[1]] else (order[-1], order[0])
            gap = Cell(note="n/a: infinite for some images")
            if np.isfinite(means[[best, worst], c]).all():
                apart, drawn = abs(means[best, c] - means[worst, c]), draws[best][:, c] - draws[worst][:, c]
                gap = Cell(apart, places, *_interval(drawn if higher[key[1]] else -drawn))
            made[key] = [*line, line[worst], gap]
        else:
            few = Cell(note=f"n/a: fewer than two groups of {FEW} images with values")
            made[key] = [*line, few, few]
    return made


def _mean(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each column without NaN; NaN where a column has nothing else."""
    known = ~np.isnan(part)
    with np.errstate(invalid="ignore"):
        return np.where(known, part, 0.0).sum(axis=0) / known.sum(axis=0)


def _interval(draws: NDArray[np.float64], images: int = FEW) -> tuple[float, float]:
    if images < FEW or not np.isfinite(draws).all():
        return math.nan, math.nan
    low, high = np.quantile(draws, LEVEL)
    return float(low), float(high)


def _size(images: int) -> str:
    return f"n = {images}: fewer than {FEW} images, counted neither as worst nor for the gap" if images < FEW else ""


def _explained(cells: pd.DataFrame) -> list[str]:
    """What stands below the table: how its numbers come about."""
    heads = [condition.title for condition in conditions.ordered(cells["condition"])]
    over = [f"{len(heads)} conditions ({', '.join(heads)})"] if len(heads) > 1 else []
    over += [f"{cells['asked'].max()} seeds"] if cells["asked"].max() > 1 else []
    lines = [f"Values of an image are means over {' and '.join(over)}."] if over else []
    return [
        *lines,
        "Worst: the group with the worst mean. Gap: how far it lies from the best one. 95% intervals: bootstrap over "
        "the images of each group.",
    ]
