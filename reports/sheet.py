"""A figure of equal square tiles: pictures whose pixels stay whole, with titles above and at the left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, withStroke
from numpy.typing import NDArray
from PIL import Image

from reports import markup

TILE = 1.1  # inches of a tile
PIXELS = 150  # least pixels of a tile's side in the PNG
GAP, MARGIN = 0.05, 0.3  # shares of a tile: between tiles; for the titles above and at the left
OUTLINE = "#D55E00"
_NAMED: dict[str, Any] = {"fontsize": 7, "multialignment": "center"}

Picture = NDArray[np.uint8]


class Sheet:
    """Tiles in rows and columns. All pictures are one image: an axes for each takes ten times as long to draw.

    With several `bands`, the rows are so many equal parts, each with room for titles of columns above it.
    """

    def __init__(self, rows: int, columns: int, pictures: Sequence[Picture | None], bands: int = 1) -> None:
        size = max((picture.shape[0] for picture in pictures if picture is not None), default=PIXELS)
        self.tile = size * math.ceil(PIXELS / size)
        self.gap, self.margin = round(GAP * self.tile), round(MARGIN * self.tile)
        self.band = max(1, rows // bands)
        step = self.tile + self.gap
        width, height = self.margin + columns * step, bands * self.margin + rows * step
        self.dpi = self.tile / TILE
        exact = (width + 1e-6) / self.dpi, (height + 1e-6) / self.dpi  # matplotlib cuts pixels off to whole ones
        self.figure = Figure(figsize=exact, dpi=self.dpi)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()
        self.pixels = np.full((height, width, 3), 255, np.uint8)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Left and top pixel of a tile."""
        step = self.tile + self.gap
        return self.margin + column * step, self.margin * (1 + row // self.band) + row * step

    def place(self, row: int, column: int, picture: Picture | None) -> None:
        """Put a square picture (height, width, 3) on a tile; "n/a" where there is none."""
        left, top = self.corner(row, column)
        if picture is None:
            middle = (left + self.tile / 2, top + self.tile / 2)
            self.axes.text(*middle, "n/a", ha="center", va="center", color="#777777")
        else:
            self.pixels[top : top + self.tile, left : left + self.tile] = scaled(picture, self.tile)

    def outline(self, row: int, column: int, mask: Picture) -> None:
        """Draw the edge of a mask (height, width) on a tile."""
        left, top = self.corner(row, column)
        where = np.arange(self.tile) + 0.5
        edge = scaled(mask, self.tile)
        self.axes.contour(left + where, top + where, edge, levels=[0.5], colors=OUTLINE, linewidths=0.6)

    def frame(self, row: int, column: int, left: float = 0, top: float = 0, side: float = 1) -> None:
        """Draw a square on a tile, in shares of it, with a white edge: it shows on dark and on light pictures."""
        x, y = self.corner(row, column)
        corner, length = (x + left * self.tile, y + top * self.tile), side * self.tile
        effects = [withStroke(linewidth=2, foreground="white"), Normal()]
        style: dict[str, Any] = {"edgecolor": OUTLINE, "linewidth": 1, "path_effects": effects}
        self.axes.add_artist(Rectangle(corner, length, length, fill=False, zorder=2, **style))

    def border(self, row: int, column: int) -> None:
        """Draw a thin line around a tile whose picture is white at its edges."""
        left, top = self.corner(row, column)
        style: dict[str, Any] = {"edgecolor": "#BBBBBB", "linewidth": 0.5}
        self.axes.add_artist(Rectangle((left, top), self.tile, self.tile, fill=False, **style))

    def above(self, column: int, text: str, row: int = 0) -> None:
        """Title of a column, above the first row of a band."""
        left, top = self.corner(row, column)
        self.axes.text(left + self.tile / 2, top - 0.04 * self.tile, _wrapped(text), ha="center", va="bottom", **_NAMED)

    def beside(self, row: int, text: str, rows: int = 1) -> None:
        """Title of one row or several, at the left."""
        top, bottom = self.corner(row, 0)[1], self.corner(row + rows - 1, 0)[1] + self.tile
        middle = (self.margin - 0.05 * self.tile, (top + bottom) / 2)
        self.axes.text(*middle, _wrapped(text), rotation=90, ha="right", va="center", **_NAMED)

    def say(self, row: int, column: int, text: str) -> None:
        """Write what is said of a picture over the lower end of its tile."""
        if text:
            left, top = self.corner(row, column)
            style: dict[str, Any] = {"boxstyle": "square,pad=0.2", "facecolor": "white", "alpha": 0.8, "linewidth": 0}
            where = (left + self.tile / 2, top + 0.98 * self.tile)
            self.axes.text(*where, _wrapped(text, 24, 4), ha="center", va="bottom", fontsize=5, bbox=style)

    def finished(self) -> tuple[Figure, float]:
        """The figure and the dots per inch at which every pixel of a picture covers whole pixels of the PNG."""
        self.axes.add_artist(_Pixels(self.pixels))
        return self.figure, self.dpi


class _Pixels(Artist):
    """An image as large as its figure, drawn as it is. `imshow` computes it anew in floats, ten times as long."""

    def __init__(self, pixels: Picture) -> None:
        super().__init__()
        self._pixels = pixels
        self.set_zorder(0)

    def draw(self, renderer: RendererBase) -> None:
        opaque = np.full((*self._pixels.shape[:2], 1), 255, np.uint8)
        upwards = np.concatenate([self._pixels, opaque], axis=2)[::-1]
        figure = self.get_figure()
        assert figure is not None
        left, bottom = figure.transFigure.transform((0, 0)).round()  # not 0 where it is saved with a margin
        renderer.draw_image(renderer.new_gc(), left, bottom, upwards)


def scaled(picture: Picture, side: int) -> Picture:
    """Pixels copied to a square of `side`."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST))


def _wrapped(text: str, width: int = 18, most: int = 2) -> str:
    """At most `most` lines that fit a tile."""
    words, lines = markup.line(text).split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= width and len(lines) < most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(line if len(line) <= width + 4 else line[: width + 3] + "…" for line in lines)
