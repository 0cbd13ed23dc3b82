"""Masks of a condition: mask i depends on the seed, the condition, the size and i alone."""

from __future__ import annotations

import numpy as np

from bench.errors import about
from masks.checks import checked_size, whole_number
from masks.condition import Condition, parse
from masks.errors import MaskError
from masks.generators.plain import Request
from masks.registry import GENERATORS
from masks.streams import Stream


def draw(
    condition: str | Condition,
    size: int | tuple[int, int],
    seed: int,
    index: int,
    *,
    semantics: np.ndarray | None = None,
    image: str | None = None,
) -> np.ndarray:
    """Mask `index` of a condition, (height, width) uint8 in {0, 1} with 1 = hole.

    condition: a `Condition` or its name. In a bucket (a, b] the mask has more than a and at most b percent of hole
        pixels, counted exactly.
    size: the side, or (height, width); 8 pixels or more. Published pixel constants (brush widths, lengths, margins)
        are multiplied by the shorter side / 256, so that masks look alike at all sizes.
    seed, index: integers, index >= 0. The same four values give the same mask on every machine, in every order.
    semantics: for semantic regions, the image's label map: (height, width) integers, CelebAMask-HQ's 19 labels.
    image: name of the picture, for folder:DIR/paired.

    Raises MaskError for a bad name, size or label map, and for a bucket that the generator cannot reach.
    """
    condition = parse(condition) if isinstance(condition, str) else condition
    height, width = checked_size(size)
    seed, index = whole_number("seed", seed), whole_number("index", index)
    if index < 0:
        raise MaskError(f"the index of a mask is 0 or more, not {index}")
    name = str(condition)
    try:
        counts = condition.bucket.counts(height * width) if condition.bucket else None
        request = Request(
            condition.generator, height, width, min(height, width) / 256, condition.bucket, counts,
            condition.argument, condition.options, semantics, seed, index, image,
        )  # fmt: skip
        with about(condition.argument if condition.generator == "folder" else None):
            return GENERATORS[condition.generator].draw(request, Stream(seed, name, height, width, index))
    except MaskError as error:
        raise MaskError(f"condition '{name}' at {height}x{width}: {error}") from error
