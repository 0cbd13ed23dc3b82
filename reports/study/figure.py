"""Which shares of the votes each method got: the thesis' figure 4.10 for rankings, bars with intervals for choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports import markup, style
from reports.study.results import Scored
from reports.study.scores import FIRST, PREFERENCE, SHARE
from reports.study.tables import places, titled

BAR = 0.24  # inches
COLOURS = "cividis_r"  # of ranks, from the best on: read in grey, and by all


def draw(scored: Scored, folder: Path) -> dict[str, list[str]]:
    """Write the figure of a study into `folder`: its caption, and the names of the files."""
    what = {"ranking": "share of each rank", "2afc": "share of votes for the first", "best": "share of first choices"}
    caption = f"{titled(scored)}: {what[scored.study.kind]}"
    with style.context():
        return {caption: [path.name for path in style.save(shares(scored), folder / f"study-{scored.name}")]}


def shares(scored: Scored) -> Figure:
    """One panel a place, one bar a method (or pair)."""
    kind, rows = scored.study.kind, scored.scores
    measure = {"ranking": SHARE.format(1), "2afc": PREFERENCE, "best": FIRST}[kind]
    panels = {
        head: rows[(rows["dataset"] == place.dataset) & (rows["condition"] == place.condition)]
        for place, head in places(scored).items()
    }
    counts = [int((panel["measure"] == measure).sum()) for panel in panels.values()]
    names = rows["method"] if kind != "2afc" else rows["method"] + " vs " + rows["against"]
    left = 0.3 + 0.068 * names.str.len().max()  # room for the longest name
    right, top, bottom, between, width = 0.2, 0.3, 0.7 if kind == "ranking" else 0.45, 0.45, 3.4
    tall = top + sum(counts) * BAR + (len(counts) - 1) * between + bottom
    figure = Figure(figsize=(left + width + right, tall))
    below = tall - top
    for (head, panel), count in zip(panels.items(), counts, strict=True):
        below -= count * BAR
        axes = figure.add_axes(
            (left / (left + width + right), below / tall, width / (left + width + right), count * BAR / tall)
        )
        labels = _ranks(axes, panel) if kind == "ranking" else _bars(axes, panel[panel["measure"] == measure], kind)
        axes.set_title(markup.line(head))
        axes.set_yticks(range(count), list(map(markup.line, labels)))
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
        below -= between
    axes.set_xlabel("votes, %")
    if kind == "ranking":
        handles, ranks = axes.get_legend_handles_labels()
        figure.legend(handles, ranks, loc="lower center", ncols=len(ranks), handlelength=1.2, borderaxespad=0.2)
    return figure


def _ranks(axes: Any, panel: pd.DataFrame) -> list[str]:
    """A stack of the ranks for each method; the shares are written inside where there is room."""
    names = list(panel["method"][panel["measure"] == SHARE.format(1)])
    colours = mpl.colormaps[COLOURS](np.linspace(0.05, 0.95, len(names)))
    start = np.zeros(len(names))
    for rank, colour in enumerate(colours, 1):
        found = panel[panel["measure"] == SHARE.format(rank)].set_index("method")["value"]
        share = 100 * found.loc[names].to_numpy()
        axes.barh(range(len(names)), share, 0.8, left=start, color=colour, label=f"rank {rank}")
        ink = "black" if np.dot(colour[:3], (0.3, 0.6, 0.1)) > 0.5 else "white"
        for i, value in enumerate(share):
            if value >= 7:
                axes.text(start[i] + value / 2, i, f"{value:.0f}", ha="center", va="center", fontsize=6, color=ink)
        start = start + share
    return names


def _bars(axes: Any, panel: pd.DataFrame, kind: str) -> list[str]:
    """A bar with its interval for each method; of pairs the share of the first, and a line at one half."""
    value, low, high = (100 * panel[column].to_numpy(float) for column in ("value", "low", "high"))
    reach = np.nan_to_num(np.stack([value - low, high - value]))
    axes.barh(
        range(len(panel)), value, 0.8, color=style.COLOURS[5], xerr=reach, error_kw={"linewidth": 1, "capsize": 2}
    )
    if kind == "2afc":
        axes.axvline(50, color="#555555", linewidth=0.8, linestyle="--")
        return [f"{row.method} vs {row.against}" for row in panel.itertuples()]
    return list(panel["method"])
