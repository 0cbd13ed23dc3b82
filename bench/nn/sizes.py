"""Which image sizes a network can take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.framing import Size, extent, normal

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST, LARGEST = 32, 2048  # sides of a suite's images


@dataclass(frozen=True)
class Sizes:
    """The sides, in pixels, of the images that a network takes; without arguments, any.

    Height and width may differ, unless it says otherwise: layouts for one side do not fit another, and networks that
    see the whole image by positions, or code it, were made for squares.
    """

    multiple: int = 1  # that sides are multiples of
    smallest: int = 1
    powers: bool = False  # sides are powers of two
    only: int | None = None  # the one side that the network is laid out for
    option: str = ""  # of the method, which says for what side
    square: bool = False  # height and width are equal

    def __contains__(self, size: Size) -> bool:
        height, width = extent(size)
        return (height == width or not self.square) and self._takes(height) and self._takes(width)

    def _takes(self, side: int) -> bool:
        fits = side % self.multiple == 0 and side >= self.smallest and not (self.powers and side & (side - 1))
        return fits and self.only in (None, side)

    def around(self, size: tuple[int, int]) -> list[Size]:
        """The sizes whose sides are the nearest multiples below and above those of (height, width)."""
        least = math.ceil(max(self.smallest, SMALLEST) / self.multiple)
        counts = [side / self.multiple for side in size]
        ways = [[max(least, way(count)) * self.multiple for count in counts] for way in (math.floor, math.ceil)]
        return list(dict.fromkeys(map(normal, ways)))

    def __str__(self) -> str:
        if self.only is not None and self.only in self:
            said = f", as its option `{self.option}` says" if self.option else ""
            return f"images of {self.only} x {self.only}{said}"
        images = "square images" if self.square else "images"
        if self.powers:
            return f"{images} with sides that are powers of two from {self.smallest} on"
        first = math.ceil(self.smallest / self.multiple) * self.multiple
        more = f" from {first} on" if first > self.multiple else ""
        return f"{images} with sides that are multiples of {self.multiple}{more}"

    def check(self, images: Tensor, name: str) -> None:
        """Raise BenchError, which names the network, unless it takes the height and width of images (N, C, H, W)."""
        height, width = images.shape[2:]
        if (height, width) not in self:
            raise BenchError(f"{name} takes {self}, not {height} x {width}")


def nearest(side: int, fits: Callable[[int], bool]) -> list[int]:
    """The nearest sides below and above, of those that a suite can have, which fit; there may be none."""
    ways = range(min(side, LARGEST), SMALLEST - 1, -1), range(max(side, SMALLEST), LARGEST + 1)
    return list(dict.fromkeys(found for way in ways if (found := next(filter(fits, way), None))))
