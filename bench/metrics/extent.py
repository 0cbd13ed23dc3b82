"""How far floats reach: whether they seem to lie in [0, 1] where [-1, 1] is meant."""

from __future__ import annotations

from torch import Tensor

UNIT = 0.05  # by which floats that lie in [0, 1] may leave it: networks and resizing overshoot
FEW = 0.001  # share of floats that may leave it by more


class Extent:
    """Follows floats: the least, the most, and how many lie outside of [0, 1]."""

    def __init__(self) -> None:
        self.values = self.outside = 0
        self.least, self.most = float("inf"), float("-inf")

    def add(self, floats: Tensor) -> None:
        """Follow finite floats; NaN would spoil the bounds."""
        floats = floats.detach()
        self.values += floats.numel()
        self.outside += int(((floats < -UNIT) | (floats > 1 + UNIT)).sum())
        self.least, self.most = min(self.least, float(floats.min())), max(self.most, float(floats.max()))

    @property
    def unit(self) -> bool:
        """Whether they lie in [0, 1], but for a small overshoot; a single value says nothing."""
        return self.outside <= FEW * self.values and self.least < self.most
