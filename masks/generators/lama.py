"""LaMa's masks: irregular strokes and boxes, narrow, medium and wide.

Suvorov et al., Resolution-robust Large Mask Inpainting with Fourier Convolutions, WACV 2022 (release of the authors).
"""

from __future__ import annotations

from masks.shapes import Box, OpenCVStroke, Sketch, opencv_width
from masks.streams import AnyStream, sine_cosine


def irregular(
    stream: AnyStream, height: int, width: int, scale: float, times: tuple[int, int], longest: int, widest: int
) -> Sketch:
    """Strokes of 1 .. 5 segments, 10 .. longest + 9 pixels long and 5 .. widest + 4 wide.

    `times` are the configured bounds; the authors' code draws up to one stroke more.
    """
    strokes = []
    for i in range(stream.integer(times[0], times[1] + 2)):
        x, y = stream.integer(0, width), stream.integer(0, height)
        points, widths = [(x, y)], []
        for _ in range(1 + stream.integer(0, 5)):
            angle = 0.01 + stream.integer(0, 4)
            sine, cosine = sine_cosine(2 * 3.1415926 - angle if i % 2 == 0 else angle)  # the authors' value of pi
            length = scale * (10 + stream.integer(0, longest))
            widths.append(opencv_width(5 + stream.integer(0, widest), scale))
            x = min(max(int(x + length * sine), 0), width)
            y = min(max(int(y + length * cosine), 0), height)
            points.append((x, y))
        strokes.append(OpenCVStroke(tuple(points), tuple(widths)))
    return Sketch(strokes)


def boxes(
    stream: AnyStream,
    height: int,
    width: int,
    scale: float,
    margin: int,
    sides: tuple[int, int],
    times: tuple[int, int],
) -> Sketch:
    """Boxes with sides in `sides` (both ends included) that keep `margin` pixels from the border."""
    margin = round(margin * scale)
    smallest = max(round(sides[0] * scale), 1)
    bound = max(min(round(sides[1] * scale) + 1, height - 2 * margin, width - 2 * margin), smallest + 1)
    found = []
    for _ in range(stream.integer(times[0], times[1] + 1)):
        w, h = stream.integer(smallest, bound), stream.integer(smallest, bound)
        x = stream.integer(margin, width - margin - w + 1)
        y = stream.integer(margin, height - margin - h + 1)
        found.append(Box(y, x, y + h, x + w))
    return Sketch(boxes=(found,))
