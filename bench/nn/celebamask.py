"""Label maps of faces as networks of CelebAMask-HQ read them: one plane a class, in that data set's own order."""

from __future__ import annotations

from torch import Tensor

from bench.data.guides.semantics import CLASSES, one_hot
from bench.data.labels import CELEBAMASK, RENUMBER
from bench.method import Batch

OURS = RENUMBER[CELEBAMASK].tolist()
"""Our number of each of CelebAMask-HQ's classes."""


def planes(labels: Tensor) -> Tensor:
    """Labels (N, H, W) uint8, in our order -> (N, 19, H, W) float, 0 or 1; a pixel without a label is in no plane."""
    return one_hot(labels, CLASSES + 1)[:, OURS]


def relabelled(batch: Batch) -> tuple[Tensor, Tensor]:
    """The planes of what the picture shows, and of the layout that it shall have: the same one where none is wanted."""
    labels = batch.need("semantics")
    wanted = labels if batch.layout is None else batch.layout
    return planes(labels).to(batch.image), planes(wanted).to(batch.image)
