"""How a method that works in steps completes an image: its completion and its residual after each step (t = 1..T)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench import pictures
from reports import conditions
from reports.grid import MASKED, ORIGINAL, checked, read
from reports.sheet import Picture, Sheet

COLOURS = "magma_r"  # pale where little changes; its lightness falls evenly, so that it reads in grey, too
FULL = 2.0  # a residual of 65535 in its file: the whole range of an image in [-1, 1]
_DENSE = 0.5  # exponent of the scale: later steps change little


def choose(samples: Path, folder: str, names: Iterable[str], rows: int = 3) -> list[tuple[conditions.Condition, Path]]:
    """Up to `rows` conditions, spread over all for which the method in `folder` left its steps, and their folders."""
    found = []
    for condition in conditions.ordered(names):
        first = sorted((samples / condition.slug / folder / "steps").glob("*/1.png"))[:1]
        found += [(condition, path.parent) for path in first]
    return [found[i] for i in np.linspace(0, len(found) - 1, min(rows, len(found))).round().astype(int)]


def step_maps(samples: Path, chosen: list[tuple[conditions.Condition, Path]]) -> tuple[Figure, float]:
    """Two rows a condition: input, completions and original; below them what each step changed, as heat maps.

    Residuals are |r_t - r_(t-1)|, the mean over the colours, for images in [-1, 1]. Each condition has a scale of its
    own, beside its maps. Returns the figure and its dots per inch. Raises BenchError that names a damaged picture.
    """
    completed = [_numbered(place) for _, place in chosen]
    last = max(map(len, completed))
    pictures = []
    for (condition, place), paths in zip(chosen, completed, strict=True):
        masked, original = (read(samples / condition.slug / kind / f"{place.name}.png") for kind in (MASKED, ORIGINAL))
        pictures.append([masked, *map(read, paths), *[None] * (last - len(paths)), original])
    sheet = Sheet(2 * len(chosen), last + 2, [picture for line in pictures for picture in line])
    for r, ((condition, place), paths) in enumerate(zip(chosen, completed, strict=True)):
        sheet.beside(2 * r, condition.title)
        sheet.beside(2 * r + 1, "residual")
        for c, picture in enumerate(pictures[r]):
            sheet.place(2 * r, c, picture)
        maps = [_residual(place / f"{t}-residual.png") for t in range(1, len(paths) + 1)]
        most = max(1e-6, *(float(residual.max()) for residual in maps))
        scale = ScalarMappable(PowerNorm(_DENSE, 0, most), mpl.colormaps[COLOURS])
        for t, residual in enumerate(maps, 1):
            sheet.place(2 * r + 1, t, _coloured(scale, residual))
            sheet.border(2 * r + 1, t)
        _bar(sheet, 2 * r + 1, last + 1, most)
    for c, title in enumerate(["Input", *(f"t = {t}" for t in range(1, last + 1)), "Original"]):
        sheet.above(c, title)
    return sheet.finished()


def _numbered(place: Path) -> list[Path]:
    """The completions 1.png, 2.png, ... of a folder."""
    paths: list[Path] = []
    while (path := place / f"{len(paths) + 1}.png").exists():
        paths.append(path)
    return paths


def _residual(path: Path) -> NDArray[np.float64]:
    return checked(path, lambda data: pictures.decode_grey(data, path)) * FULL


def _coloured(scale: ScalarMappable, values: NDArray[np.float64]) -> Picture:
    return np.asarray(scale.to_rgba(values, bytes=True))[..., :3]


def _bar(sheet: Sheet, row: int, column: int, most: float) -> None:
    """The scale of a row of maps, from 0 to `most`, on a tile of its own."""
    left, top = sheet.corner(row, column)
    height, width = sheet.pixels.shape[:2]
    lower = 1 - (top + 0.95 * sheet.height) / height
    box = (left / width, lower, 0.1 * sheet.width / width, 0.9 * sheet.height / height)
    axes = sheet.figure.add_axes(box)
    axes.imshow(np.linspace(0, 1, 256)[:, None], COLOURS, aspect="auto", origin="lower", extent=(0, 1, 0, 1))
    axes.grid(False)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    places = [i / 4 for i in range(5)]
    axes.set_yticks(places, [f"{most * place ** (1 / _DENSE):.2g}" for place in places])
    axes.tick_params(labelsize=6, length=2, width=0.5)
    axes.spines[:].set(visible=True, linewidth=0.4)
