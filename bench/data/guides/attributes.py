"""Numbers that describe the face, see `bench.data.attributes`: (N, K), NaN where one is not known."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.data import attributes
from bench.data.attributes import NAMES, OPPOSITE, OPTION
from bench.data.dataset import ImageData, Indices
from bench.data.guides.guide import Asked, Files, Guide, Maker, Sides, listed
from bench.data.synthfaces.scene import sample
from bench.errors import BenchError

ATTRIBUTES = "attributes"
"""Stands for numbers in place of a filter's name."""


class Attributes(Guide):
    told = "lines `NAME NUMBER` of the face: its pose, expression, light, age, ..., in NAME.txt"
    remedy = f"give {OPTION}"
    companion, files = "attributes", "attributes"

    def of(self, asked: Asked) -> Maker:
        return partial(numbers, asked.images)

    def mirrored(self, value: Tensor, width: int) -> Tensor:
        return value * torch.tensor([-1.0 if name in OPPOSITE else 1.0 for name in NAMES]).to(value)

    def masked(self, value: Tensor, mask: Tensor) -> Tensor:
        return value  # of the whole face

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return value

    def exported(self, value: Tensor) -> list[str]:
        return ["".join(f"{name} {n:.4f}\n" for name, n in zip(NAMES, row, strict=True) if n == n) for row in value]

    def check(self, images: ImageData, indices: Indices) -> None:
        numbers(images, indices)

    def prepared(self, files: Files) -> ImageData:
        return prepare_attributes(files)


def numbers(images: ImageData, indices: Indices) -> Tensor | None:
    """Those of these images, of a table or as they were drawn; None where there is neither."""
    own = images.companions.get(GUIDE.companion)
    if own is None:
        drawn = images.seed
        if drawn is None:
            return None
        of = np.array([int(images.ids[int(i)]) for i in indices], dtype=np.int64)
        return torch.from_numpy(attributes.of_scenes(sample(of, drawn)))
    found = own.known(ATTRIBUTES, images.namesakes(own, indices))
    if found is None or (silent := np.isnan(found).all(axis=1)).all():
        raise BenchError(f"{own.name} holds no numbers of {images.name}: give {OPTION}")
    if silent.any():
        first = images.ids[int(list(indices)[int(silent.argmax())])]
        raise BenchError(f"{own.name} holds no numbers of {first}: add its row to {OPTION}")
    return torch.from_numpy(found)


def prepare_attributes(given: Files) -> ImageData:
    """Read a table of numbers (see `bench.data.attributes.table`) once into the cache, or reuse what stands there."""
    return listed(given, ATTRIBUTES, attributes.table, NAMES)


GUIDE = Attributes()
