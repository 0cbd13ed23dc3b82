"""The size of pictures, and how a picture of another aspect ratio comes into it.

`crop` takes the largest central rectangle of that aspect ratio. `pad` brings the whole picture inside and repeats its
outermost pixels in what is left. (A mirror would show, beside a hole, what lies under it.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from bench.errors import BenchError

Size = int | tuple[int, int]
"""Pixels: the side of squares, or the (height, width), as tensors have it, of other pictures: see `normal`."""
Rule = Literal["crop", "pad"]
Box = tuple[int, int, int, int]


def normal(size: int | Sequence[int]) -> Size:
    """A size in its one form: (256, 256) is 256."""
    height, width = (size, size) if isinstance(size, int) else size
    return height if height == width else (height, width)


def extent(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def plain(size: Size) -> int | list[int]:
    """A size as JSON has it."""
    return size if isinstance(size, int) else list(size)


def told(size: Size) -> str:
    """A size in words: `256`, or `256 x 192` (height x width)."""
    return " x ".join(map(str, [size] if isinstance(size, int) else size))


def typed(option: str, text: str) -> Size:
    """The size that an option of the command line says: `256`, or `256x192`, height x width."""
    if not re.fullmatch(r"\d{1,5}(x\d{1,5})?", text):
        raise BenchError(f"{option} {text}: give the side in pixels, such as 256, or HEIGHTxWIDTH, such as 256x192")
    sides = [int(side) for side in text.split("x")]
    return normal(sides if len(sides) > 1 else sides[0])


@dataclass(frozen=True)
class Framing:
    """How pictures come into a size."""

    rule: Rule = "crop"
    aspect: tuple[int, int] | None = None
    """The (height, width) in whose ratio pictures are framed, where they are then squeezed to a size of another one."""

    @property
    def decides(self) -> dict[str, Any]:
        """What it adds to an identity: nothing where pictures are cropped to their size."""
        rule = {} if self.rule == "crop" else {"framing": self.rule}
        return rule | ({} if self.aspect is None else {"aspect": list(self.aspect)})


CROP = Framing()


def alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether pictures, so wide and high, have one shape; a pixel is rounding."""
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(other)


def moved(points: np.ndarray, size: tuple[int, int], after: Size, framing: Framing = CROP) -> np.ndarray:
    """Points (N, 2) of a picture, (x, y) in pixels from its corner, where they lie after `framed`.

    `size`: width and height of the picture, as Pillow says them.
    """
    height, width = extent(after)
    box, (left, top, right, bottom) = _boxes(size, (height, width), framing)
    scale = np.array([(right - left) / (box[2] - box[0]), (bottom - top) / (box[3] - box[1])])
    return (points - box[:2]) * scale + (left, top)


def framed(image: Image.Image, size: Size, framing: Framing = CROP, labels: bool = False) -> np.ndarray:
    """A picture at a size, (height, width, 3) uint8, by Pillow's antialiased Lanczos filter.

    An image that has this size already is not touched. Of label maps the nearest pixels are taken.
    """
    height, width = extent(size)
    resampling = Image.Resampling.NEAREST if labels else Image.Resampling.LANCZOS
    box, (left, top, right, bottom) = _boxes(image.size, (height, width), framing)
    small = np.asarray(image.resize((right - left, bottom - top), resampling, box=box))
    room = [(top, height - bottom), (left, width - right)]
    return np.pad(small, [*room, *[(0, 0)] * (small.ndim - 2)], mode="edge") if np.any(room) else small


def _boxes(size: tuple[int, int], after: tuple[int, int], framing: Framing) -> tuple[Box, Box]:
    """The part of a picture (width, height) that is kept, and where it comes to lie: left, top, right, bottom."""
    (across, down), (height, width) = size, after
    tall, wide = framing.aspect or after
    if framing.rule == "crop":  # what scaling to the frame's shorter side and then cropping gives
        box_width, box_height = max(1, min(across, down * wide // tall)), max(1, min(down, across * tall // wide))
        left, top = (across - box_width) // 2, (down - box_height) // 2
        return (left, top, left + box_width, top + box_height), (0, 0, width, height)
    ratio = down * wide / (across * tall)
    inner_height, inner_width = max(1, round(height * min(1, ratio))), max(1, round(width * min(1, 1 / ratio)))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return (0, 0, across, down), (left, top, left + inner_width, top + inner_height)
