"""The picture grid: a few test images, each as masked input, as every method completed it, and as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from bench.errors import BenchError
from reports import conditions, markup

MASKED, ORIGINAL = "masked", "original"
TILE = 1.1  # inches of a tile
PIXELS = 150  # least pixels of a tile's side in the PNG
GAP, MARGIN = 0.05, 0.3  # shares of a tile: between tiles; for the titles above and the conditions at the left
OUTLINE = "#D55E00"


def choose(samples: Path, names: list[str], rows: int = 6) -> list[tuple[conditions.Condition, str]]:
    """Up to `rows` pictures (condition, file name) spread over the conditions, with as many people as possible."""
    found = []
    for condition in conditions.ordered(names):
        files = sorted(path.name for path in (samples / condition.slug / ORIGINAL).glob("*.png"))
        if files:
            found.append((condition, files))
    spread = np.linspace(0, len(found) - 1, min(rows, len(found))).round().astype(int)
    return [(found[i][0], found[i][1][turn % len(found[i][1])]) for turn, i in enumerate(spread)]


def picture_grid(
    samples: Path, chosen: list[tuple[conditions.Condition, str]], titles: Mapping[str, str], outline: bool = False
) -> tuple[Figure, float]:
    """The figure and the dots per inch at which every pixel of a picture covers whole pixels of the PNG.

    `samples` is a data set's folder of samples, `titles` maps a method's folder to its printed name, in order;
    `outline` draws the hole's edge on the completed images. A picture that a method lacks is left blank.
    Raises BenchError that names a damaged picture.
    """
    columns = {MASKED: "Masked", **titles, ORIGINAL: "Original"}
    pictures = [[_read(samples / c.slug / folder / name) for folder in columns] for c, name in chosen]
    size = max((picture.shape[0] for line in pictures for picture in line if picture is not None), default=PIXELS)
    tile = size * math.ceil(PIXELS / size)
    gap, margin = round(GAP * tile), round(MARGIN * tile)
    width, height = margin + len(columns) * (tile + gap), margin + len(chosen) * (tile + gap)
    dpi = tile / TILE
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    for r, (condition, _) in enumerate(chosen):
        hole = _hole(pictures[r][0], pictures[r][-1]) if outline else None
        for c, (folder, title) in enumerate(columns.items()):
            left, bottom = margin + c * (tile + gap), height - margin - r * (tile + gap) - tile
            axes = figure.add_axes((left / width, bottom / height, tile / width, tile / height))
            axes.set_axis_off()
            picture = pictures[r][c]
            if picture is None:
                axes.text(0.5, 0.5, "n/a", ha="center", va="center", color="#777777")
            else:
                axes.imshow(picture, interpolation="nearest", aspect="auto")
                if hole is not None and folder in titles:
                    axes.contour(hole, levels=[0.5], colors=OUTLINE, linewidths=0.6)
            if r == 0:
                axes.set_title(_wrapped(title), fontsize=7, pad=3)
            if c == 0:
                place: dict[str, Any] = {"rotation": 90, "ha": "right", "va": "center", "transform": axes.transAxes}
                axes.text(-0.05, 0.5, _wrapped(condition.title), fontsize=7, multialignment="center", **place)
    return figure, dpi


def _read(path: Path) -> NDArray[np.uint8] | None:
    """RGB pixels (height, width, 3), or None where there is no file."""
    if not path.exists():
        return None
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        remedy = "delete it and run the same command again"
        raise BenchError(f"cannot read the picture {path}: {error}; {remedy}") from error


def _hole(masked: NDArray[np.uint8] | None, original: NDArray[np.uint8] | None) -> NDArray[np.float64] | None:
    """1 where the masked picture differs from the original."""
    if masked is None or original is None or masked.shape != original.shape:
        return None
    return (masked != original).any(axis=2).astype(float)


def _wrapped(text: str, width: int = 18) -> str:
    """At most two lines that fit a tile."""
    words, lines = markup.line(text).split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= width and len(lines) < 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(line if len(line) <= width + 4 else line[: width + 3] + "…" for line in lines)
