"""Near-copies: one photograph in two files, of another compression or size, or mirrored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image, ImageOps

BITS = 8
"""Most of the 64 bits of a perceptual hash that may differ."""
CORRELATION = 0.95
"""What the grey pixels must reach at `SIDE`: of 44 aligned photographs of faces any two stay below 0.91 (and
differ in 12 bits or more), and copies of them, as JPEG of quality 10 or at 64 pixels, above 0.99 (2 bits or fewer)."""
SIDE = 32
ROWS = 256  # pictures that are compared with all others at once
PAIRS = 65_536  # pairs whose pixels are compared at once


@dataclass(frozen=True)
class Signature:
    """What near-copies have in common."""

    hashes: tuple[int, int]
    """Perceptual hashes, 64 bits each, of the picture and of its mirror image."""
    pixels: np.ndarray
    """(SIDE, SIDE) float32, grey, of mean 0 and norm 1, or all 0 where the picture has one value."""


def signature(image: Image.Image) -> Signature:
    """The signature of an RGB picture."""
    grey = image.convert("L")
    hashes = [int(str(imagehash.phash(one)), 16) for one in (grey, ImageOps.mirror(grey))]
    pixels = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float32)
    pixels = pixels - pixels.mean()
    return Signature((hashes[0], hashes[1]), pixels / (np.linalg.norm(pixels) or 1))


def pairs(signatures: Sequence[Signature]) -> Iterator[tuple[int, int, bool]]:
    """(i, j, whether one is mirrored) of all near-copies, i < j.

    Their hashes differ by `BITS` at most, and the correlation of their pixels confirms it.
    """
    plain, mirrored = np.array([one.hashes for one in signatures], np.uint64).reshape(-1, 2).T
    for start in range(0, len(signatures), ROWS):
        rows = slice(start, start + ROWS)
        found: dict[tuple[int, int], bool] = {}
        for flipped, hashes in ((False, plain), (True, mirrored)):
            distance = np.bitwise_count(hashes[rows, None] ^ plain[None, start:])
            left, right = np.nonzero(distance <= BITS)
            upper = left < right
            left, right = left[upper] + start, right[upper] + start
            for part in range(0, len(left), PAIRS):
                i, j = left[part : part + PAIRS], right[part : part + PAIRS]
                same = _correlation(signatures, i, j, flipped) >= CORRELATION
                for pair in zip(i[same].tolist(), j[same].tolist(), strict=True):
                    found.setdefault(pair, flipped)
        yield from ((i, j, flipped) for (i, j), flipped in sorted(found.items()))


def _correlation(signatures: Sequence[Signature], left: np.ndarray, right: np.ndarray, flipped: bool) -> np.ndarray:
    """Of the pixels of the pairs (left, right); `flipped` mirrors the left one."""
    turned = slice(None, None, -1 if flipped else 1)
    values = (np.vdot(signatures[i].pixels[:, turned], signatures[j].pixels) for i, j in zip(left, right, strict=True))
    return np.fromiter(values, np.float32, len(left))
