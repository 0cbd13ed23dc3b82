"""Frozen test sets: the masks of a condition in one file, with a manifest and a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL

from bench.errors import about, unwritten
from masks import frozen
from masks.checks import checked_size, whole_number
from masks.condition import Condition, parse
from masks.draw import draw
from masks.errors import MaskError
from masks.file import FORMAT, Frozen, digest
from masks.folder import check_paired, opened
from masks.registry import GENERATORS, Strokes

DECIDES = ("condition", "size", "n", "seed", "version", "libraries", "images", "files", "names", "labels")
"""What a manifest says of where masks come from: where it is equal, so are they."""

VERSION = 1
"""Version of the generators: raised when a condition's masks change. Of the file: `format` in the manifest."""


def version(size: int | tuple[int, int]) -> int:
    """`VERSION` of squares; of other sizes one more, since `irregular` reaches all of a picture."""
    height, width = checked_size(size)
    return VERSION + (height != width)


class MaskSet(Frozen):
    """A fixed list of masks of one size: what an evaluation uses. Equal bits have equal `fingerprint`s.

    set[i] is a (height, width) uint8 mask in {0, 1}, 1 = hole. `manifest` tells where the masks come from: condition,
    generator, description, source, size, n, seed, version, versions of the libraries, ratios, sha256; where their
    images are known, also `images`, the names of these.
    """

    @classmethod
    def make(
        cls,
        condition: str | Condition,
        size: int | tuple[int, int],
        n: int,
        seed: int,
        semantics: Sequence[np.ndarray] | None = None,
        images: Sequence[str] | None = None,
        kept: str | Path | None = None,
    ) -> MaskSet:
        """Draw masks 0 .. n - 1 of a condition.

        semantics: for semantic regions, one label map for each mask. images: the names of their images, kept in the
        manifest; they choose the masks of folder:DIR/paired and of frozen:FILE.npz.
        kept: a file that is read in the place of drawing, where all that decides its masks agrees: condition, size, n,
        seed, images, the content of a folder, of a frozen set and of label maps, and the versions of what draws;
        otherwise it is written.
        Raises MaskError as `masks.draw` does.
        """
        decided = _decided(condition, size, n, seed, semantics, images)
        if kept is not None and (found := cls._same(kept, decided)):
            return found
        condition = parse(condition) if isinstance(condition, str) else condition
        height, width = checked_size(size)
        if images is not None and "paired" in condition.options:
            with about(condition.argument):
                check_paired(str(condition.argument), condition.options, images)
        chosen: Sequence[int] = range(n)
        if images is not None and condition.generator == "frozen":
            chosen = frozen.numbers(str(condition.argument), images)
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
        manifest = decided | {
            "format": FORMAT,
            "generator": condition.generator,
            "description": generator.description,
            "source": generator.source,
            "parameters": _parameters(condition, min(height, width) / 256),
            "sha256": digest(bits, height, width),
        }
        made = cls(bits, manifest)
        made.manifest["ratios"] = [count / (height * width) for count in made.counts]
        if kept is not None:
            made.save(kept)
        return made

    @classmethod
    def kept(
        cls, path: str | Path, condition: str | Condition, size: int | tuple[int, int], n: int, seed: int
    ) -> MaskSet | None:
        """What a file holds, if it is what `make` makes of the same arguments."""
        return cls._same(path, _decided(condition, size, n, seed, None, None))

    @classmethod
    def _same(cls, path: str | Path, decided: dict[str, Any]) -> MaskSet | None:
        """What a file holds, if it was decided by the same."""
        with suppress(MaskError):  # no file yet, or a damaged one
            found = cls.load(path)
            if {key: found.manifest[key] for key in DECIDES if key in found.manifest} == decided:
                return found
        return None

    def only(self, numbers: Sequence[int]) -> MaskSet:
        """These masks alone, in memory: the manifest stays that of all."""
        return MaskSet(self._bits[list(numbers)], self.manifest)

    def save(self, path: str | Path) -> Path:
        """Write the set to one .npz file: a temporary file beside it, then renamed. Equal sets give equal bytes."""
        path = Path(path)
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".facebench-", suffix=".part")
            with os.fdopen(descriptor, "wb") as handle:
                text = json.dumps(self.manifest, sort_keys=True)
                np.savez_compressed(handle, bits=self._bits, manifest=np.array(text))
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
            temporary = None
        except OSError as error:
            raise MaskError(unwritten(path, error)) from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> MaskSet:
        """Read a set and check it: format, checksum, ratios, and that every mask lies in its bucket.

        Raises MaskError for a file that is missing, damaged, or no mask set.
        """
        loaded = super().load(path)
        try:
            bucket = loaded.condition.bucket
        except Exception as error:  # a damaged or hostile file can raise anything
            raise MaskError(f"{path} is no mask set or is damaged ({error}): make it again") from error
        low, high = bucket.counts(prod(loaded.size)) if bucket is not None else (0, prod(loaded.size))
        for i, count in enumerate(loaded.counts):
            if not low <= count <= high:
                raise MaskError(f"{path}: mask {i} covers {100 * loaded.ratios[i]:.2f} %, outside the bucket {bucket}")
        return loaded

    @classmethod
    def of(cls, path: str | Path, images: Sequence[str]) -> MaskSet:
        """The masks of a file that belong to these images, in their order; MaskError where they are those of others."""
        return cls.make(f"frozen:{path}", cls.load(path).size, len(images), 0, images=images)

    @property
    def condition(self) -> Condition:
        """The condition that the masks were drawn from."""
        return parse(self.manifest["condition"])

    def redrawn(self) -> list[int]:
        """The numbers of the masks that this machine draws otherwise: empty where the set can be reproduced.

        Raises MaskError for semantic regions (their label maps are not in the file) and for another version.
        """
        if (drawn_by := self.manifest["version"]) != (now := version(self.size)):
            raise MaskError(f"the set was drawn by version {drawn_by} of the generators, not {now}")
        seed, images = self.manifest["seed"], self.manifest.get("images")
        drawn = MaskSet.make(self.condition, self.size, len(self), seed, images=images)
        return np.flatnonzero((drawn._bits != self._bits).any(axis=1)).tolist()


