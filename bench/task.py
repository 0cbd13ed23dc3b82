"""What is completed and scored: test images, their masks, and what guides a method, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench import condition as conditions
from bench.batch import Batch
from bench.data.dataset import ImageData
from bench.data.guides import Asked, Maker, exemplar, makers
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
    needs: tuple[str, ...] = ()  # what guides the method in every condition: names of `bench.data.guides`
    pasted: bool = True  # the known pixels of what is scored are the originals'
    completions: int = 1  # of each image, each with a seed of its own

    @property
    def guides(self) -> set[str]:
        """What the method is shown, beside the known pixels."""
        return {*self.needs, *conditions.parse(self.condition).guides}

    @property
    def _asked(self) -> Asked:
        source = conditions.parse(self.condition).source
        return Asked(self.images, self.condition, self.positions, self.condition, source, self.seed)

    @cached_property
    def _makers(self) -> dict[str, Maker]:
        return makers(self.guides, self._asked)

    def batches(self) -> Iterator[Batch]:
        """The test images with their masks; the pixels under the holes are there."""
        yield from map(self.batch, self._numbers())

    def batch(self, numbers: Sequence[int]) -> Batch:
        """These of the test images, counted from 0, as in `batches`."""
        chosen = [self.positions[i] for i in numbers]
        return Batch(
            image=self.images.floats(chosen),
            mask=self._holes(numbers).float(),
            guides={name: make(chosen) for name, make in self._makers.items()},
            ids=tuple(self.images.ids[i] for i in chosen),
            condition=self.condition,
        )

    def originals(self) -> Iterator[Tensor]:
        """The test images alone, uint8 (N, 3, H, W), in the same batches."""
        for numbers in self._numbers():
            yield self.images.images([self.positions[i] for i in numbers])

    def exemplars(self, others: bool = False) -> Iterator[Tensor]:
        """What guides them where exemplars do, as `originals`; or `others`, which guide another one."""
        chosen = (exemplar.others if others else exemplar.pairs)(self._asked)
        for numbers in self._numbers():
            yield self.images.images([chosen[i] for i in numbers])

    def holes(self) -> Iterator[Tensor]:
        """Their masks alone, bool (N, 1, H, W)."""
        yield from map(self._holes, self._numbers())

    def _holes(self, numbers: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.stack([self.masks[i] for i in numbers])).bool()[:, None]

    def _numbers(self) -> list[range]:
        """The test images of each batch, counted from 0."""
        count = len(self.positions)
        return [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]

    def seeds(self, batch: Batch) -> list[int]:
        """What fixes the random numbers of each image of a batch, and of this completion of it."""
        further = [batch.number] if batch.number else []  # the first one's seed is that of a single completion
        return [derive_seed(self.seed, self.images.name, name, self.condition, *further) for name in batch.ids or ()]
