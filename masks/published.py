"""The authors' masks, bit for bit: their generators, their random stream, their pixel constants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from masks.checks import checked_size
from masks.errors import MaskError
from masks.generators import comodgan, gconv, lama
from masks.shapes import Sketch
from masks.streams import AuthorStream

_Draw = Callable[[AuthorStream, int, int, float], Sketch]
_Mixture = tuple[tuple[float, _Draw], ...]
_Published = tuple[_Mixture, tuple[float, float]]


def published(
    name: str, seed: int | np.random.RandomState, size: int | tuple[int, int] = 256, n: int = 1
) -> np.ndarray:
    """The first `n` masks that the authors' code draws after `numpy.random.seed(seed)`, (n, height, width) uint8.

    name: a name in `masks.PUBLISHED`; "comodgan/<a>-<b>" for CoModGAN's hole range of a to b percent.
    seed: the authors' seed, or a `numpy.random.RandomState` to draw on from.
    size: pixel constants are the published ones at every size.

    Pixels follow Pillow and OpenCV: other versions may draw a few pixels otherwise.
    """
    height, width = checked_size(size)
    if name.startswith("comodgan/"):
        low, high = (float(bound) / 100 for bound in name.removeprefix("comodgan/").split("-"))
        mixture: _Mixture = ((1.0, partial(comodgan.freeform, counts=comodgan.counts_for(low, high))),)
    elif name in PUBLISHED:
        mixture, (low, high) = PUBLISHED[name]
    else:
        raise MaskError(f"there is no published generator '{name}': take one of {', '.join(PUBLISHED)}")
    stream = AuthorStream(seed)
    kept: list[np.ndarray] = []
    while len(kept) < n:
        part = stream.choice(weight for weight, _ in mixture) if len(mixture) > 1 or name.startswith("lama") else 0
        pixels = mixture[part][1](stream, height, width, 1.0).render(height, width)
        if low < np.count_nonzero(pixels) / pixels.size < high:
            kept.append(pixels)
    return np.stack(kept)


def _one(draw: _Draw, low: float = -1.0, high: float = 2.0) -> _Published:
    return ((1.0, draw),), (low, high)


def _box(draw: Callable) -> _Published:
    return _one(lambda *given: Sketch(boxes=([draw(*given)],)))


def _freeform(counts: tuple[int, int, int], low: float = 0.0, high: float = 1.0) -> _Published:
    return _one(partial(comodgan.freeform, counts=counts), low, high)


def _strokes(times: tuple[int, int], longest: int, widest: int) -> _Draw:
    return partial(lama.irregular, times=times, longest=longest, widest=widest)


def _boxes(times: tuple[int, int], margin: int, sides: tuple[int, int]) -> _Draw:
    return partial(lama.boxes, times=times, margin=margin, sides=sides)


def _lama(strokes: _Draw, boxes: _Draw | None = None, weight: float = 1.0) -> _Published:
    return ((1.0, strokes), *([] if boxes is None else [(weight, boxes)])), (-1.0, 2.0)


PUBLISHED: dict[str, _Published] = {
    "comodgan": _freeform((10, 5, 20)),
    "comodgan-brush": _one(partial(comodgan.brushes, strokes=20)),
    "mat-256": _freeform((4, 2, 8)),
    "mat-256-small": _freeform((2, 2, 3)),
    "mat-512": _freeform((5, 3, 9)),
    "mat-512-small": _freeform((3, 2, 4)),
    "fcf": _freeform(comodgan.counts_for(0.1, 0.7), 0.1, 0.7),
    "exegan": _one(gconv.exegan),
    "exegan-strokes": _one(gconv.strokes),
    "gconv-brush": _one(comodgan.deepfill_brush),
    "gconv-box": _box(gconv.release_box),
    "mmediting-irregular": _one(gconv.irregular, 0.15, 0.65),
    "mmediting-brush": _one(gconv.mmediting_brush),
    "mmediting-box": _box(gconv.mmediting_box),
    "lama-train": _lama(_strokes((1, 5), 200, 100), _boxes((1, 4), 10, (30, 150))),
    "lama-train-small": _lama(_strokes((4, 12), 80, 40), _boxes((1, 1), 0, (30, 128))),
    "lama-thin-256": _lama(_strokes((4, 50), 40, 10)),
    "lama-medium-256": _lama(_strokes((4, 5), 100, 50), _boxes((1, 5), 0, (10, 50)), 0.3),
    "lama-thick-256": _lama(_strokes((1, 5), 200, 100), _boxes((1, 3), 10, (30, 150)), 0.3),
    "lama-thin-512": _lama(_strokes((4, 70), 100, 20)),
    "lama-medium-512": _lama(_strokes((4, 10), 200, 100), _boxes((1, 5), 0, (30, 150)), 0.3),
    "lama-thick-512": _lama(_strokes((1, 5), 450, 250), _boxes((1, 4), 10, (30, 300)), 0.3),
    "irregular-strokes": _one(_strokes((1, 5), 200, 100)),
    "rectangles": _one(_boxes((1, 4), 10, (30, 150))),
}
"""The published generators, with the mixture and the hole ratios (both exclusive) that the authors keep."""
