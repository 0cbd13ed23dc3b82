"""What is said of each picture: N sentences, of text files beside the images or about synthetic faces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from bench.card import Card
from bench.data import cache, captions, preparing, sources
from bench.data import folder as files
from bench.data.cache import Batch
from bench.data.dataset import ImageData, Indices
from bench.data.guides.guide import Asked, Files, Frame, Guide, Maker, Sides
from bench.store import digest

CAPTIONS = "captions"
"""Stands for texts in place of a filter's name."""


class Text(Guide):
    told = "a sentence, in NAME.txt"
    by_hand = "a sentence"
    remedy = "give text files with --captions"
    companion, files = "texts", "captions"

    def of(self, asked: Asked) -> Maker:
        return lambda indices: sentences(asked.images, indices)

    def handed(self, given: str, frame: Frame) -> tuple[str, ...]:
        return (given,)

    def learned(self, card: Card) -> bool:
        return self.name in (*card.needs, *card.learns)

    def mirrored(self, value: tuple[str, ...], width: int) -> tuple[str, ...]:
        return value

    def resized(self, value: tuple[str, ...], before: Sides, after: Sides) -> tuple[str, ...]:
        return value

    def masked(self, value: tuple[str, ...], mask: Tensor) -> tuple[str, ...]:
        return value

    def exported(self, value: tuple[str, ...]) -> list[str]:
        return [f"{sentence}\n" for sentence in value]

    def prepared(self, files: Files) -> ImageData:
        return prepare_captions(files)


def sentences(images: ImageData, indices: Indices) -> tuple[str, ...] | None:
    """What is said of each image; None when the data set has no captions."""
    own = images.companions.get(GUIDE.companion)
    if own is not None:
        found = own.known("text", images.namesakes(own, indices))
        return tuple(text.decode() for text in ([] if found is None else found.tolist()))
    attributes = images.known("attributes", indices)
    return None if attributes is None else tuple(captions.describe(values) for values in attributes.tolist())


def prepare_captions(given: Files) -> ImageData:
    """Read a folder of captions (NAME.txt, see `bench.data.captions`) once into the cache, or reuse what stands there.

    Raises BenchError for a folder without text files and names the first file that cannot be read.
    """
    folder, progress = given.folder, given.progress
    ids = files.find(folder, captions.SUFFIXES, "captions", "text files, NAME.txt")
    source = sources.Folder(folder, ids)
    fingerprint, read = preparing.hashed(source, given.cache, progress, CAPTIONS, captions.MAX_BYTES)

    def decode(name: str) -> bytes:
        return captions.decode(read(name), folder / name).encode()

    def batches() -> Iterator[Batch]:
        for chunk in cache.in_parallel(decode, ids, "reading", progress):
            yield {"text": np.array(chunk, dtype=f"S{captions.LONGEST}")}

    facts = {"fingerprint": fingerprint, "filter": CAPTIONS, "ids": ids}
    key = digest([cache.VERSION, fingerprint, CAPTIONS])
    needed = len(ids) * captions.LONGEST
    entry, _ = preparing.entry(given.cache / f"{CAPTIONS}-{key[:16]}", facts, batches(), needed)
    return ImageData(folder.resolve().name, given.size, fingerprint, ids, CAPTIONS, entry)


GUIDE = Text()
