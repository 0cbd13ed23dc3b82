"""Methods that call a network many times for one completion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from bench.method import Batch, Method, Noise

SHOWN = 6  # pictures in a report of how a completion comes about


class Iterative(Method):
    """Completes an image call by call. A subclass says how, in `pictures`."""

    @property
    def calls(self) -> int:
        """Of the network in a completion."""
        raise NotImplementedError

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """The picture as the network sees it at each of its calls; the last one is the completion."""
        raise NotImplementedError

    def ready(self, batch: Batch) -> None:
        """Raises BenchError where this batch cannot be completed."""
        self.config.sizes().check(batch.image, self.card.slug)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        self.ready(batch)
        *_, last = self.pictures(batch, noise)
        return last

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        self.ready(batch)
        return some(self.pictures(batch, noise), self.calls)

    def remarks(self) -> list[str]:
        return [said(self.calls)]


def said(calls: int) -> str:
    """What the tables say of it."""
    return f"a completion calls its network {calls} times"


def some(pictures: Iterable[Tensor], count: int, wanted: int = SHOWN) -> list[Tensor]:
    """`wanted` of `count` pictures, as equally spaced as can be; the last is the last."""
    return [picture for i, picture in enumerate(pictures, 1) if i * wanted // count > (i - 1) * wanted // count]
