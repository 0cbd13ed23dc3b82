"""Another picture that guides a completion: (N, 3, H, W) in [-1, 1].

In tests it shows another person where the data set knows its people.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from torch import Tensor

from bench.bicubic import pictures
from bench.data.dataset import PEOPLE
from bench.data.guides.guide import Asked, Frame, Guide, Maker, Sides
from bench.errors import BenchError
from bench.given import Given
from bench.store import derive_seed


class Exemplar(Guide):
    told = "another test picture, which guides the completion: of another person where the data set knows its people"
    apart = True
    by_hand = "another picture of a face"
    remedy = f"give {by_hand}"

    def of(self, asked: Asked) -> Maker:
        return guiding(asked, asked.images.floats)

    def reads(self, source: str) -> Set[str]:
        return {PEOPLE}

    def handed(self, given: Given, frame: Frame) -> Tensor:
        return frame.pixels(given, self.name, alike=False)

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return pictures(value, after)


def guiding(asked: Asked, make: Maker) -> Maker:
    """What makes something of the exemplars of images; none in training, where methods make pairs of their batch."""
    if not asked.positions:
        return lambda indices: None
    chosen = dict(zip(asked.positions, pairs(asked), strict=True))
    return lambda indices: make([chosen[int(i)] for i in indices])


def pairs(asked: Asked) -> list[int]:
    """The picture that guides each image: another one of them; the same for all methods."""
    return [exemplar for exemplar, _ in triples(asked)]


def others(asked: Asked) -> list[int]:
    """For each image another one that did not guide it: neither its own person's nor its exemplar's."""
    return [other for _, other in triples(asked)]


def triples(asked: Asked) -> list[tuple[int, int]]:
    """(exemplar, another one) of each image: the next ones of other people, in an order drawn by the seed.

    Where all images show two people, the exemplar is the other one, too. Where people are not known, each image counts
    as one.
    """
    seed = derive_seed(asked.seed, asked.images.name, "exemplars")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(asked.positions).tolist()
    people = asked.images.people(order)
    labels = list(range(len(order))) if people is None else people.tolist()
    chosen = {}
    for i, position in enumerate(order):
        after = (j % len(order) for j in range(i + 1, i + len(order)))
        first = next((j for j in after if labels[j] != labels[i]), None)
        if first is None:
            raise BenchError(f"{asked.images.name}: the test images show one person only; exemplars need another one")
        second = next((j for j in after if labels[j] not in (labels[i], labels[first])), first)
        chosen[position] = order[first], order[second]
    return [chosen[position] for position in asked.positions]


GUIDE = Exemplar()
