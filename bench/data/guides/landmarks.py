"""68 landmarks of each face in iBUG's order: (N, 68, 2), (x, y) in pixels; the first pixel's centre is (0.5, 0.5)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench import pictures
from bench.data import cache, preparing, sources
from bench.data import folder as files
from bench.data.cache import Batch
from bench.data.dataset import ImageData, Indices
from bench.data.guides.guide import Asked, Files, Frame, Guide, Maker, Sides, known
from bench.errors import BenchError
from bench.framing import moved
from bench.nn.fan import MIRRORED

COUNT = 68
SUFFIXES = frozenset({".txt", ".pts"})
MAX_BYTES = 1 << 16  # of a file
LANDMARKS = "landmarks"
"""Stands for points in place of a filter's name."""
HEAD = re.compile(r"version:\s*\S+\s+n_points:\s*\d+")
"""Of iBUG's files, NAME.pts."""

DOT = (230, 40, 60)


class Landmarks(Guide):
    told = "68 lines `x y` in pixels, in NAME.txt, in iBUG's order; the centre of the first pixel is 0.5 0.5"
    by_hand = "a file of the picture's 68 landmarks, .txt or .pts"
    remedy = "give files of landmarks, NAME.txt or NAME.pts, with --landmarks"
    layer = 3
    companion, files = "landmarks", "landmarks"

    def of(self, asked: Asked) -> Maker:
        return lambda indices: points(asked.images, indices)

    def handed(self, given: str | os.PathLike[str] | np.ndarray | Tensor, frame: Frame) -> Tensor:
        """A file, or the points (68, 2) themselves, in pixels of the picture as it was given."""
        if isinstance(given, str | os.PathLike):
            found = decoded(pictures.read(Path(given)), str(given))
        else:
            found = checked(np.asarray(given, float).reshape(-1), self.name)
        found = moved(found, frame.before[::-1], frame.size, frame.framing)
        return torch.from_numpy(found.astype(np.float32))[None]

    def prepared(self, files: Files) -> ImageData:
        return prepare_landmarks(files)

    def mirrored(self, value: Tensor, width: int) -> Tensor:
        across = torch.tensor([-1.0, 1.0]).to(value)
        return value[:, list(MIRRORED)] * across + torch.tensor([float(width), 0.0]).to(value)

    def masked(self, value: Tensor, mask: Tensor) -> Tensor:
        return value  # the points of a face belong together

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return value * torch.tensor([after[1] / before[1], after[0] / before[0]]).to(value)

    def drawn(self, value: Tensor, inside: Tensor) -> Tensor:
        drawn, (height, width) = inside.clone(), inside.shape[2:]
        thick = max(1, round(min(height, width) / 100))
        image, corner = torch.arange(len(value))[:, None], (value - thick / 2).round().long()
        for across in range(thick):
            for down in range(thick):
                x, y = (corner[..., 0] + across).clamp(0, width - 1), (corner[..., 1] + down).clamp(0, height - 1)
                drawn[image, :, y, x] = torch.tensor(DOT, dtype=torch.uint8)
        return drawn

    def exported(self, value: Tensor) -> list[str]:
        return ["".join(f"{x:.3f} {y:.3f}\n" for x, y in points.tolist()) for points in value]


def points(images: ImageData, indices: Indices) -> Tensor | None:
    """The landmarks of these images, of their own files or as they were drawn; None where there are none."""
    own = images.companions.get(GUIDE.companion)
    if own is not None:
        return known(own, LANDMARKS, images.namesakes(own, indices))
    return known(images, LANDMARKS, indices)


def prepare_landmarks(given: Files) -> ImageData:
    """Read files of landmarks once into the cache, moved as their pictures are framed, or reuse what stands there.

    A file holds 68 times x and y, in pixels from the corner of its picture: lines of a text, one line as in LaFIn's
    files, or iBUG's `.pts`. Raises BenchError for a folder without such files, for one that is none, and for one
    without a picture of its name.
    """
    folder = given.folder
    assert given.pictures is not None  # synthetic faces have no files
    preparing.check_size(given.size)
    ids = files.find(folder, SUFFIXES, "landmarks", "text files of 68 points, NAME.txt or NAME.pts")
    fingerprint, read = preparing.hashed(sources.Folder(folder, ids), given.cache, given.progress, LANDMARKS, MAX_BYTES)
    with sources.opened(given.pictures) as shown:
        names = {files.stem(name): name for name in shown.names}
        seen, picture = preparing.hashed(shown, given.cache, given.progress)

        def decode(name: str) -> np.ndarray:
            found = decoded(read(name), str(folder / name))
            of = names.get(files.stem(name))
            if of is None:
                raise BenchError(f"{folder / name}: {shown.place} has no picture of this name: remove or rename it")
            size = pictures.decode(picture(of), shown.place / of).size
            return moved(found, size, given.size, given.framing).astype(np.float32)

        def batches() -> Iterator[Batch]:
            for chunk in cache.in_parallel(decode, ids, "reading", given.progress):
                yield {LANDMARKS: np.stack(chunk)}

        facts = {"fingerprint": fingerprint, "filter": LANDMARKS, "ids": ids}
        key = preparing.key([cache.VERSION, fingerprint, LANDMARKS, seen, given.size], given.framing)
        place = preparing.place(given.cache, given.size, key)
        entry, _ = preparing.entry(place, facts, batches(), len(ids) * COUNT * 8)
    return ImageData(folder.resolve().name, given.size, fingerprint, ids, LANDMARKS, entry)


def decoded(data: bytes, path: str) -> np.ndarray:
    """(68, 2) of a file of landmarks. Raises BenchError, naming `path`, for a file that is none."""
    try:
        text = HEAD.sub("", data.decode("utf-8-sig"))
        numbers = np.array([float(word) for word in re.split(r"[\s,{}]+", text) if word])
    except ValueError as error:
        raise BenchError(f"{path} is no file of landmarks: write 68 lines `x y`, or iBUG's .pts") from error
    return checked(numbers, path)


def checked(numbers: np.ndarray, path: str) -> np.ndarray:
    """(68, 2) of as many numbers. Raises BenchError, naming `path`, for others."""
    if numbers.size != 2 * COUNT or not np.isfinite(numbers).all():
        raise BenchError(f"{path} holds {numbers.size} numbers: 68 points of one face have 136, x and y of each")
    return numbers.reshape(COUNT, 2)


GUIDE = Landmarks()
