"""What a metric of whole sets takes and returns: two sets of features; a value and what every image adds to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bench.errors import BenchError


class Unsuited(BenchError):
    """A metric does not take such pictures: it is left out, the others go on."""


class TooSmall(Unsuited):
    """The pictures are too small for a metric."""


@dataclass
class Pair:
    """Features (n, d) of the completed images, and those (m, d) of what they are compared with.

    `paired`: row i of both is the same photograph. `reference` may be `frechet.Moments` for Fréchet distances.
    `shared` keeps what several metrics of one pair need (the SVM's decisions).
    """

    completed: Tensor
    reference: Any
    paired: bool = True
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A value and its contributions: (n,) float64 with mean `value`, one for each completed image.

    The contributions are the value plus the influence function at each image (the infinitesimal jackknife; Efron,
    1982). One bootstrap of their mean gives the interval of any metric, and their differences between two methods
    a paired test. Resampling the images themselves would bias FID and the discriminative scores: duplicates
    shrink a covariance's rank and are separated together.
    """

    value: float
    contributions: Tensor | None = None
    note: str = ""
