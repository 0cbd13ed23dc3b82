"""A figure of equal tiles: pictures whose pixels stay whole, with titles above and at the left."""

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

TILE = 1.1  # inches of a tile's width
PIXELS = 150  # least pixels of a tile's width in the PNG
GAP, MARGIN = 0.05, 0.3  # shares of that width: between tiles; for the titles above and at the left
OUTLINE = "#D55E00"
_NAMED: dict[str, Any] = {"fontsize": 7, "multialignment": "center"}

Picture = NDArray[np.uint8]


class Sheet:
    """Tiles in rows and columns. All pictures are one image: an axes for each takes ten times as long to draw.

    With several `bands`, the rows are so many equal parts, each with room for titles of columns above it.
    """

    def __init__(self, rows: int, columns: int, pictures: Sequence[Picture | None], bands: int = 1) -> None:
        shapes = [picture.shape[:2] for picture in pictures if picture is not None] or [(PIXELS, PIXELS)]
        tall, wide = (max(sides) for sides in zip(*shapes, strict=True))
        factor = math.ceil(PIXELS / wide)
        self.height, self.width = factor * tall, factor * wide  # of a tile
        self.gap, self.margin = round(GAP * self.width), round(MARGIN * self.width)
        self.band = max(1, rows // bands)
        width = self.margin + columns * (self.width + self.gap)
        height = bands * self.margin + rows * (self.height + self.gap)
        self.dpi = self.width / TILE
        exact = (width + 1e-6) / self.dpi, (height + 1e-6) / self.dpi  # matplotlib cuts pixels off to whole ones
        self.figure = Figure(figsize=exact, dpi=self.dpi)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()
        self.pixels = np.full((height, width, 3), 255, np.uint8)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Left and top pixel of a tile."""
        left = self.margin + column * (self.width + self.gap)
        return left, self.margin * (1 + row // self.band) + row * (self.height + self.gap)

    def place(self, row: int, column: int, picture: Picture | None) -> None:
        """Put a picture (height, width, 3) on a tile; "n/a" where there is none."""
        left, top = self.corner(row, column)
        if picture is None:
            middle = (left + self.width / 2, top + self.height / 2)
            self.axes.text(*middle, "n/a", ha="center", va="center", color="#777777")
        else:
            self.pixels[top : top + self.height, left : left + self.width] = self.scaled(picture)

    def outline(self, row: int, column: int, mask: Picture) -> None:
        """Draw the edge of a mask (height, width) on a tile."""
        left, top = self.corner(row, column)
        across, down = (start + np.arange(side) + 0.5 for start, side in ((left, self.width), (top, self.height)))
        self.axes.contour(across, down, self.scaled(mask), levels=[0.5], colors=OUTLINE, linewidths=0.6)

    def frame(self, row: int, column: int, box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> None:
        """Draw a box (left, top, width, height) on a tile, in shares of it, with a white edge: it shows on dark and on
        light pictures."""
        x, y = self.corner(row, column)
        corner = x + box[0] * self.width, y + box[1] * self.height
        sides = box[2] * self.width, box[3] * self.height
        effects = [withStroke(linewidth=2, foreground="white"), Normal()]
        style: dict[str, Any] = {"edgecolor": OUTLINE, "linewidth": 1, "path_effects": effects}
        self.axes.add_artist(Rectangle(corner, *sides, fill=False, zorder=2, **style))

    def border(self, row: int, column: int) -> None:
        """Draw a thin line around a tile whose picture is white at its edges."""
        left, top = self.corner(row, column)
        style: dict[str, Any] = {"edgecolor": "#BBBBBB", "linewidth": 0.5}
        self.axes.add_artist(Rectangle((left, top), self.width, self.height, fill=False, **style))

    def above(self, column: int, text: str, row: int = 0) -> None:
        """Title of a column, above the first row of a band."""
        left, top = self.corner(row, column)
        where = left + self.width / 2, top - 0.04 * self.width
        self.axes.text(*where, _wrapped(text), ha="center", va="bottom", **_NAMED)

    def beside(self, row: int, text: str, rows: int = 1) -> None:
        """Title of one row or several, at the left."""
        top, bottom = self.corner(row, 0)[1], self.corner(row + rows - 1, 0)[1] + self.height
        middle = (self.margin - 0.05 * self.width, (top + bottom) / 2)
        letters = round(18 * min(1, self.height / self.width))  # fewer fit a lower tile
        said = _wrapped(text, letters)
        self.axes.text(*middle, said, rotation=90, ha="right", va="center", **_NAMED)

    def say(self, row: int, column: int, text: str) -> None:
        """Write what is said of a picture over the lower end of its tile."""
        if text:
            left, top = self.corner(row, column)
            style: dict[str, Any] = {"boxstyle": "square,pad=0.2", "facecolor": "white", "alpha": 0.8, "linewidth": 0}
            where = (left + self.width / 2, top + self.height - 0.02 * self.width)
            self.axes.text(*where, _wrapped(text, 24, 4), ha="center", va="bottom", fontsize=5, bbox=style)

    def scaled(self, picture: Picture) -> Picture:
        """Pixels copied to the size of a tile."""
        return np.asarray(Image.fromarray(picture).resize((self.width, self.height), Image.Resampling.NEAREST))

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


def _wrapped(text: str, width: int = 18, most: int = 2) -> str:
    """At most `most` lines that fit a tile; what is too long is cut in its middle: names often differ at their end."""
    words, lines = markup.line(text).split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= width and len(lines) < most:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    half = (width + 3) // 2
    return "\n".join(line if len(line) <= width + 4 else f"{line[:half]}…{line[-half:]}" for line in lines)
