"""Figures of numbers: metrics against mask ratio, against the number of training images, against cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import conditions, markup, results
from reports.conditions import Condition
from reports.numbers import head

PANEL = (2.7, 2.1)  # inches


def against_ratio(cells: pd.DataFrame, styles: Mapping[str, dict[str, Any]]) -> Figure:
    """Metric against mask ratio for one data set: one panel a metric, one line a method, bands from the intervals.

    `cells` are `results.over_seeds` rows. With several numbers of training images there is a column of panels for each,
    with a shared scale. Lines join the ratios of one mask generator, never two generators.
    """
    metrics = list(dict.fromkeys(cells["metric"]))
    shots = results.shots_titles(cells["shots"])
    here = conditions.ordered(cells["condition"])
    if len(shots) > 1:
        figure, panels = _panels(len(metrics), len(shots), len(here), sharey="row")
    else:
        columns = min(3, len(metrics))
        figure, panels = _panels(math.ceil(len(metrics) / columns), columns, len(here))
    slots = [(metric, number) for metric in metrics for number in shots]
    for axes, (metric, number) in zip(panels, slots, strict=False):
        rows = cells[(cells["metric"] == metric) & (cells["shots"] == number)]
        first = cells[cells["metric"] == metric].iloc[0]
        title = head(first.metric_title, bool(first.higher_is_better))
        axes.set_title(", ".join(filter(None, [title, shots[number]])))
        _ratio_panel(axes, rows, here, styles)
    for axes in panels[len(slots) :]:
        axes.remove()
    _legend(figure, [label for label in styles if label in set(cells["label"])], styles)
    return figure


def against_shots(cells: pd.DataFrame, styles: Mapping[str, dict[str, Any]]) -> Figure:
    """Metric against the number of training images for one data set, averaged over the conditions that all share."""
    metrics = list(dict.fromkeys(cells["metric"]))
    shots = results.shots_in_order(cells["shots"])
    columns = min(3, len(metrics))
    figure, panels = _panels(math.ceil(len(metrics) / columns), columns, len(shots))
    for axes, metric in zip(panels, metrics, strict=False):
        rows = cells[cells["metric"] == metric]
        axes.set_title(head(rows["metric_title"].iloc[0], bool(rows["higher_is_better"].iloc[0])))
        grid = rows.pivot_table(index=["label", "shots"], columns="condition", values="value").dropna(axis=1)
        mean = grid.mean(axis=1)
        for label in [label for label in styles if label in grid.index.get_level_values("label")]:
            points = [mean.get((label, number), math.nan) for number in shots]
            axes.plot(range(len(shots)), points, **styles[label])
        axes.set_xticks(range(len(shots)), shots)
        axes.set_xlabel("training images")
    for axes in panels[len(metrics) :]:
        axes.remove()
    _legend(figure, [label for label in styles if label in set(cells["label"])], styles)
    return figure


def _ratio_panel(
    axes: Axes, rows: pd.DataFrame, here: Sequence[Condition], styles: Mapping[str, dict[str, Any]]
) -> None:
    position = {condition.name: x for x, condition in enumerate(here)}
    families = [(family, list(group)) for family, group in groupby(here, key=lambda condition: condition.family)]
    for label, style in styles.items():
        points = {r.condition: r for r in rows[rows["label"] == label].itertuples()}
        for _, group in families:
            found = [points[c.name] for c in group if c.name in points and math.isfinite(points[c.name].value)]
            if not found:
                continue
            xs = [position[point.condition] for point in found]
            axes.plot(xs, [point.value for point in found], **style)
            lows, highs = [point.low for point in found], [point.high for point in found]
            if len(found) > 1:
                axes.fill_between(xs, lows, highs, color=style["color"], alpha=0.15, linewidth=0)
            else:
                axes.vlines(xs, lows, highs, color=style["color"], linewidth=1)
    axes.set_xticks(range(len(here)), [condition.label.removesuffix("%") for condition in here])
    axes.set_xlim(-0.4, len(here) - 0.6)
    crowded = max(len(condition.label) for condition in here) * len(here) > 36
    axes.tick_params(axis="x", rotation=45 if crowded else 0)
    for family, group in families:
        middle = (position[group[0].name] + position[group[-1].name]) / 2
        if len(families) > 1 or family:
            axes.annotate(
                markup.line(family), (middle, 0), (0, -30 if crowded else -20), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", va="top", fontsize=7, annotation_clip=False,
            )  # fmt: skip
        if group[0] is not here[0]:
            axes.axvline(position[group[0].name] - 0.5, color="#BBBBBB", linewidth=0.6)
    if any(condition.low is not None for condition in here):
        axes.set_xlabel("hole, % of the image", labelpad=14)


def _panels(rows: int, columns: int, ticks: int, sharey: str = "none") -> tuple[Figure, list[Axes]]:
    width = max(PANEL[0], 0.3 * ticks + 0.7)
    figure = Figure(figsize=(width * columns, (PANEL[1] + 0.4) * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    return figure, list(grid.flat)


def _legend(figure: Figure, labels: Sequence[str], styles: Mapping[str, dict[str, Any]]) -> None:
    """One legend below all panels. Matplotlib drops labels that start with "_", so they get a space of no width."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **styles[label]) for label in labels]
    names = ["\u200b" * label.startswith("_") + markup.line(label) for label in labels]
    widest = max((len(name) for name in names), default=1)
    columns = max(1, min(len(names), int(figure.get_figwidth() * 13 / (widest + 6))))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, handlelength=3)
