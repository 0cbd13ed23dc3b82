"""Completed pictures of one condition in one file: what was scored, bit for bit, and can be scored again.

`completed.zip` holds one lossless WebP a picture, not compressed again, and `manifest.json`. Of a picture that known
pixels were pasted into, only those inside the hole are kept; all else is black there, and the original's when it is
read. So a file is about half as large as the same pictures in PNG.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench import pictures
from bench.errors import BenchError
from bench.store import atomic_write

FILE = "completed.zip"
FORMAT = "completed pictures 1"
MANIFEST = "manifest.json"
LOSSLESS: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 0, "method": 0}  # 2 ms a picture at 256 px


@dataclass
class Writer:
    """Takes pictures in the order of the test images, all completions of one after another."""

    archive: zipfile.ZipFile
    count: int = 0

    def add(self, picture: Tensor, hole: Tensor | None) -> None:
        """A picture (3, H, W) uint8, and its hole (1, H, W) bool; without one it is kept whole."""
        kept = picture if hole is None else picture * hole
        data = io.BytesIO()
        Image.fromarray(kept.permute(1, 2, 0).contiguous().numpy()).save(data, **LOSSLESS)
        put(self.archive, _member(self.count), data.getvalue())
        self.count += 1


@contextmanager
def written(path: Path, manifest: dict[str, Any]) -> Iterator[Writer]:
    """Write the file of a condition: one flush to disk, and nothing where it fails.

    `manifest`: what `Archive` reads again: ids, whole, completions, and whatever else there is to say.
    """
    with atomic_write(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        writer = Writer(archive)
        yield writer
        put(archive, MANIFEST, json.dumps({"format": FORMAT} | manifest, sort_keys=True, indent=1).encode())


@dataclass(frozen=True)
class Archive:
    """The completed pictures in a file. BenchError names it where it is missing, damaged or none."""

    path: Path
    ids: list[str] = field(repr=False)
    """The test images, in order."""
    whole: bool
    """Known pixels are the method's own."""
    completions: int
    """Of each image."""
    manifest: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> Archive:
        with _told(path), zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}")
            ids, each = list(manifest["ids"]), int(manifest["completions"])
            if len(archive.namelist()) != len(ids) * each + 1:
                raise ValueError(f"it holds {len(archive.namelist()) - 1} pictures of {len(ids) * each}")
            return cls(path, ids, bool(manifest["whole"]), each, manifest)

    def read(self, numbers: Sequence[int], originals: Tensor, holes: Tensor, completion: int = 0) -> Tensor:
        """Pictures of these test images, uint8 (N, 3, H, W), as they were scored.

        `originals`: uint8 (N, 3, H, W), and `holes`: bool (N, 1, H, W), of the same images.
        """
        with _told(self.path), zipfile.ZipFile(self.path) as archive:
            kept = []
            for number, original in zip(numbers, originals, strict=True):
                name = _member(number * self.completions + completion)
                picture = pictures.decode(archive.read(name), self.path / name)
                if (picture.height, picture.width) != original.shape[1:]:
                    raise ValueError(f"{name} has {picture.width} x {picture.height} pixels, not the originals' size")
                kept.append(np.asarray(picture).transpose(2, 0, 1))
        found = torch.from_numpy(np.stack(kept, out=np.empty((len(kept), *kept[0].shape), np.uint8)))
        return found if self.whole else torch.where(holes, found, originals)

    def part(self, numbers: Sequence[int], path: Path) -> None:
        """Write the pictures of these test images, bit for bit; the manifest says their `numbers`."""
        said = self.manifest | {"ids": [self.ids[number] for number in numbers], "numbers": list(numbers)}
        places = [number * self.completions + k for number in numbers for k in range(self.completions)]
        with _told(self.path), zipfile.ZipFile(self.path) as source:
            kept = [source.read(_member(place)) for place in places]
        with atomic_write(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as made:
            for i, data in enumerate(kept):
                put(made, _member(i), data)
            put(made, MANIFEST, json.dumps(said, sort_keys=True, indent=1).encode())


def put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member, not compressed."""
    archive.writestr(zipfile.ZipInfo(name), data)  # without the time of day: equal pictures give equal bytes


def _member(number: int) -> str:
    return f"{number:06d}.webp"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BenchError(f"there are no completed pictures {path}: run the same command again") from error
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, BenchError) as error:
        raise BenchError(f"{path} is damaged ({error}): delete its folder and run the same command again") from error
