"""The 13 parts of a face that have a generator each, and their codes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from bench.data.guides.semantics import one_hot
from masks.generators.semantic import LABELS

Part = Literal[
    "background", "skin", "eyes", "brows", "mouth", "nose", "ears", "hair", "neck", "cloth", "glasses", "hat",
    "earrings",
]  # fmt: skip
PARTS: tuple[Part, ...] = (
    "background", "skin", "eyes", "brows", "mouth", "nose", "ears", "hair", "neck", "cloth", "glasses", "hat",
    "earrings",
)  # fmt: skip
FACE: tuple[Part, ...] = ("skin", "eyes", "brows", "mouth", "nose")
TRANSPARENT: tuple[Part, ...] = ("glasses", "earrings")
"""What is behind them shows."""
MERGED: dict[str, Part] = {
    "l_eye": "eyes", "r_eye": "eyes", "l_brow": "brows", "r_brow": "brows", "u_lip": "mouth", "l_lip": "mouth",
    "l_ear": "ears", "r_ear": "ears", "ear_r": "earrings", "neck_l": "neck", "eye_g": "glasses",
}  # fmt: skip
NUMBERS = [PARTS.index(MERGED.get(name, name)) for name in LABELS] + [len(PARTS)]  # type: ignore[arg-type]
"""The part of each of our labels; the last one, no label, is of no part."""

BASE = 2  # codes of the whole face
CODES = BASE + 2 * len(PARTS)
"""Codes of a picture: those of the whole face, then a shape and a texture for each part."""


def shape(part: Part) -> int:
    """The number of its shape code."""
    return BASE + 2 * PARTS.index(part)


def texture(part: Part) -> int:
    """The number of its texture code."""
    return shape(part) + 1


def planes(labels: Tensor) -> Tensor:
    """Labels (N, H, W) uint8, in our order -> (N, 13, H, W): 1 where the part is, -1 elsewhere."""
    numbers = torch.tensor(NUMBERS, device=labels.device)[labels.long()]
    return 2 * one_hot(numbers, len(PARTS) + 1)[:, :-1] - 1
