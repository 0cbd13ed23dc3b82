"""Losses over the iterations of training: one panel a loss, one row of panels (or several) a method and stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter, StrMethodFormatter

from reports import markup, results, style

ACROSS = 5  # panels in a row
SHARE = 0.05  # of the iterations: the window of the running mean
WIDTH, HEIGHT, LEFT, BETWEEN, ABOVE = 1.35, 0.95, 0.5, 0.45, 0.72  # inches; panels are wider where a text asks for it
BOLD, SMALL = 0.09, 0.053  # inches of a letter in headings, and below the panels
NOTE = f"iterations; pale: logged loss; dark: running mean over {SHARE:.0%} of the iterations"


def running_mean(values: pd.Series) -> pd.Series:
    """The mean over a centred window of `SHARE` of the curve, at least one point; shorter at the ends."""
    return values.rolling(max(1, round(SHARE * len(values))), center=True, min_periods=1).mean()


def convergence(losses: pd.DataFrame) -> Figure:
    """Each method's losses with their running mean, for one data set; a colour and a line for each number of training
    images and each seed.

    `losses` are rows of `losses.parquet` with `label`. A loss that is positive and spans a factor of 30 has a
    logarithmic axis.
    """
    names = _curve_names(losses)
    looks = style.lines(names.values())
    styles = {curve: {**looks[name], "marker": None} for curve, name in names.items()}
    lines = [
        (_heading(label, stage, losses) if i == 0 else "", rows, panels[i : i + ACROSS])
        for (label, stage), rows in losses.groupby(["label", "stage"], sort=False, observed=True)
        for panels in [list(rows["loss"].unique())]
        for i in range(0, len(panels), ACROSS)
    ]
    across = max(len(panels) for *_, panels in lines)
    beside = LEFT + (across - 1) * BETWEEN + 0.15
    texts = [*(BOLD * len(heading) for heading, *_ in lines), SMALL * len(NOTE)]
    total = max(beside + across * WIDTH, style.legend_width(names.values()), *(0.2 + text for text in texts))
    width = (total - beside) / across
    columns = min(len(names), int(total / style.legend_width(names.values())))
    below = 0.55 + 0.2 * math.ceil(len(names) / columns) * (len(names) > 1)
    tall = len(lines) * (ABOVE + HEIGHT) - 0.2 + below
    figure = Figure(figsize=(total, tall))
    for r, (heading, rows, panels) in enumerate(lines):
        bottom = tall + 0.2 - (r + 1) * (ABOVE + HEIGHT)
        for c, name in enumerate(panels):
            left = LEFT + c * (width + BETWEEN)
            axes = figure.add_axes((left / total, bottom / tall, width / total, HEIGHT / tall))
            axes.set_title(markup.line(name.replace("_", " ")), fontsize=8)
            _curves(axes, rows[rows["loss"] == name], styles)
        figure.text(0.1 / total, (bottom + HEIGHT + 0.27) / tall, heading, fontsize=9, fontweight="bold")
    figure.text(0.5, (below - 0.4) / tall, NOTE, ha="center", va="center", fontsize=7)
    if len(names) > 1:
        handles = [Line2D([], [], **styles[curve]) for curve in names]
        figure.legend(handles, list(names.values()), loc="lower center", ncols=columns, handlelength=3)
    return figure


def _curve_names(losses: pd.DataFrame) -> dict[tuple[Any, Any], str]:
    """The curves by number of training images and seed, as the legend says what tells them apart."""
    shots = results.shots_titles(losses["shots"].unique())
    pairs = set(losses[["shots", "seed"]].drop_duplicates().itertuples(index=False, name=None))
    seeds = sorted({seed for _, seed in pairs})
    if len(seeds) == 1:
        return {(number, seeds[0]): title for number, title in shots.items()}
    said = {number: f"{title}, " if len(shots) > 1 else "" for number, title in shots.items()}
    return {(n, seed): f"{said[n]}seed {seed}" for n in shots for seed in seeds if (n, seed) in pairs}


def _heading(label: str, stage: str, losses: pd.DataFrame) -> str:
    """The method, and its stage where it has several."""
    several = losses[losses["label"] == label]["stage"].nunique() > 1
    return markup.line(f"{label}, {stage}" if several else label)


def _curves(axes: Axes, rows: pd.DataFrame, styles: Mapping[tuple[Any, Any], dict[str, Any]]) -> None:
    """One loss: pale as logged, dark its running mean. Limits leave out the wildest hundredth of the logged values."""
    means = []
    for curve, part in rows.groupby(["shots", "seed"], sort=False, observed=True):
        means.append(running_mean(part["value"]))
        axes.plot(part["step"], part["value"], color=styles[curve]["color"], alpha=0.3, linewidth=0.6)
        axes.plot(part["step"], means[-1], **styles[curve])
    low, high = rows["value"].quantile(0.005), rows["value"].quantile(0.995)
    low, high = min(low, *(mean.min() for mean in means)), max(high, *(mean.max() for mean in means))
    if low > 0 and high > 30 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif math.isfinite(high - low) and high > low:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(labelsize=7)
