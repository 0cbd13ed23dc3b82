"""Frozen masks in a file: their bits and what is said of them, whatever they were drawn from."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from masks.errors import MaskError

FORMAT = "masks 1"
_LONGEST_MANIFEST = 1 << 26  # bytes; it holds some 20 characters a mask and its image's name, of 4 bytes each
_LARGEST = 1 << 30  # bytes of masks that may come out of a file of a hundredth of them


class Frozen:
    """A list of masks of one size. set[i] is a (height, width) uint8 mask in {0, 1}, 1 = hole."""

    def __init__(self, bits: np.ndarray, manifest: dict[str, Any]) -> None:
        self._bits = bits
        self.manifest = manifest

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file and check its format, checksum, ratios and names of images.

        Raises MaskError for a file that is missing, damaged, or no mask set.
        """
        try:
            bits, manifest = _read(Path(path))
            loaded = cls(bits, manifest)
            height, width = loaded.size
            sound = (
                manifest["format"] == FORMAT
                and len(bits) > 0
                and bits.dtype == np.uint8
                and bits.shape == (manifest["n"], -(-height * width // 8))
                and len(manifest["ratios"]) == manifest["n"]
                and digest(bits, height, width) == manifest["sha256"]
                and manifest["ratios"] == [count / (height * width) for count in loaded.counts]
            )
            images = manifest.get("images")
            if images is not None and not (type(images) is list and list(map(type, images)) == [str] * len(loaded)):
                raise ValueError("it does not name one image for each mask")
        except FileNotFoundError:
            raise MaskError(f"there is no mask set {path}: make it with `facebench masks make`") from None
        except Exception as error:  # a damaged or hostile file can raise anything
            raise MaskError(f"{path} is no mask set or is damaged ({error}): make it again") from error
        if not sound:
            raise MaskError(f"{path} is damaged: its masks do not have the SHA-256 of its manifest; make it again")
        return loaded

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the masks."""
        height, width = self.manifest["size"]
        return height, width

    @cached_property
    def counts(self) -> list[int]:
        """The hole pixels of each mask, counted in its packed bits: of 96,000 masks unpacking would take longest."""
        return np.bitwise_count(self._bits).sum(axis=1, dtype=np.int64).tolist()

    @property
    def ratios(self) -> np.ndarray:
        """The fraction of hole pixels of each mask, (n,) float64."""
        return np.array(self.manifest["ratios"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the masks' size and bits: the same for equal masks, whatever they were drawn from."""
        return self.manifest["sha256"]

    def __len__(self) -> int:
        return len(self._bits)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> np.ndarray:
        height, width = self.size
        return np.unpackbits(self._bits[index], count=height * width).reshape(height, width)


def _read(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """The content of a file. Raises ValueError where it would grow far beyond what its manifest or its size says."""
    if path.exists() and not path.is_file():  # reading a pipe would wait without end
        raise ValueError("it is no file")
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if sizes["manifest.npy"] > _LONGEST_MANIFEST:
        raise ValueError("its manifest is too long")
    with np.load(path, allow_pickle=False) as file:
        manifest = json.loads(str(file["manifest"]))
        height, width = manifest["size"]
        whole = manifest["n"] * -(-height * width // 8)
        if not whole < sizes["bits.npy"] < whole + 1024:  # an array and its header
            raise ValueError("its masks are not as many or as large as its manifest says")
        if whole > _LARGEST and whole > 100 * path.stat().st_size:
            raise ValueError(f"its masks would grow to {whole / 1e9:.0f} GB")
        return file["bits"], manifest


def digest(bits: np.ndarray, height: int, width: int) -> str:
    content = hashlib.sha256(f"{height}x{width}".encode())
    content.update(np.ascontiguousarray(bits).data)
    return content.hexdigest()
