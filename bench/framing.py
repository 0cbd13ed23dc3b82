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


def framed(image: Image.Image, size: Size, framing: Framing = CROP, labels: bool = False) -> np.ndarray:
    """A picture at a size, (height, width, 3) uint8, by Pillow's antialiased Lanczos filter.

    An image that has this size already is not touched. Of label maps the nearest pixels are taken.
    """
    height, width = extent(size)
    tall, wide = framing.aspect or (height, width)
    resampling = Image.Resampling.NEAREST if labels else Image.Resampling.LANCZOS
    if framing.rule == "crop":  # what scaling to the frame's shorter side and then cropping gives
        box_width = max(1, min(image.width, image.height * wide // tall))
        box_height = max(1, min(image.height, image.width * tall // wide))
        left, top = (image.width - box_width) // 2, (image.height - box_height) // 2
        box = (left, top, left + box_width, top + box_height)
        return np.asarray(image.resize((width, height), resampling, box=box))
    ratio = image.height * wide / (image.width * tall)
    inner = max(1, round(height * min(1, ratio))), max(1, round(width * min(1, 1 / ratio)))
    small = np.asarray(image.resize(inner[::-1], resampling))
    before = (height - inner[0]) // 2, (width - inner[1]) // 2
    room = [(first, whole - part - first) for first, whole, part in zip(before, (height, width), inner, strict=True)]
    return np.pad(small, [*room, *[(0, 0)] * (small.ndim - 2)], mode="edge")
