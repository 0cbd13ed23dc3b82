"""What is completed and scored: test images, their masks, and what guides a method, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import condition as conditions
from bench.batch import Batch
from bench.condition import GIVEN, GUIDES, ITSELF
from bench.data.dataset import ImageData, floats
from bench.errors import BenchError
from bench.store import derive_seed
from masks import MaskSet

BATCH = 16  # images completed at a time


@dataclass(frozen=True)
class Task:
    """What is evaluated: test images, their masks, and the name and seed that fix every random draw."""

    images: ImageData
    positions: Sequence[int]  # of the test images
    masks: MaskSet
    condition: str
    seed: int
    needs: tuple[str, ...] = ()  # what guides the method in every condition: fields of `Batch`
    pasted: bool = True  # the known pixels of what is scored are the originals'
    completions: int = 1  # of each image, each with a seed of its own

    @property
    def guides(self) -> set[str]:
        """What the method is shown, beside the known pixels."""
        return {*self.needs, *conditions.parse(self.condition).guides}

    def exemplars(self) -> list[int]:
        """The picture that guides each test image: a test image of another person, the same for all methods."""
        seed = derive_seed(self.seed, self.images.name, "exemplars")
        order = np.random.Generator(np.random.PCG64(seed)).permutation(self.positions).tolist()
        people = self.images.identity(order)
        labels = list(range(len(order))) if people is None else people.tolist()
        chosen = {}
        for i, position in enumerate(order):
            others = (j % len(order) for j in range(i + 1, i + len(order)))
            found = next((j for j in others if labels[j] != labels[i]), None)
            if found is None:
                raise BenchError(
                    f"{self.images.name}: the test images show one person only; exemplars need another one"
                )
            chosen[position] = order[found]
        return [chosen[position] for position in self.positions]

    def batches(self) -> Iterator[Batch]:
        """The test images with their masks; the pixels under the holes are there."""
        exemplars = self.exemplars() if "exemplar" in self.guides else []
        others = [name for name in GUIDES if name in self.guides and name != "exemplar"]
        for numbers, holes in zip(self._numbers(), self.holes(), strict=True):
            chosen = [self.positions[i] for i in numbers]
            guides: dict[str, Any] = {name: self.images.guide(name, chosen, self.condition) for name in others}
            yield Batch(
                image=self.images.floats(chosen),
                mask=holes.float(),
                exemplar=self.images.floats([exemplars[i] for i in numbers]) if exemplars else None,
                degraded=self.degraded(chosen),
                **guides,
                ids=tuple(self.images.ids[i] for i in chosen),
                condition=self.condition,
            )

    def originals(self) -> Iterator[Tensor]:
        """The test images alone, uint8 (N, 3, H, W), in the same batches."""
        for numbers in self._numbers():
            yield self.images.images([self.positions[i] for i in numbers])

    def holes(self) -> Iterator[Tensor]:
        """Their masks alone, bool (N, 1, H, W)."""
        for numbers in self._numbers():
            yield torch.from_numpy(np.stack([self.masks[i] for i in numbers])).bool()[:, None]

    def _numbers(self) -> list[range]:
        """The test images of each batch, counted from 0."""
        count = len(self.positions)
        return [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]

    def degraded(self, chosen: Sequence[int]) -> Tensor | None:
        """The degraded copies of these test images, the same for all methods; None in other conditions."""
        condition = conditions.parse(self.condition)
        if not condition.degraded:
            return None
        if condition.source == GIVEN:
            return self.images.copy_of(chosen)
        if condition.source == ITSELF:
            return self.images.floats(chosen)
        names = [self.images.ids[i] for i in chosen]
        seeds = [derive_seed(self.seed, self.images.name, name, self.condition, "degraded") for name in names]
        return floats(self.images.degraded(chosen, condition.source, seeds)[0])

    def seeds(self, batch: Batch) -> list[int]:
        """What fixes the random numbers of each image of a batch, and of this completion of it."""
        further = [batch.number] if batch.number else []  # the first one's seed is that of a single completion
        return [derive_seed(self.seed, self.images.name, name, self.condition, *further) for name in batch.ids or ()]