def _decided(
    condition: str | Condition,
    size: int | tuple[int, int],
    n: int,
    seed: int,
    semantics: Sequence[np.ndarray] | None,
    images: Sequence[str] | None,
) -> dict[str, Any]:
    """What decides the masks of a set, checked: this part of its manifest is known before they are drawn."""
    condition = parse(condition) if isinstance(condition, str) else condition
    n, seed = whole_number("n", n), whole_number("seed", seed)
    if n < 1:
        raise MaskError(f"a mask set holds one mask or more, not {n}")
    if semantics is not None and len(semantics) != n:
        raise MaskError(f"give one label map for each of {n} masks, not {len(semantics)}")
    if images is not None and len(images) != n:
        raise MaskError(f"give the name of one image for each of {n} masks, not {len(images)}")
    decided = {
        "condition": str(condition),
        "size": list(checked_size(size)),
        "n": n,
        "seed": seed,
        "version": version(size),
        "libraries": {"numpy": np.__version__, "opencv": cv2.__version__, "pillow": PIL.__version__},
    }
    if condition.generator == "folder" and condition.argument is not None:
        folder = opened(condition.argument, condition.options)
        decided["files"] = folder.fingerprint
        if "paired" in condition.options:
            decided["names"] = _sha256(file.name for file in folder.files)
    if condition.generator == "frozen":
        taken = frozen.opened(str(condition.argument))
        decided["files"], decided["names"] = taken.fingerprint, _sha256(taken.manifest.get("images", ()))
    if condition.labelled and semantics is not None:
        decided["labels"] = _sha256(part for labels in semantics for part in (str(labels.shape), labels))
    if images is not None:
        decided["images"] = list(images)
    return decided


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


def _sha256(parts: Iterable[str | np.ndarray]) -> str:
    content = hashlib.sha256()
    for part in parts:
        content.update(f"{part}\0".encode() if isinstance(part, str) else np.ascontiguousarray(part).data)
    return content.hexdigest()


def _parameters(condition: Condition, scale: float) -> dict[str, Any]:
    """The published constants, and the factor of those that are pixels."""
    generator = GENERATORS[condition.generator]
    parts = generator.parts if isinstance(generator, Strokes) else ()
    drawn = {part.name: {"weight": part.weight, **getattr(part.draw, "keywords", {})} for part in parts}
    return json.loads(json.dumps({"scale": scale, "parts": drawn}))
