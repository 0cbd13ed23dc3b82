"""Masks for face inpainting: the generators of the papers, exact ratio buckets, frozen test sets.

A mask is a (height, width) uint8 array in {0, 1}, 1 = hole. Of the rest of the project this package uses the reader of
pictures alone.
"""

from __future__ import annotations

from masks.buckets import Bucket, ratio
from masks.condition import Condition, parse
from masks.draw import draw
from masks.errors import MaskError
from masks.folder import NVIDIA_CATEGORIES, MaskFolder
from masks.maskset import MaskSet, verify
from masks.published import PUBLISHED, published
from masks.registry import GENERATORS
from masks.sheet import contact_sheet, ratio_plot
from masks.training import TRAINING, recipe_of, training

__all__ = [
    "GENERATORS", "NVIDIA_CATEGORIES", "PUBLISHED", "TRAINING", "Bucket", "Condition", "MaskError", "MaskFolder",
    "MaskSet", "contact_sheet", "draw", "parse", "published", "ratio", "ratio_plot", "recipe_of",
    "training", "verify",
]  # fmt: skip
