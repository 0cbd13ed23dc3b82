"""The picture that a restoration starts from: (N, 3, H, W) in [-1, 1], by a recipe, of files, or the image itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bench.bicubic import pictures
from bench.card import Card
from bench.data import dataset, degradation
from bench.data.dataset import ImageData, Indices
from bench.data.degradation import GIVEN, ITSELF
from bench.data.folder import stem
from bench.data.guides.guide import Asked, Files, Guide, Maker, Sides
from bench.errors import BenchError
from bench.metrics.images import to_uint8
from bench.store import derive_seed


class Degraded(Guide):
    told = "what a restoration starts from, in the place of masked/"
    remedy = "restore in a condition such as degraded/mild"
    shown = False  # it has conditions of its own
    layer = 9  # it takes the place of the whole picture
    companion, files = "copies", "degraded copies"

    def of(self, asked: Asked) -> Maker:
        images, source = asked.images, asked.source
        if source == GIVEN:
            return lambda indices: given(images, indices)
        if source == ITSELF:
            return images.floats

        def made(indices: Indices) -> Tensor | None:
            if not source:
                return None
            names = [images.ids[int(i)] for i in indices]
            seeds = [derive_seed(asked.seed, images.name, name, asked.condition, "degraded") for name in names]
            return dataset.floats(pairs(images, indices, source, seeds)[0])

        return made

    def reads(self, source: str) -> set[str]:
        return {self.companion} if source == GIVEN else set()

    def learned(self, card: Card) -> bool:
        return False  # training degrades the images by a recipe

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return pictures(value, after)

    def drawn(self, value: Tensor, inside: Tensor) -> Tensor:
        return to_uint8(value)

    def prepared(self, files: Files) -> ImageData:
        folder, size, cache, progress, framing = files.folder, files.size, files.cache, files.progress, files.framing
        found = dataset.prepare_folder(folder, size, cache, None, progress, framing=framing)
        files.check_shapes(found.fingerprint, {stem(name): name for name in found.ids}, self.files)
        return found


def given(images: ImageData, indices: Indices) -> Tensor:
    """The degraded copies of these images: (N, 3, H, W) float32 in [-1, 1]."""
    own = images.companions.get(GUIDE.companion)
    if own is None:
        raise BenchError(f"{images.name} has no degraded copies: give their folder with --degraded {images.name}=DIR")
    return own.floats(images.namesakes(own, indices))


def pairs(images: ImageData, indices: Indices, recipe: str, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The images at these indices, degraded by a recipe of `bench.data.degradation`, and as they should be.

    Both are (N, 3, H, W) uint8, channels last in memory; each image has its seed.
    """
    stored = images.stored(indices).permute(0, 2, 3, 1).numpy()
    rngs = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
    both = [degradation.degrade(one, recipe, rng) for one, rng in zip(stored, rngs, strict=True)]
    copies, clean = (torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) for side in zip(*both, strict=True))
    return copies, clean


GUIDE = Degraded()
