"""Stroke masks of gated convolution and the works that follow it.

Yu et al., Free-Form Image Inpainting with Gated Convolution, ICCV 2019, Algorithm 1, in the form that GMCNN, RFR and
EXE-GAN use, and MMEditing's "irregular" masks. DeepFill v2's released brush is in `comodgan.py`: the same stroke.
"""

from __future__ import annotations

import math
from functools import cache

from masks.generators.comodgan import deepfill_brush, walk
from masks.shapes import Box, OpenCVStroke, PillowStroke, Sketch, opencv_width, pillow_width
from masks.streams import AnyStream, sine_cosine


def stroke(
    stream: AnyStream, height: int, width: int, scale: float, vertices: int, length: int, widths: tuple[int, int]
) -> OpenCVStroke:
    """One stroke of Algorithm 1: 0 .. vertices segments of 0 .. length pixels, in directions of whole degrees.

    The width is drawn anew for each segment and made even. The authors' rows are OpenCV's columns.
    """
    n = stream.integer(0, vertices + 1)
    x, y = stream.integer(0, width), stream.integer(0, height)
    turns, painted = _turns(), _painted(widths, scale)
    right, bottom = width - 1, height - 1
    points, drawn = [(x, y)], []
    for i, (angle, steps, thick) in enumerate(stream.rows(n, 361, length + 1, len(painted))):
        sine, cosine = turns[i % 2][angle]
        column, row = x + scale * steps * cosine, y + scale * steps * sine
        x = int(column) if 0 < column < right else 0 if column <= 0 else right
        y = int(row) if 0 < row < bottom else 0 if row <= 0 else bottom
        points.append((x, y))
        drawn.append(painted[thick])
    return OpenCVStroke(tuple(points), tuple(drawn), joints=True)


@cache
def _turns() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Sine and cosine of all whole degrees, for even segments (turned the other way round) and for odd ones."""
    angles = [degrees / 360 * 2 * math.pi for degrees in range(361)]
    return [sine_cosine(2 * math.pi - angle) for angle in angles], [sine_cosine(angle) for angle in angles]


@cache
def _painted(widths: tuple[int, int], scale: float) -> list[int]:
    """The width of OpenCV's line for each of the widths, made even."""
    return [opencv_width(width // 2 * 2, scale) for width in range(widths[0], widths[1] + 1)]


def strokes(
    stream: AnyStream,
    height: int,
    width: int,
    scale: float,
    parts: int = 10,
    vertices: int = 20,
    widths: tuple[int, int] = (10, 24),
) -> Sketch:
    """The union of `parts` strokes with maxLength 100 and maxAngle 360."""
    return Sketch(stroke(stream, height, width, scale, vertices, 100, widths) for _ in range(parts))


def rfr(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """RFR's training strokes: 1 .. 15 parts with up to 25 vertices."""
    return strokes(stream, height, width, scale, stream.integer(1, 16), 25)


def exegan(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """EXE-GAN's `stroke_rect`: 0 .. 4 boxes up to half of the side, 0 .. 9 up to a quarter, and ten strokes."""
    small, large = stream.integer(0, 10), stream.integer(0, 5)
    boxes = _boxes(stream, height, width, large, 2), _boxes(stream, height, width, small, 4)
    return Sketch(strokes(stream, height, width, scale).strokes, boxes)


def _boxes(stream: AnyStream, height: int, width: int, count: int, part: int) -> list[Box]:
    boxes = []
    for _ in range(count):
        h, w = height // part, width // part
        h, w = h + stream.integer(-h, 0), w + stream.integer(-w, 0)
        top, left = stream.integer(0, height - h), stream.integer(0, width - w)
        boxes.append(Box(top, left, top + h, left + w))
    return boxes


def release_box(stream: AnyStream, height: int, width: int, scale: float) -> Box:
    """The box of the DeepFill releases: 128 pixels at 256, shrunk by up to 16 pixels on each side."""
    side, most = round(128 * scale), round(32 * scale)
    top, left = stream.integer(0, height - side), stream.integer(0, width - side)
    return shrunk(stream, Box(top, left, top + side, left + side), most)


def shrunk(stream: AnyStream, box: Box, most: int) -> Box:
    """The box, shrunk at both sides by the same random number of pixels (0 .. most / 2) for rows and columns."""
    down, across = stream.integer(0, most // 2 + 1), stream.integer(0, most // 2 + 1)
    return Box(box.top + down, box.left + across, box.bottom - down, box.right - across)


def release(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """The training mask of the DeepFill v2 release: its brush united with its box."""
    box = release_box(stream, height, width, scale)
    return Sketch(deepfill_brush(stream, height, width, scale).strokes, ([box],))


def irregular(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """MMEditing's "irregular" mask, before its ratio test: 4 .. 9 strokes of 1 .. 5 segments without joints.

    Where a stroke begins is drawn as in a picture of the other orientation, so one end of a long picture has no hole.
    """
    drawn = []
    for i in range(stream.integer(4, 10)):
        x, y = stream.integer(0, width), stream.integer(0, height)
        n = stream.integer(1, 6)
        angles, lengths = stream.integers(0, 6, n), stream.integers(20, 128, n)
        widths = tuple(opencv_width(width, scale) for width in stream.integers(10, 45, n))
        points = [(x, y)]
        for angle, length in zip(angles, lengths, strict=True):
            turn = 0.01 + angle
            sine, cosine = sine_cosine(2 * math.pi - turn if i % 2 == 0 else turn)
            x, y = int(x + scale * length * sine), int(y + scale * length * cosine)
            points.append((x, y))
        drawn.append(OpenCVStroke(tuple((y, x) for x, y in points), widths))
    return Sketch(drawn)


def irregular_everywhere(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """The same on squares; on other pictures strokes begin anywhere."""
    return irregular(stream, width, height, scale)


def mmediting_brush(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """MMEditing's "ff" mask: DeepFill v2's brush with the random numbers drawn in another order."""
    count = stream.integer(1, 4)
    vertices = stream.integers(4, 12, count)
    spread = 2 * math.pi / 15
    lows, highs = stream.uniforms(0, spread, count), stream.uniforms(0, spread, count)
    radius = math.sqrt(height * height + width * width) / 8
    drawn = []
    for n, low, high in zip(vertices, lows, highs, strict=True):
        angles = stream.uniforms(2 * math.pi / 5 - low, 2 * math.pi / 5 + high, n)
        angles[::2] = [2 * math.pi - angle for angle in angles[::2]]
        x, y = stream.integer(0, width), stream.integer(0, height)
        steps = stream.normals(radius, radius // 2, n)
        points = walk(x, y, angles, steps, 2 * radius, height, width)
        thickness = pillow_width(stream.integer(12, 40), scale)
        drawn.append(PillowStroke(points, thickness))
    return Sketch(drawn)


def mmediting_box(stream: AnyStream, height: int, width: int, scale: float) -> Box:
    """MMEditing's box: at most 128 pixels at 256, up to 20 pixels shorter at the top and at the left; margin 20."""
    side, most, margin = round(128 * scale), round(20 * scale), round(20 * scale)
    top = stream.integer(margin, height - margin - side)
    left = stream.integer(margin, width - margin - side)
    down, across = stream.integer(0, most + 1), stream.integer(0, most + 1)
    return Box(top + down, left + across, top + side, left + side)
