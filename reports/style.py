"""How figures look and how they are saved: colours that everybody can tell apart, and bytes that never change."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure

from bench.store import atomic_write
from reports.renderer import drawn

# Okabe and Ito, Color Universal Design (2008), without the yellow, which is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
LINES = ("-", "--", "-.", ":")
FORMATS = ("png", "svg", "pdf")
OTHER_SCRIPTS = (  # fonts for what DejaVu lacks, such as Chinese names: of the system, where they are installed
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "Arial Unicode MS",
)
_PARAMETERS: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titley": 1.0,  # else each panel looks whether ticks stand in the title's way
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "pdf.fonttype": 42,  # journals ask for embedded TrueType
    "svg.hashsalt": "face-inpaint-bench",
    "text.parse_math": False,  # a "$" in a name is a dollar
}


def context() -> Any:
    """The settings for drawing and saving, whatever the user's own matplotlib settings are."""
    settings: Any = {**mpl.rcParamsDefault} | _PARAMETERS | {"backend": "agg", "font.family": families()}
    return mpl.rc_context(settings)


@cache
def families() -> list[str]:
    """DejaVu Sans, and for letters that it lacks the first of `OTHER_SCRIPTS` that is installed."""
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *[name for name in OTHER_SCRIPTS if name in installed][:1]]


def lines(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and line style of each method: all three differ, so that lines can be told apart in grey."""
    return {
        label: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % 4]}
        for i, label in enumerate(labels)
    }


def legend_width(names: Iterable[str]) -> float:
    """Inches of a column of a legend with these names."""
    return (max(map(len, names), default=0) + 8) / 13


def save(figure: Figure, stem: Path, formats: Iterable[str] = FORMATS, dpi: float = 150) -> list[Path]:
    """Write the figure in each format; equal figures give equal bytes."""
    made = paths(stem, formats)
    for path, content in zip(made, drawn(figure, list(formats), dpi).values(), strict=True):
        with atomic_write(path) as handle:
            handle.write(content)
    return made


def paths(stem: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """The files of a figure."""
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in formats]
