"""Near-copies: one photograph in two files, of another compression or size, or mirrored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image, ImageOps

from bench.data.cache import Progress

BITS = 8
"""Most of the 64 bits of a perceptual hash that may differ."""
CORRELATION = 0.95
"""What the grey pixels must reach at `SIDE`: of 44 aligned photographs of faces any two stay below 0.91 (and
differ in 12 bits or more), and copies of them, as JPEG of quality 10 or at 64 pixels, above 0.99 (2 bits or fewer)."""
SIDE = 32
ROWS = 64  # pictures that are compared with all others at once


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


def pairs(signatures: Sequence[Signature], progress: Progress | None = None) -> Iterator[tuple[int, int, bool]]:
    """(i, j, whether one is mirrored) of all near-copies, i < j, in order.

    Their hashes differ by `BITS` at most, and the correlation of their pixels confirms it. Pictures of one value have
    none.
    """
    places = [place for place, one in enumerate(signatures) if one.pixels.any()]
    shown = [signatures[place] for place in places]
    plain, mirrored = np.array([one.hashes for one in shown], np.uint64).reshape(-1, 2).T
    for start in range(0, len(shown), ROWS):
        rows, others = shown[start : start + ROWS], shown[start:]
        same = _alike(plain[start : start + ROWS], plain[start:], [one.pixels for one in rows], others)
        turned = _alike(mirrored[start : start + ROWS], plain[start:], [one.pixels[:, ::-1] for one in rows], others)
        for i in np.flatnonzero((same | turned).any(axis=1)).tolist():
            for j in np.flatnonzero(same[i] | turned[i]).tolist():
                yield places[start + i], places[start + j], not same[i, j]
        if progress is not None:
            progress("comparing", min(start + ROWS, len(shown)), len(shown))


def _alike(left: np.ndarray, right: np.ndarray, rows: list[np.ndarray], others: Sequence[Signature]) -> np.ndarray:
    """(R, N) bool: which of R pictures with these hashes and pixels are near-copies of which later ones of N others."""
    found = np.bitwise_count(left[:, None] ^ right) <= BITS
    found[np.tril_indices(len(left))] = False
    i = found.any(axis=1).nonzero()[0]
    if len(i):
        j = found[i].any(axis=0).nonzero()[0]
        these, those = np.stack([rows[k].ravel() for k in i]), np.stack([others[k].pixels.ravel() for k in j])
        found[np.ix_(i, j)] &= these @ those.T >= CORRELATION
    return found
