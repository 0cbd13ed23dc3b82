"""What the networks are shown: maps as pictures, and texts as vectors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from bench.nn import text
from bench.nn.perceptual import frozen
from masks.generators.semantic import LABELS

SKIN, HAIR = LABELS.index("skin"), LABELS.index("hair")
LENGTHS = {"farl": 512, "embedded": text.WIDTH}  # of the vectors of texts


def region(labels: Tensor, label: int) -> Tensor:
    """A picture (N, 3, H, W) in [-1, 1] of the pixels with a label, white on black; labels: (N, H, W)."""
    return (2 * (labels == label).float() - 1)[:, None].expand(-1, 3, -1, -1)


def face(labels: Tensor) -> Tensor:
    """The pictures of skin and hair (N, 6, H, W) of labels (N, H, W)."""
    return torch.cat([region(labels, SKIN), region(labels, HAIR)], dim=1)


def drawing(sketch: Tensor) -> Tensor:
    """A sketch (N, 1, H, W), 1 = line, as a picture (N, 3, H, W): black lines on white."""
    return (1 - 2 * sketch).expand(-1, 3, -1, -1)


@lru_cache
def reader(file: Path | None, device: torch.device) -> text.TextImage:
    """FaRL of this file, or the embedded network; it is no part of a method, and not saved with it."""
    network = text.CLIP(file, "ViT-B/16 (FaRL)", text.VIT_B_16) if file else text.load("embedded")
    return frozen(network).to(device)
