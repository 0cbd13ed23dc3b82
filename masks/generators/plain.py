"""Masks of one plain shape: centred square, half image, border for outpainting, rectangle, a paper's one box."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from masks.buckets import Bucket
from masks.errors import MaskError
from masks.shapes import Box, Canvas
from masks.streams import Stream

_TRIES = 1000


@dataclass(frozen=True)
class Request:
    """What a generator is asked for.

    scale: factor of the published pixel constants (size / 256, or 1 at the authors' own sizes).
    bucket, counts: the bucket, and the smallest and the largest number of hole pixels in it; None without a bucket.
    argument, options: what else the condition's name holds.
    semantics: a label map, for semantic regions.
    seed, index: which mask; only mask files use them, all others draw from their stream.
    image: name of the picture, for mask files that belong to it.
    """

    name: str
    height: int
    width: int
    scale: float
    bucket: Bucket | None = None
    counts: tuple[int, int] | None = None
    argument: str | None = None
    options: tuple[str, ...] = ()
    semantics: np.ndarray | None = None
    seed: int = 0
    index: int = 0
    image: str | None = None

    def no_argument(self) -> None:
        """Raise MaskError if there is an argument."""
        if self.argument is not None:
            raise MaskError(f"'{self.argument}' means nothing here: write {self.name} or {self.name}/<a>-<b>")

    def no_bucket(self, example: str) -> None:
        """Raise MaskError if there is a bucket."""
        if self.counts is not None:
            raise MaskError(f"this mask has one size, no bucket: write {example}")

    def percent(self, default: int) -> Decimal:
        """The argument as a percentage between 0 and 100, both excluded."""
        try:
            value = Decimal(default if self.argument is None else self.argument)
        except ArithmeticError:
            value = Decimal(0)
        if value.is_nan() or not 0 < value < 100:
            raise MaskError(f"'{self.argument}' is no percentage between 0 and 100: write {self.name}/{default}")
        return value


def whole(request: Request, stream: Stream) -> np.ndarray:
    """The whole picture: only what guides the method tells what to draw."""
    request.no_argument()
    request.no_bucket("whole")
    return np.ones((request.height, request.width), np.uint8)


def center(request: Request, stream: Stream) -> np.ndarray:
    """A centred rectangle of the picture's shape; 25 % is the published 128 x 128 square at 256."""
    request.no_bucket("center/25")
    side = math.sqrt(float(request.percent(25)) / 100)
    height, width = max(round(request.height * side), 1), max(round(request.width * side), 1)
    top, left = (request.height - height) // 2, (request.width - width) // 2
    return _filled(request, Box(top, left, top + height, left + width))


def half(request: Request, stream: Stream) -> np.ndarray:
    """The left, right, top or bottom half."""
    request.no_bucket("half/left")
    height, width = request.height, request.width
    halves = {
        "left": Box(0, 0, height, width // 2),
        "right": Box(0, width - width // 2, height, width),
        "top": Box(0, 0, height // 2, width),
        "bottom": Box(height - height // 2, 0, height, width),
    }
    side = list(halves)[stream.integer(0, 4)] if request.argument is None else request.argument
    if side not in halves:
        raise MaskError(f"'{side}' is no half: write half/left, half/right, half/top or half/bottom")
    return _filled(request, halves[side])


def outpaint(request: Request, stream: Stream) -> np.ndarray:
    """Borders to outpaint: a frame of p percent, LaMa's random bands, or random bands in a bucket.

    LaMa: each side with probability 1/2, at least one, a band of 4 to 25 % of the side. In a bucket the bands keep
    their proportions and grow or shrink together.
    """
    height, width = request.height, request.width
    if request.argument is not None:
        side = math.sqrt(1 - float(request.percent(25)) / 100)
        inner_height, inner_width = min(round(height * side), height - 1), min(round(width * side), width - 1)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        return _framed(request, top, left, height - inner_height - top, width - inner_width - left)
    for _ in range(_TRIES):
        sides = [stream.random() < 0.5 for _ in range(4)]
        if not any(sides):
            sides[stream.integer(0, 4)] = True
        bands = [stream.uniform(0.04, 0.25) if side else 0.0 for side in sides]
        if request.counts is None:
            break
        target = stream.integer(request.counts[0], request.counts[1] + 1) / (height * width)
        stretch = _stretch(bands, target)
        bands = [band * stretch for band in bands]
        top, bottom, left, right = _band_pixels(bands, height, width)
        count = height * width - max(height - top - bottom, 0) * max(width - left - right, 0)
        if request.counts[0] <= count <= request.counts[1]:
            break
    else:
        raise MaskError(f"no border of whole rows and columns was found in {_TRIES} tries: take a wider bucket")
    top, bottom, left, right = _band_pixels(bands, height, width)
    return _framed(request, top, left, bottom, right)


def rectangle(request: Request, stream: Stream) -> np.ndarray:
    """A rectangle at a random place: half of the side, 8 pixels (at 256) from the border; or with a ratio in a bucket.

    In a bucket the area is uniform, the ratio of the sides log-uniform between 1/2 and 2 where it fits.
    """
    request.no_argument()
    height, width = request.height, request.width
    if request.counts is None:
        h, w, margin = height // 2, width // 2, round(8 * request.scale)
        top = stream.integer(margin, max(height - h - margin, margin + 1))
        left = stream.integer(margin, max(width - w - margin, margin + 1))
        return _filled(request, Box(top, left, top + h, left + w))
    low, high = request.counts
    for _ in range(_TRIES):
        area = stream.integer(low, high + 1)
        aspect = math.exp(stream.uniform(-math.log(2), math.log(2)))
        h = min(max(round(math.sqrt(area * aspect)), -(-area // width), 1), height)
        w = min(max(round(area / h), 1), width)
        if low <= h * w <= high:
            top, left = stream.integer(0, height - h + 1), stream.integer(0, width - w + 1)
            return _filled(request, Box(top, left, top + h, left + w))
    raise MaskError(f"no rectangle with {low} to {high} pixels was found in {_TRIES} tries: take a wider bucket")


def boxed(request: Request, stream: Stream, box: Callable[[Stream, int, int, float], Box]) -> np.ndarray:
    """One box of a paper; a bucket is met by drawing again, so it must hold some of the paper's boxes."""
    request.no_argument()
    low, high = request.counts or (1, request.height * request.width)
    seen = []
    for _ in range(_TRIES):
        drawn = box(stream, request.height, request.width, request.scale)
        count = (drawn.bottom - drawn.top) * (drawn.right - drawn.left)
        if low <= count <= high:
            return _filled(request, drawn)
        seen.append(count)
    area = request.height * request.width / 100
    raise MaskError(f"its boxes cover {min(seen) / area:.1f} to {max(seen) / area:.1f} %: take a bucket in that range")


def _filled(request: Request, box: Box) -> np.ndarray:
    canvas = Canvas(request.height, request.width)
    box.draw(canvas)
    return canvas.pixels


def _framed(request: Request, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    pixels = np.ones((request.height, request.width), np.uint8)
    pixels[top : request.height - bottom, left : request.width - right] = 0
    return pixels


def _band_pixels(bands: list[float], height: int, width: int) -> tuple[int, int, int, int]:
    top, bottom, left, right = bands
    return round(top * height), round(bottom * height), round(left * width), round(right * width)


def _stretch(bands: list[float], target: float) -> float:
    """The factor t that makes bands (top, bottom, left, right) cover `target` of the picture.

    1 - (1 - t r)(1 - t c) = target, with r and c the bands' shares of the rows and the columns.
    """
    r, c = bands[0] + bands[1], bands[2] + bands[3]
    if r * c == 0:
        return target / (r + c)
    return ((r + c) - math.sqrt((r + c) ** 2 - 4 * r * c * target)) / (2 * r * c)
