"""Frozen test sets: the masks of a condition in one file, with a manifest and a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from bench.errors import about
from masks.buckets import ratio
from masks.checks import checked_size, whole_number
from masks.condition import Condition, parse
from masks.draw import draw
from masks.errors import MaskError
from masks.folder import check_paired, opened
from masks.frozen import numbers
from masks.registry import GENERATORS, Strokes

VERSION = 1
"""Version of the generators: raised when a condition's masks change. Of the file: `format` in the manifest."""

_FORMAT = "masks 1"
_LONGEST_MANIFEST = 1 << 26  # bytes; it holds some 20 characters a mask and its image's name, of 4 bytes each
_LARGEST = 1 << 30  # bytes of masks that may come out of a file of a hundredth of them


class MaskSet:
    """A fixed list of masks of one size: what an evaluation uses. Equal bits have equal `fingerprint`s.

    set[i] is a (height, width) uint8 mask in {0, 1}, 1 = hole. `manifest` tells where the masks come from: condition,
    generator, description, source, size, n, seed, version, versions of the libraries, ratios, sha256; where their
    images are known, also `images`, the names of these.
    """

    def __init__(self, bits: np.ndarray, manifest: dict[str, Any]) -> None:
        self._bits = bits
        self.manifest = manifest

    @classmethod
    def make(
        cls,
        condition: str | Condition,
        size: int | tuple[int, int],
        n: int,
        seed: int,
        semantics: Sequence[np.ndarray] | None = None,
        images: Sequence[str] | None = None,
    ) -> MaskSet:
        """Draw masks 0 .. n - 1 of a condition.

        semantics: for semantic regions, one label map for each mask. images: the names of their images, kept in the
        manifest; they choose the masks of folder:DIR/paired and of frozen:FILE.npz.
        Raises MaskError as `masks.draw` does.
        """
        condition = parse(condition) if isinstance(condition, str) else condition
        height, width = checked_size(size)
        n, seed = whole_number("n", n), whole_number("seed", seed)
        if n < 1:
            raise MaskError(f"a mask set holds one mask or more, not {n}")
        if semantics is not None and len(semantics) != n:
            raise MaskError(f"give one label map for each of {n} masks, not {len(semantics)}")
        if images is not None and len(images) != n:
            raise MaskError(f"give the name of one image for each of {n} masks, not {len(images)}")
        if images is not None and "paired" in condition.options:
            with about(condition.argument):
                check_paired(str(condition.argument), condition.options, images)
        frozen = condition.generator == "frozen"
        chosen = numbers(str(condition.argument), images) if frozen and images is not None else range(n)
        drawn = (
            draw(
                condition,
                (height, width),
                seed,
                number,
                semantics=None if semantics is None else semantics[i],
                image=None if images is None else images[i],
            )
            for i, number in enumerate(chosen)
        )
        bits = np.stack([np.packbits(mask) for mask in drawn])
        generator = GENERATORS[condition.generator]
        manifest = {
            "format": _FORMAT,
            "condition": str(condition),
            "generator": condition.generator,
            "description": generator.description,
            "source": generator.source,
            "parameters": _parameters(condition, min(height, width) / 256),
            "size": [height, width],
            "n": n,
            "seed": seed,
            "version": VERSION,
            "libraries": {"numpy": np.__version__, "opencv": cv2.__version__, "pillow": PIL.__version__},
            "sha256": _digest(bits, height, width),
            "ratios": [int(np.unpackbits(row).sum()) / (height * width) for row in bits],
        }
        if condition.generator == "folder" and condition.argument is not None:
            manifest["files"] = opened(condition.argument, condition.options).fingerprint
        if images is not None:
            manifest["images"] = list(images)
        return cls(bits, manifest)

    def save(self, path: str | Path) -> Path:
        """Write the set to one .npz file: a temporary file beside it, then renamed. Equal sets give equal bytes."""
        path = Path(path)
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
            with os.fdopen(descriptor, "wb") as handle:
                text = json.dumps(self.manifest, sort_keys=True)
                np.savez_compressed(handle, bits=self._bits, manifest=np.array(text))
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
            temporary = None
        except OSError as error:
            raise MaskError(f"cannot write {path}: {error.strerror or error}") from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> MaskSet:
        """Read a set and check it: format, checksum, ratios, and that every mask lies in its bucket.

        Raises MaskError for a file that is missing, damaged, or no mask set.
        """
        try:
            bits, manifest = _read(Path(path))
            loaded = cls(bits, manifest)
            height, width = loaded.size
            sound = (
                manifest["format"] == _FORMAT
                and len(bits) > 0
                and bits.dtype == np.uint8
                and bits.shape == (manifest["n"], -(-height * width // 8))
                and len(manifest["ratios"]) == manifest["n"]
                and _digest(bits, height, width) == manifest["sha256"]
                and manifest["ratios"] == [ratio(mask) for mask in loaded]
            )
            bucket = loaded.condition.bucket
            images = manifest.get("images")
            if images is not None and not (type(images) is list and list(map(type, images)) == [str] * len(loaded)):
                raise ValueError("it does not name one image for each mask")
        except FileNotFoundError:
            raise MaskError(f"there is no mask set {path}: make it with `facebench masks make`") from None
        except Exception as error:  # a damaged or hostile file can raise anything
            raise MaskError(f"{path} is no mask set or is damaged ({error}): make it again") from error
        if not sound:
            raise MaskError(f"{path} is damaged: its masks do not have the SHA-256 of its manifest; make it again")
        for i, mask in enumerate(loaded):
            if bucket is not None and mask not in bucket:
                raise MaskError(f"{path}: mask {i} covers {100 * ratio(mask):.2f} %, outside the bucket {bucket}")
        return loaded

    @property
    def condition(self) -> Condition:
        """The condition that the masks were drawn from."""
        return parse(self.manifest["condition"])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the masks."""
        height, width = self.manifest["size"]
        return height, width

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

    def redrawn(self) -> list[int]:
        """The numbers of the masks that this machine draws otherwise: empty where the set can be reproduced.

        Raises MaskError for semantic regions (their label maps are not in the file) and for another version.
        """
        if self.manifest["version"] != VERSION:
            raise MaskError(f"the set was drawn by version {self.manifest['version']} of the generators, not {VERSION}")
        seed, images = self.manifest["seed"], self.manifest.get("images")
        drawn = MaskSet.make(self.condition, self.size, len(self), seed, images=images)
        return np.flatnonzero((drawn._bits != self._bits).any(axis=1)).tolist()


def verify(path: str | Path, redraw: bool = True) -> MaskSet:
    """Check a frozen set (`MaskSet.load`) and, with `redraw`, that its masks can be drawn again, bit for bit.

    Raises MaskError that tells what is wrong.
    """
    loaded = MaskSet.load(path)
    if redraw and (other := loaded.redrawn()):
        versions = ", ".join(f"{name} {version}" for name, version in loaded.manifest["libraries"].items())
        raise MaskError(
            f"{path} is intact, but {len(other)} of {len(loaded)} masks are drawn otherwise here (first: {other[0]}); "
            f"it was made with {versions}"
        )
    return loaded


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


def _parameters(condition: Condition, scale: float) -> dict[str, Any]:
    """The published constants, and the factor of those that are pixels."""
    generator = GENERATORS[condition.generator]
    parts = generator.parts if isinstance(generator, Strokes) else ()
    drawn = {part.name: {"weight": part.weight, **getattr(part.draw, "keywords", {})} for part in parts}
    return json.loads(json.dumps({"scale": scale, "parts": drawn}))


def _digest(bits: np.ndarray, height: int, width: int) -> str:
    return hashlib.sha256(f"{height}x{width}".encode() + np.ascontiguousarray(bits).tobytes()).hexdigest()
