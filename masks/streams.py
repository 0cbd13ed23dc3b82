"""Random numbers of the mask generators: our own streams, and the authors' legacy NumPy stream.

Both classes offer the same draws, so one generator serves both. `Stream` stands on `random.Random.random()`, the
one sequence that Python guarantees on every platform and version. `AuthorStream` stands on
`numpy.random.RandomState`, whose sequence NumPy has frozen; it draws in the order of the authors' code.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from itertools import accumulate
from statistics import NormalDist

import numpy as np

_QUANTILES = 4096


@cache
def _normal_quantiles() -> list[float]:
    normal = NormalDist()
    return [normal.inv_cdf((i + 0.5) / _QUANTILES) for i in range(_QUANTILES)]


@lru_cache(maxsize=32)
def _quantiles(mean: float, deviation: float) -> list[float]:
    return [mean + deviation * quantile for quantile in _normal_quantiles()]


class Stream:
    """An own random stream: depends on `key` alone. `key` may hold integers, strings and tuples of them."""

    def __init__(self, *key: object) -> None:
        digest = hashlib.sha256(repr(key).encode()).digest()
        self.random = random.Random(int.from_bytes(digest, "big")).random

    def integer(self, low: int, high: int) -> int:
        """One integer in low .. high - 1."""
        return low + int(self.random() * (high - low))

    def integers(self, low: int, high: int, n: int) -> list[int]:
        """`n` integers in low .. high - 1."""
        span, draw = high - low, self.random
        return [low + int(draw() * span) for _ in range(n)]

    def below(self, first: int, second: int) -> tuple[int, int]:
        """Two integers: one in 0 .. first - 1, one in 0 .. second - 1."""
        return int(self.random() * first), int(self.random() * second)

    def rows(self, n: int, first: int, second: int, third: int) -> list[tuple[int, int, int]]:
        """`n` rows of three integers: one in 0 .. first - 1, one in 0 .. second - 1, one in 0 .. third - 1."""
        draw = self.random
        return [(int(draw() * first), int(draw() * second), int(draw() * third)) for _ in range(n)]

    def uniform(self, low: float, high: float) -> float:
        """One real number in [low, high)."""
        return low + (high - low) * self.random()

    def uniforms(self, low: float, high: float, n: int) -> list[float]:
        """`n` real numbers in [low, high)."""
        span, draw = high - low, self.random
        return [low + span * draw() for _ in range(n)]

    def normals(self, mean: float, deviation: float, n: int) -> list[float]:
        """`n` normal numbers, by a table of 4096 quantiles."""
        table, draw = _quantiles(mean, deviation), self.random
        return [table[int(draw() * _QUANTILES)] for _ in range(n)]

    def choice(self, weights: Iterable[float]) -> int:
        """An index, drawn with probability proportional to its weight."""
        sums = list(accumulate(weights))
        level = self.random() * sums[-1]
        return next(i for i, total in enumerate(sums) if level < total)

    def shuffled(self, items: Sequence) -> list:
        """The items in a random order."""
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.integer(0, i + 1)
            items[i], items[j] = items[j], items[i]
        return items


class AuthorStream:
    """The authors' stream: NumPy's legacy generator, as after `numpy.random.seed(seed)`."""

    def __init__(self, seed: int | np.random.RandomState) -> None:
        self._state = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)

    def random(self) -> float:
        """One real number in [0, 1)."""
        return self._state.random_sample()

    def integer(self, low: int, high: int) -> int:
        """One integer in low .. high - 1."""
        return int(self._state.randint(low, high))

    def integers(self, low: int, high: int, n: int) -> list[int]:
        """`n` integers in low .. high - 1."""
        return self._state.randint(low, high, n).tolist()

    def below(self, first: int, second: int) -> tuple[int, int]:
        """Two integers: one in 0 .. first - 1, one in 0 .. second - 1."""
        return int(self._state.randint(first)), int(self._state.randint(second))

    def rows(self, n: int, *spans: int) -> list[tuple[int, ...]]:
        """`n` rows of integers, one in 0 .. span - 1 for each span."""
        return [tuple(int(self._state.randint(span)) for span in spans) for _ in range(n)]

    def uniform(self, low: float, high: float) -> float:
        """One real number in [low, high)."""
        return self._state.uniform(low, high)

    def uniforms(self, low: float, high: float, n: int) -> list[float]:
        """`n` real numbers in [low, high)."""
        return self._state.uniform(low, high, n).tolist()

    def normals(self, mean: float, deviation: float, n: int) -> list[float]:
        """`n` normal numbers."""
        return self._state.normal(mean, deviation, n).tolist()

    def choice(self, weights: Iterable[float]) -> int:
        """An index, drawn with probability proportional to its weight (summed in float32, as LaMa does)."""
        p = np.array(tuple(weights), dtype=np.float32)
        return int(self._state.choice(len(p), p=p / p.sum()))


AnyStream = Stream | AuthorStream


@cache
def sine_cosine(angle: float) -> tuple[float, float]:
    """Correctly rounded sine and cosine of an angle in radians.

    Some generators draw angles from a short list (whole degrees, 0.01 + k). Then a step can end exactly on a whole
    pixel, and the last bit of the sine decides which: math libraries differ there, this series does not.
    """
    with localcontext() as context:
        context.prec = 50
        x = Decimal(angle)
        sums = [Decimal(0), Decimal(0)]  # cosine: even powers, sine: odd powers
        term, n = Decimal(1), 0
        while abs(term) > Decimal("1e-40"):
            sums[n % 2] += -term if n % 4 > 1 else term
            n += 1
            term *= x / n
        return float(sums[1]), float(sums[0])
