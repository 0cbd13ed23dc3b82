"""The whole picture, where it is edited and nothing of it is hidden: (N, 3, H, W) in [-1, 1].

A method that is shown it sees what others complete: it is judged by how well it follows its other guides and by what it
keeps, not by how near it comes to the picture.
"""

from __future__ import annotations

from torch import Tensor

from bench.bicubic import pictures
from bench.data.guides.guide import Asked, Guide, Maker, Sides


class Source(Guide):
    told = "the whole picture, of methods that edit it"
    remedy = "edit in a condition that shows it, such as face+source+exemplar"

    def of(self, asked: Asked) -> Maker:
        return asked.images.floats

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return pictures(value, after)


GUIDE = Source()
