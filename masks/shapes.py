"""What masks are drawn with: boxes and strokes, and sketches made of them.

Rasterisers follow the authors: CoModGAN and DeepFill v2 draw with Pillow, LaMa, GMCNN and MMEditing with OpenCV.
Points are (column, row).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
from PIL import Image

Point = tuple[int, int]


def pillow_width(width: int, scale: float) -> int:
    """A published width of a Pillow line at another size: 1 or more."""
    return max(round(width * scale), 1)


def opencv_width(width: int, scale: float) -> int:
    """A published width of an OpenCV line at another size.

    OpenCV paints an odd number of pixels: 1 for a width of 1, 3 for 2, 5 for 3 and 4, 7 for 5 and 6 and so on. That
    number is scaled, or thin lines would come out too thick in small masks.
    """
    if scale == 1:
        return width
    painted = (2 * ((width + 1) // 2) + 1) * scale
    return max(2 * int(painted / 2), 1)


class Canvas:
    """A mask under construction: `pixels` is (height, width) uint8, `pen` Pillow's rasteriser on the same memory.

    `pen` is the object behind `ImageDraw`, whose wrappers look the colour up again at every call.
    """

    def __init__(self, height: int, width: int) -> None:
        self.pixels = np.zeros((height, width), np.uint8)
        # Shared memory: Pillow draws straight into the array: no copy after each stroke.
        view = Image.frombuffer("L", (width, height), self.pixels, "raw", "L", 0, 1)
        view.readonly = 0
        self.pen = Image.core.draw(view.im, 0)

    def flip(self, rows: bool, columns: bool) -> None:
        """Mirror the picture."""
        if rows or columns:
            self.pixels[:] = self.pixels[:: -1 if rows else 1, :: -1 if columns else 1].copy()

    def count(self) -> int:
        """The number of hole pixels."""
        return int(np.count_nonzero(self.pixels))


@dataclass(slots=True)
class Box:
    """A filled rectangle: rows top .. bottom - 1, columns left .. right - 1; parts outside the picture are cut."""

    top: int
    left: int
    bottom: int
    right: int

    def draw(self, canvas: Canvas) -> None:
        """Fill the box."""
        top, left, bottom, right = self.top, self.left, self.bottom, self.right
        if bottom > top and right > left:
            canvas.pen.draw_rectangle((left, top, right - 1, bottom - 1), 1, 1)

    def reaching(self, point: Point) -> Box:
        """The same box, moved no further than it must so that it holds the point."""
        column, row = point
        down = min(row - self.top, 0) + max(row - self.bottom + 1, 0)
        across = min(column - self.left, 0) + max(column - self.right + 1, 0)
        return Box(self.top + down, self.left + across, self.bottom + down, self.right + across)

    def start(self, canvas: Canvas, low: int, target: int, high: int) -> None:
        """Draw a smaller box with the same centre, such that the canvas has low .. high hole pixels, if one has."""
        height, width = self.bottom - self.top, self.right - self.left
        before = canvas.pixels.copy()
        best: tuple[int, np.ndarray] | None = None
        small, large = 0, max(height, width)
        while small < large:
            step = (small + large) // 2
            h, w = round(height * step / max(height, width)), round(width * step / max(height, width))
            top, left = self.top + (height - h) // 2, self.left + (width - w) // 2
            canvas.pixels[:] = before
            Box(top, left, top + h, left + w).draw(canvas)
            count = canvas.count()
            if low <= count <= high and (best is None or abs(count - target) < best[0]):
                best = abs(count - target), canvas.pixels.copy()
            small, large = (step + 1, large) if count < target else (small, step)
        canvas.pixels[:] = before if best is None else best[1]


class Stroke:
    """A brush stroke: a path that can be drawn up to any of its points."""

    __slots__ = ()
    points: tuple[Point, ...]

    def draw(self, canvas: Canvas) -> None:
        """Draw the whole stroke."""
        self.draw_upto(canvas, len(self.points) - 1)

    def draw_upto(self, canvas: Canvas, segments: int) -> None:
        """Draw the first `segments` segments."""
        raise NotImplementedError

    def _moved(self, points: tuple[Point, ...]) -> Stroke:
        raise NotImplementedError

    def reaching(self, point: Point) -> Stroke:
        """The same stroke, moved so that it starts at the point."""
        across, down = point[0] - self.points[0][0], point[1] - self.points[0][1]
        return self._moved(tuple([(x + across, y + down) for x, y in self.points]))

    def start(self, canvas: Canvas, low: int, target: int, high: int) -> None:
        """Draw the stroke from its start until the canvas has exactly `target` hole pixels.

        The brush stops on its way: the last segment ends in an arc around the segment's first point.
        """
        done = canvas.pixels.copy()
        for segments in range(len(self.points)):
            canvas.pixels[:] = done
            self.draw_upto(canvas, segments)
            if canvas.count() >= target:
                break
            done = canvas.pixels.copy()
        x, y = self.points[max(segments - 1, 0)]
        rows, columns = np.nonzero(canvas.pixels > done)
        nearest = np.argsort((rows - y) ** 2 + (columns - x) ** 2, kind="stable")[: target - np.count_nonzero(done)]
        canvas.pixels[:] = done
        canvas.pixels[rows[nearest], columns[nearest]] = 1


@dataclass(slots=True)
class PillowStroke(Stroke):
    """A polyline of one width with a disc at every vertex, drawn by Pillow."""

    points: tuple[Point, ...]
    width: int

    def draw_upto(self, canvas: Canvas, segments: int) -> None:
        points, half = self.points[: segments + 1], self.width // 2
        canvas.pen.draw_lines(points, 1, self.width)
        ellipse = canvas.pen.draw_ellipse
        for x, y in points:
            ellipse((x - half, y - half, x + half, y + half), 1, 1)

    def _moved(self, points: tuple[Point, ...]) -> PillowStroke:
        return PillowStroke(points, self.width)


@dataclass(slots=True)
class OpenCVStroke(Stroke):
    """A polyline with a width for each segment, drawn by OpenCV.

    `joints`: GMCNN's circle outlines. They lie within the round ends of OpenCV's lines, so only a stroke without
    segments shows one, of radius 0.
    """

    points: tuple[Point, ...]
    widths: tuple[int, ...]
    joints: bool = False

    def draw_upto(self, canvas: Canvas, segments: int) -> None:
        pixels, points = canvas.pixels, self.points
        for begin, end, width in zip(points, points[1 : segments + 1], self.widths, strict=False):
            cv2.line(pixels, begin, end, 1, width)
        if self.joints and not segments:
            cv2.circle(pixels, points[0], 0, 1)

    def _moved(self, points: tuple[Point, ...]) -> OpenCVStroke:
        return OpenCVStroke(points, self.widths, self.joints)


Shape = Box | Stroke


@dataclass(slots=True)
class Sketch:
    """One draw of a generator: kinds of boxes, strokes, and mirroring of the strokes.

    Strokes may be an iterator that draws them one by one; `flips` is called after the last one and gives
    (flip rows, flip columns), so that random numbers are drawn in the order of the authors' code.
    """

    strokes: Iterable[Stroke] = ()
    boxes: tuple[list[Box], ...] = ()
    flips: Callable[[], tuple[bool, bool]] = lambda: (False, False)

    @property
    def kinds(self) -> tuple[Iterable[Shape], ...]:
        """The shapes by kind: each list of boxes, and the strokes."""
        return (*self.boxes, self.strokes)

    def render(self, height: int, width: int) -> np.ndarray:
        """The mask, (height, width) uint8, 1 = hole."""
        canvas = Canvas(height, width)
        for stroke in self.strokes:
            stroke.draw(canvas)
        canvas.flip(*self.flips())
        for box in chain.from_iterable(self.boxes):
            box.draw(canvas)
        return canvas.pixels
