"""Figures of numbers: metrics against mask ratio, and against the number of training images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, product
from textwrap import fill
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from reports import conditions, markup, results, style
from reports.conditions import Condition
from reports.numbers import head

Styles = Mapping[str, dict[str, Any]]
ACROSS = 3  # panels in a row
FEW = 10  # methods that a panel has room for
LINES = 15  # of a column of the legend
_DEEP = 0.85  # inches below the panels: ratios, mask generators, the axis' name
_BELOW: dict[str, Any] = {  # text below a panel, at a distance in points
    "xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top", "annotation_clip": False,
}  # fmt: skip


def against_ratio(cells: pd.DataFrame, styles: Styles) -> Figure:
    """Metric against mask ratio for one data set: one panel a metric, one line a method, bands from the intervals.

    `cells` are `results.over_seeds` rows. With several numbers of training images the metrics are rows of panels and
    the numbers columns, with one scale a row. Lines join the ratios of one mask generator, never two generators.
    """
    metrics = _heads(cells)
    shots = results.shots_titles(cells["shots"])
    here = conditions.ordered(cells["condition"])
    if len(shots) > 1:
        figure, panels = _panels(len(metrics) * len(shots), len(shots), len(here), _used(cells, styles), True, _DEEP)
        for axes, title in zip(panels, shots.values(), strict=False):
            axes.set_title(title)
        for axes, title in zip(panels[:: len(shots)], metrics.values(), strict=True):
            axes.set_ylabel(fill(title, 24))
    else:
        figure, panels = _panels(len(metrics), min(ACROSS, len(metrics)), len(here), _used(cells, styles), False, _DEEP)
        for axes, title in zip(panels, metrics.values(), strict=True):
            axes.set_title(title)
    slots = [(metric, number) for metric in metrics for number in shots]
    groups = dict(iter(cells.groupby(["metric", "shots"], sort=False)))
    families = [(family, list(group)) for family, group in groupby(here, key=lambda condition: condition.family)]
    for axes, slot in zip(panels, slots, strict=True):
        if slot in groups:
            _lines(axes, groups[slot], families, styles)
        _ratio_axis(axes, here, families)
    return figure


def against_shots(cells: pd.DataFrame, styles: Styles) -> Figure:
    """Metric against the number of training images for one data set, averaged over the conditions that all share."""
    metrics = _heads(cells)
    shots = results.shots_in_order(cells["shots"])
    figure, panels = _panels(len(metrics), min(ACROSS, len(metrics)), len(shots), _used(cells, styles))
    for axes, (metric, title) in zip(panels, metrics.items(), strict=True):
        axes.set_title(title)
        rows = cells[cells["metric"] == metric]
        grid = rows.pivot_table(index=["label", "shots"], columns="condition", values="value").dropna(axis=1)
        mean = grid.mean(axis=1)
        for label, look in _used(rows, styles).items():
            axes.plot(range(len(shots)), [mean.get((label, number), math.nan) for number in shots], **look)
        axes.set_xticks(range(len(shots)), shots)
        axes.set_xlabel("training images" if _outer(axes) else "")
    return figure


def against_cost(cells: pd.DataFrame, costs: pd.DataFrame, styles: Styles) -> Figure:
    """Quality against parameters and multiply-accumulates (log scales) for one data set: one marker a method.

    Quality is the mean over the conditions that all methods share. `costs` has the method, params and macs as plain
    counts; methods without parameters or operations have no place on a log scale and are left out.
    """
    metrics = _heads(cells)
    priced = cells.merge(costs[results.COSTS], on=results.METHOD)
    axis_titles = {"params": (1e6, "parameters, M"), "macs": (1e9, "multiply-accumulates, G")}
    styles = {label: {**look, "linestyle": "none"} for label, look in _used(priced, styles).items()}
    figure, panels = _panels(2 * len(metrics), 2, 0, styles, shared=True)
    for axes, (metric, cost) in zip(panels, product(metrics, axis_titles), strict=True):
        unit, title = axis_titles[cost]
        rows = priced[priced["metric"] == metric]
        mean = rows.pivot_table(index="label", columns="condition", values="value").dropna(axis=1).mean(axis=1)
        price = rows.groupby("label")[cost].first()
        for label, look in _used(rows, styles).items():
            if price[label] > 0 and label in mean.index:
                axes.plot(price[label] / unit, mean[label], **look)
        axes.set_xscale("log")
        least, most = price[price > 0].min(), price.max()
        narrow = most < 20 * least
        if most > 0:
            room = max(1.4, 2 / math.sqrt(most / least))  # an axis shows a factor of four at least
            axes.set_xlim(least / unit / room, most / unit * room)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(title if _outer(axes) else "")
        if cost == "params":
            axes.set_ylabel(fill(metrics[metric], 24))
    return figure


def _heads(cells: pd.DataFrame) -> dict[str, str]:
    """The heading of each metric."""
    first = cells.drop_duplicates("metric").itertuples()
    return {row.metric: head(markup.line(row.metric_title), bool(row.higher_is_better)) for row in first}


def _used(cells: pd.DataFrame, styles: Styles) -> Styles:
    labels = set(cells["label"])
    return {label: look for label, look in styles.items() if label in labels}


def _lines(axes: Axes, rows: pd.DataFrame, families: Sequence[tuple[str, list[Condition]]], styles: Styles) -> None:
    """Draw every method: a line with a band where a mask generator has several ratios, else a marker with a bar.

    Bands are one artist a panel, and so are bars, and all lines of a method: matplotlib's time goes by the artist.
    """
    position = {condition.name: x for x, condition in enumerate(c for _, group in families for c in group)}
    points = {(r.label, r.condition): r for r in rows.itertuples() if math.isfinite(r.value)}
    bands: list[tuple[list[tuple[float, float]], str]] = []
    bars: list[tuple[list[tuple[float, float]], str]] = []
    for turn, (label, look) in enumerate(styles.items()):
        aside = (turn - (len(styles) - 1) / 2) * min(0.12, 0.8 / len(styles))
        across: list[float] = []
        values: list[float] = []
        for _, group in families:
            found = [points[label, c.name] for c in group if (label, c.name) in points]
            shift = 0.0 if len(group) > 1 else aside  # lone markers stand side by side
            across += [*(position[point.condition] + shift for point in found), math.nan]
            values += [*(point.value for point in found), math.nan]  # a gap: no line to the next generator
            for bounded, run in groupby(found, lambda point: math.isfinite(point.low) and math.isfinite(point.high)):
                lows: list[tuple[float, float]] = []
                highs: list[tuple[float, float]] = []
                for point in run if bounded else ():
                    lows.append((position[point.condition] + shift, point.low))
                    highs.append((position[point.condition] + shift, point.high))
                if len(found) > 1 and lows:
                    bands.append((lows + highs[::-1], look["color"]))
                elif lows:
                    bars.append((lows + highs, look["color"]))
        axes.plot(across[:-1], values[:-1], **look)
    if bands:
        corners, colours = map(list, zip(*bands, strict=True))  # a tuple of two colours means (colour, opacity)
        axes.add_collection(PolyCollection(corners, facecolors=colours, alpha=0.15, linewidth=0))
    if bars:
        ends, colours = map(list, zip(*bars, strict=True))
        axes.add_collection(LineCollection(ends, colors=colours, linewidth=1))
    axes.autoscale_view()


def _ratio_axis(axes: Axes, here: Sequence[Condition], families: Sequence[tuple[str, list[Condition]]]) -> None:
    """Conditions side by side: ratios as tick labels, mask generators below them, a line between two generators."""
    place = axes.get_subplotspec()
    if place is None or place.is_first_row():  # the panels below share its axis
        axes.set_xlim(-0.5, len(here) - 0.5)
        axes.set_xticks(range(len(here)), [markup.line(condition.label.removesuffix("%")) for condition in here])
    crowded = sum(len(condition.label) for condition in here) > 14 * axes.bbox.width / axes.figure.dpi
    axes.tick_params(axis="x", rotation=45 if crowded else 0)
    for end in list(accumulate(len(group) for _, group in families))[:-1]:
        axes.axvline(end - 0.5, color="#BBBBBB", linewidth=0.6)
    if _outer(axes):
        depth = _family_names(axes, families, 34 if crowded else 18)
        if any(condition.low is not None for condition in here):
            axes.annotate("hole, % of the image", (0.5, 0), (0, -depth), fontsize=8, **_BELOW)


def _family_names(axes: Axes, families: Sequence[tuple[str, list[Condition]]], depth: int) -> int:
    """Write the mask generators `depth` points below the axis, in two lines where they need it; the new depth."""
    room = axes.bbox.width / axes.figure.dpi / sum(len(group) for _, group in families)
    tight = any(0.058 * len(family) > room * len(group) for family, group in families)
    start = 0
    for turn, (family, group) in enumerate(families):
        last = tight and turn == len(families) - 1
        x = start + len(group) - 0.6 if last else start + (len(group) - 1) / 2
        where = {"xycoords": ("data", "axes fraction"), "ha": "right" if last else "center"}
        axes.annotate(markup.line(family), (x, 0), (0, -depth - 10 * (turn % 2 if tight else 0)), fontsize=7,
                      **(_BELOW | where))  # fmt: skip
        start += len(group)
    return depth + (22 if tight else 12)


def _outer(axes: Axes) -> bool:
    """Does this panel have no other one below it?"""
    return bool(axes.xaxis.get_tick_params()["labelbottom"])


def _panels(
    count: int, across: int, ticks: int, styles: Styles, shared: bool = False, below: float = 0.5
) -> tuple[Figure, list[Axes]]:
    """`count` panels, `across` in a row, with the legend below; sizes in inches, so that nothing needs fitting.

    With `shared`, the panels of a row have one scale. `below` is the room for the labels of the horizontal axes.
    Panels grow with the number of methods, and with the longest name in the legend.
    """
    down = math.ceil(count / across)
    many = math.sqrt(max(1, len(styles) / FEW))
    width, height, top, right = max(2.0, 0.27 * ticks) * many, 1.55 * many, 0.3, 0.15
    left, between, above = (0.85, 0.15, 0.2) if shared else (0.55, 0.55, 0.35)
    # Matplotlib drops labels that start with "_" from legends, unless a space of no width stands before them.
    names = ["\u200b" * label.startswith("_") + markup.line(label) for label in styles]
    beside = left + (across - 1) * between + right
    total = max(beside + across * width, math.ceil(len(names) / LINES) * style.legend_width(names))
    width = (total - beside) / across
    columns = max(1, min(len(names), int(total / style.legend_width(names))))
    bottom = below + 0.1 + 0.17 * math.ceil(len(names) / columns)
    tall = top + down * height + (down - 1) * above + bottom
    figure = Figure(figsize=(total, tall))
    grid = figure.subplots(down, across, sharex="col", sharey="row" if shared else False, squeeze=False)
    figure.subplots_adjust(
        left / total, bottom / tall, 1 - right / total, 1 - top / tall, wspace=between / width, hspace=above / height
    )
    handles = [Line2D([], [], **look) for look in styles.values()]
    figure.legend(handles, names, loc="lower center", ncols=columns, handlelength=3, borderaxespad=0.2)
    panels = list(grid.flat)
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[max(0, count - across) : count]:
        axes.tick_params(axis="x", labelbottom=True)
    return figure, panels[:count]
