"""The pictures of a study, as they were scored, in layers: an original once, and what each method put into its hole.

A layer is a lossless WebP file; those after the first are transparent outside the hole, so that drawing one over the
other gives every pixel as it was scored.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.archive import Archive
from bench.batch import Batch
from bench.condition import parse
from bench.data import guides
from bench.errors import BenchError
from bench.samples import shown
from bench.study.design import FLAT, MOST, ORIGINAL
from bench.task import Task

LOSSLESS: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 50, "method": 4}
INPUT = "(input)"
FLATS = {  # plain colours of holes, none of skin
    FLAT.format(i): colour
    for i, colour in enumerate(
        [
            (0, 160, 0),
            (0, 0, 200),
            (160, 0, 160),
            (0, 0, 0),
            (0, 150, 160),
            (255, 255, 0),
            (70, 70, 70),
            (255, 255, 255),
        ],
        1,
    )
}
assert len(FLATS) == MOST - 1

Layers = tuple[bytes, ...]


@dataclass
class Album:
    """The pictures of one place of a study."""

    task: Task
    archives: Mapping[str, Archive]
    """By the printed name of the method."""
    made: dict[tuple[str, str], Layers] = field(default_factory=dict, repr=False)

    def layers(self, image: str, name: str) -> Layers:
        """The layers of one picture: `ORIGINAL`, `INPUT`, one of `FLATS`, or a method's."""
        if (image, name) not in self.made:
            self.made[image, name] = self._layers(image, name)
        return self.made[image, name]

    def beside(self, image: str) -> tuple[list[tuple[str, Layers]], str]:
        """What the methods were given: title and layers of each picture, and the text, if one guided them."""
        batch = self._batch(image)
        found = [("Given", self.layers(image, INPUT))]
        for name, value in batch.guides.items():
            if (guide := guides.get(name)).apart:
                picture = guide.exported(value)[0]
                assert isinstance(picture, Tensor)
                found.append((name.capitalize(), (_webp(picture),)))
        return found, "" if batch.text is None else batch.text[0]

    def _layers(self, image: str, name: str) -> Layers:
        number = self._number(image)
        original = self.task.images.images([self.task.positions[number]])  # (1, 3, H, W) uint8
        if name == ORIGINAL:
            return (_webp(original[0]),)
        hole = torch.from_numpy(np.asarray(self.task.masks[number])).bool()[None, None]
        alone = bool(hole.all())  # nothing of the original is seen
        if name in FLATS:
            picture = torch.tensor(FLATS[name], dtype=torch.uint8)[:, None, None].expand_as(original[0])
        elif name == INPUT:
            picture = shown(self._batch(image))[0]
            alone |= parse(self.task.condition).degraded
        else:
            archive = self.archives[name]
            picture = archive.read([number], original, hole)[0]
            alone |= archive.whole
        if alone:
            return (_webp(picture),)
        return *self.layers(image, ORIGINAL), _webp(picture, hole[0])

    def _number(self, image: str) -> int:
        """Which of the test images it is."""
        for number, position in enumerate(self.task.positions):
            if self.task.images.ids[position] == image:
                return number
        raise BenchError(f"the run has no picture {image!r} of {self.task.images.name}: make the assignment again")

    def _batch(self, image: str) -> Batch:
        return self.task.batch([self._number(image)])


def _webp(picture: Tensor, hole: Tensor | None = None) -> bytes:
    """A picture (3, H, W) or (1, H, W) in uint8 as lossless WebP, transparent outside the hole (1, H, W)."""
    colours = picture.expand(3, *picture.shape[1:])
    planes = colours if hole is None else torch.cat([colours * hole, hole.byte() * 255])
    data = io.BytesIO()
    Image.fromarray(planes.permute(1, 2, 0).contiguous().numpy()).save(data, **LOSSLESS)
    return data.getvalue()
