"""Frozen sets as conditions: the very masks of another run or of a paper, each for the image that it was drawn for."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from posixpath import basename, splitext

import numpy as np

from bench import pictures
from bench.errors import BenchError
from masks.errors import MaskError
from masks.file import Frozen
from masks.generators.plain import Request
from masks.streams import Stream

SUFFIX = ".npz"


def frozen_mask(request: Request, stream: Stream) -> np.ndarray:
    """Mask `index` of a file that `MaskSet.save` wrote: never resized, for its ratio would be another one."""
    frozen, size = opened(str(request.argument)), (request.height, request.width)
    if frozen.size != size:
        height, width = frozen.size
        remedy = f"run at --size {width} (in a suite size: {width})" if height == width else "take square ones"
        raise MaskError(f"its masks have {width} x {height} pixels, and frozen masks are not resized: {remedy}")
    if request.index >= len(frozen):
        raise MaskError(f"it holds {len(frozen)} masks, so there is no mask {request.index}: ask for fewer")
    try:
        return pictures.check_hole(frozen[request.index], f"mask {request.index}", full=True)
    except BenchError as error:
        raise MaskError(str(error)) from error


def numbers(path: str, images: Sequence[str]) -> list[int]:
    """Which mask of the file belongs to each image: that of its name, or of its place where the set has no names.

    Suffixes do not count, and folders only where they tell two images apart; `a/b.png` may be called `a__b.png`, as
    `facebench export` does. MaskError where the set belongs to others.
    """
    frozen = opened(path)
    names = frozen.manifest.get("images")
    if names is None:
        if len(frozen) != len(images):
            raise MaskError(
                f"{path} holds {len(frozen)} masks without names of images, and there are {len(images)} images: "
                f"take a set of {len(images)} masks, or test {len(frozen)} images (`test: {len(frozen)}` in the suite)"
            )
        return list(range(len(images)))
    missing = list(images)
    for key in (_path, _flat, _plain):
        places, wanted = {key(name): i for i, name in enumerate(names)}, list(map(key, images))
        if len(places) < len(names) or len(set(wanted)) < len(wanted):
            continue  # these names tell no two images apart
        absent = [image for image, name in zip(images, wanted, strict=True) if name not in places]
        if not absent:
            return [places[name] for name in wanted]
        missing = min(absent, missing, key=len)
    raise MaskError(
        f"{path} has no mask of {len(missing)} of {len(images)} images (first: {missing[0]}), it belongs to {names[0]} "
        "and others: give those (in a suite: `split`), or take a set that was frozen for these images"
    )


def _path(name: str) -> str:
    stem, suffix = splitext(unicodedata.normalize("NFC", name))
    return stem if suffix.lower() in pictures.SUFFIXES else stem + suffix


def _flat(name: str) -> str:
    return _path(name).replace("/", "__")


def _plain(name: str) -> str:
    return basename(_path(name))


def opened(path: str) -> Frozen:
    """The set in a file, read once and again only after the file has changed."""
    changed = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    return _opened(path, changed)


@lru_cache(maxsize=4)
def _opened(path: str, changed: int) -> Frozen:
    return Frozen.load(path)
