"""Label maps of faces as networks of CelebAMask-HQ read them: one plane a class, in that data set's own order."""

from __future__ import annotations

from torch import Tensor

from bench.data.guides.semantics import CLASSES, one_hot
from bench.data.labels import CELEBAMASK, RENUMBER

OURS = RENUMBER[CELEBAMASK].tolist()
"""Our number of each of CelebAMask-HQ's classes."""


def planes(labels: Tensor) -> Tensor:
    """Labels (N, H, W) uint8, in our order -> (N, 19, H, W) float, 0 or 1; a pixel without a label is in no plane."""
    return one_hot(labels, CLASSES + 1)[:, OURS]
