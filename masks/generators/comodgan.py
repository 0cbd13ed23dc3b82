"""CoModGAN's free-form masks and their descendants: random boxes and random brush strokes.

Zhao et al., Large Scale Image Completion via Co-Modulated Generative Adversarial Networks, ICLR 2021. The brush
follows DeepFill v2 (Yu et al., ICCV 2019), whose released generator is `deepfill_brush` here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from masks.shapes import Box, PillowStroke, Point, Sketch, pillow_width
from masks.streams import AnyStream

_MEAN_ANGLE = 2 * math.pi / 5


def brush(
    stream: AnyStream,
    height: int,
    width: int,
    scale: float,
    vertices: tuple[int, int],
    widths: tuple[int, int],
    spread: float = 2 * math.pi / 15,
) -> PillowStroke:
    """One brush stroke: a zigzag that turns by about 72 degrees, with steps of about an eighth of the diagonal.

    `spread`: how much more or less it turns at the most, in radians.
    """
    n = stream.integer(*vertices)
    low = _MEAN_ANGLE - stream.uniform(0, spread)
    high = _MEAN_ANGLE + stream.uniform(0, spread)
    angles = stream.uniforms(low, high, n)
    angles[::2] = [2 * math.pi - angle for angle in angles[::2]]
    x, y = stream.below(width, height)
    radius = math.sqrt(height * height + width * width) / 8
    steps = stream.normals(radius, radius // 2, n)
    points = walk(x, y, angles, steps, 2 * radius, height, width)
    thickness = pillow_width(int(stream.uniform(*widths)), scale)
    return PillowStroke(points, thickness)


def walk(
    x: int, y: int, angles: list[float], steps: list[float], longest: float, height: int, width: int
) -> tuple[Point, ...]:
    """The vertices of a path from (x, y): steps cut to 0 .. longest, points cut to the picture and to whole pixels."""
    points = [(x, y)]
    cos, sin = math.cos, math.sin
    for step, angle in zip(steps, angles, strict=True):
        if step < 0:
            step = 0.0
        elif step > longest:
            step = longest
        across, down = x + step * cos(angle), y + step * sin(angle)
        x = 0 if across < 0 else width if across > width else int(across)
        y = 0 if down < 0 else height if down > height else int(down)
        points.append((x, y))
    return tuple(points)


def boxes(stream: AnyStream, height: int, width: int, most: int, part: int) -> list[Box]:
    """0 .. most - 1 boxes with sides up to 1/`part` of the picture's; a box may stick out by half of its size."""
    found = []
    across, down, below = width // part, height // part, stream.below
    for _ in range(stream.integer(0, most)):
        w, h = below(across, down)
        half_w, half_h = w // 2, h // 2
        x, y = below(width - w + 2 * half_w, height - h + 2 * half_h)
        x, y = x - half_w, y - half_h
        found.append(Box(y, x, y + h, x + w))
    return found


def freeform(stream: AnyStream, height: int, width: int, scale: float, counts: tuple[int, int, int]) -> Sketch:
    """A free-form mask; `counts` are the exclusive bounds of the numbers of small boxes, large boxes and strokes."""
    small, large, strokes = counts
    found = boxes(stream, height, width, small, 2), boxes(stream, height, width, large, 1)
    return Sketch(_brushes(stream, height, width, scale, strokes), found, lambda: _flips(stream))


def brushes(stream: AnyStream, height: int, width: int, scale: float, strokes: int) -> Sketch:
    """The brush part of a free-form mask alone."""
    return Sketch(_brushes(stream, height, width, scale, strokes), flips=lambda: _flips(stream))


def _brushes(stream: AnyStream, height: int, width: int, scale: float, most: int) -> Iterator[PillowStroke]:
    for _ in range(stream.integer(0, most)):
        yield brush(stream, height, width, scale, (4, 18), (12, 48))
        stream.random(), stream.random()  # the authors draw two flips here and throw the result away


def _flips(stream: AnyStream) -> tuple[bool, bool]:
    return stream.random() > 0.5, stream.random() > 0.5


def counts_for(low: float, high: float) -> tuple[int, int, int]:
    """The authors' bounds for the hole range [low, high]: fewer shapes for small holes."""
    share = min(low + high, 1.0)
    return int(10 * share), int(5 * share), int(20 * share)


def deepfill_brush(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """The brush mask of the DeepFill v2 release: one to three strokes."""
    strokes = [brush(stream, height, width, scale, (4, 12), (12, 40)) for _ in range(stream.integer(1, 4))]
    stream.normals(0, 1, 2)  # two flips that the authors throw away
    return Sketch(strokes)


def codeformer(stream: AnyStream, height: int, width: int, scale: float) -> Sketch:
    """The holes that CodeFormer learns to fill (Zhou et al., NeurIPS 2022): one to three long, wide strokes."""
    strokes = stream.integer(1, 4)
    return Sketch([brush(stream, height, width, scale, (8, 28), (15, 35), math.pi / 6) for _ in range(strokes)])
