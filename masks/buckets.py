"""Ratio buckets: half-open intervals (a, b] of the hole share, counted in whole pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import floor

import numpy as np

from masks.errors import MaskError

_NAME = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def ratio(mask: np.ndarray) -> float:
    """The fraction of hole pixels of a mask (any shape, non-zero = hole)."""
    return float(np.count_nonzero(mask) / mask.size)


@dataclass(frozen=True, order=True)
class Bucket:
    """All masks with more than `low` and at most `high` percent of hole pixels.

    Raises MaskError unless 0 <= low < high <= 100.
    """

    low: Decimal
    high: Decimal

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", self.low.normalize())
        object.__setattr__(self, "high", self.high.normalize())
        if not 0 <= self.low < self.high <= 100:
            raise MaskError(
                f"bucket {self} is impossible: it means more than {self.low:f} and at most {self.high:f} percent, "
                "so write a-b with 0 <= a < b <= 100, for example 10-20"
            )

    @classmethod
    def of(cls, low: float | Decimal, high: float | Decimal) -> Bucket:
        """The bucket (low, high] of two numbers in percent."""
        return cls(Decimal(str(low)), Decimal(str(high)))

    @classmethod
    def parse(cls, name: str) -> Bucket | None:
        """The bucket called "a-b" (percent, decimals allowed), or None where the name has another form."""
        match = _NAME.fullmatch(name)
        return cls(Decimal(match[1]), Decimal(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.low:f}-{self.high:f}"

    def counts(self, pixels: int) -> tuple[int, int]:
        """The smallest and the largest number of hole pixels in the bucket, of a picture of `pixels` pixels.

        Raises MaskError when no whole number of pixels lies in the bucket.
        """
        low, high = floor(self.low * pixels / 100) + 1, floor(self.high * pixels / 100)
        if low > high:
            raise MaskError(f"bucket {self} holds no whole number of pixels of {pixels}: take a wider one")
        return low, high

    def __contains__(self, mask: np.ndarray) -> bool:
        low, high = self.counts(mask.size)
        return low <= int(np.count_nonzero(mask)) <= high
