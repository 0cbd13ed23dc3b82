"""Masks of a wanted ratio from a generator that draws a random number of random shapes.

How a draw lands in its bucket, always and in bounded time:

1. *Whole draws.* Where at least half of the generator's own masks lie in the bucket, whole masks are drawn and
   the first in the bucket is taken: the generator's distribution, given the bucket, with no change at all. (After 8
   misses, at most one draw in 256, step 2 follows.)
2. *Growth.* Else a target ratio is drawn from the generator's own ratios, restricted to the bucket (`shares.json`
   holds them in steps of 1 %; far from what the generator draws they are continued by halving at each 5 %). Then
   the generator draws its shapes, from as many draws as are needed, and they are added to the mask one by one. Kinds of
   shapes (boxes, strokes) take turns such that their shares of the hole are random, as they are in the generator.
   For targets that only 1 in n of its masks exceed, the boxes of about 1.5 ln n draws are laid first: such masks
   have large boxes in the generator too.
   Growth stops at the shape that brings the ratio closest to the target. A shape that would leave the bucket is
   skipped. Each shape is the generator's own; what is adapted is how many of each kind there are.
3. *Last shape.* When several shapes overshoot (narrow buckets, ratios below one stroke), the next one is
   drawn in part: the brush stops on its way, a box is drawn smaller.
4. *Further draws.* When the shapes of the first draw are used up (high ratios), further ones start at pixels that
   are still known, so that each of them adds to the mask and the time is bounded.

What growth bends, measured for CoModGAN's masks at 256 against rejection: mean ratios stay (within 1 % of the
picture), with somewhat fewer masks at the bucket's lower edge; the length of the hole's border and its share at the
picture's border stay within about 10 %. In 90-100 a mask has fewer strokes (8 instead of 14), more boxes, and fewer
known islands (6.0 instead of 7.4). `masks.ratio_plot` shows the ratios before and after.

Mixtures (LaMa's strokes or boxes) choose the part first, with the probability that the target ratio gives it.
"""

from __future__ import annotations

import json
import math
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate, chain
from operator import attrgetter

import numpy as np

from masks.errors import MaskError
from masks.shapes import Canvas, Shape, Sketch
from masks.streams import AnyStream, Stream

Kinds = Iterable[Iterable[Shape]]

BINS = 100
_WHOLE_SHARE, _WHOLE_DRAWS = 0.5, 8
_PATIENCE = 4  # overshooting shapes that are skipped before one is drawn in part
_MOST_LAYERS = 5
_MOST_DRAWS = 2000  # of the generator; ends the search where boxes cannot meet a very narrow bucket


@dataclass(frozen=True)
class Part:
    """A random number of random shapes.

    name: key of its ratios in `shares.json`.
    draw: (stream, height, width, scale) -> Sketch; scale multiplies the published pixel constants.
    weight: the probability of this part in a mixture, relative to the others'.
    margin: pixels at 256 along the border that the shapes never touch.
    even: targets are uniform, whatever the generator's own ratios.
    """

    name: str
    draw: Callable[[AnyStream, int, int, float], Sketch]
    weight: float = 1.0
    margin: int = 0
    even: bool = False

    def most(self, height: int, width: int, scale: float) -> int:
        """The largest hole that the shapes can make, in pixels."""
        edge = 2 * round(self.margin * scale)
        return (height - edge) * (width - edge)

    def density(self) -> np.ndarray:
        """The weighted share of each bin; bins far from the measured ones get a little, halved at each 5 %."""
        if self.even:
            return np.full(BINS, self.weight / BINS)
        shares = np.array(_shares()[self.name], float)
        away = np.abs(np.arange(BINS)[:, None] - np.flatnonzero(shares)).min(axis=1)
        return self.weight * np.maximum(shares / shares.sum(), 1e-6 * 0.5 ** (away * 20 / BINS))


@cache
def _shares() -> dict[str, list[int]]:
    return json.loads((files("masks") / "shares.json").read_text(encoding="utf-8"))


def draw(parts: tuple[Part, ...], stream: Stream, height: int, width: int, scale: float) -> np.ndarray:
    """One mask as published: a part by its weight, then one whole draw; never empty."""
    part = parts[stream.choice(part.weight for part in parts)] if len(parts) > 1 else parts[0]
    while True:
        pixels = part.draw(stream, height, width, scale).render(height, width)
        if pixels.any():
            return pixels


def draw_in_bucket(
    parts: tuple[Part, ...], stream: Stream, height: int, width: int, scale: float, low: int, high: int
) -> np.ndarray:
    """One mask with low .. high hole pixels, (height, width) uint8: see the module's description.

    Raises MaskError where the shapes cannot reach the bucket.
    """
    plan = _plan(parts, height, width, scale, low, high)
    if plan.whole:
        for _ in range(_WHOLE_DRAWS):
            pixels = draw(parts, stream, height, width, scale)
            if low <= np.count_nonzero(pixels) <= high:
                return pixels
    part, first, last, layers = plan.choices[bisect(plan.sums, stream.random() * plan.sums[-1])]
    return _grow(part, stream, height, width, scale, low, stream.integer(first, last + 1), high, layers)


@dataclass(frozen=True)
class _Plan:
    """Whether whole draws are tried; (part, first and last target count, layers of boxes), with sums of weights."""

    whole: bool
    choices: list[tuple[Part, int, int, int]]
    sums: list[float]


@cache
def _plan(parts: tuple[Part, ...], height: int, width: int, scale: float, low: int, high: int) -> _Plan:
    size = height * width
    choices, weights = [], []
    for part in parts:
        most = min(high, part.most(height, width, scale))
        density = part.density()
        exceed = np.cumsum(density[::-1])[::-1] / density.sum()
        layers = np.clip(np.rint(-1.5 * np.log(exceed)), 1, _MOST_LAYERS)
        for bin_, share in enumerate(density.tolist()):
            first, last = max(low, bin_ * size // BINS + 1), min(most, (bin_ + 1) * size // BINS)
            if first <= last:
                choices.append((part, first, last, int(layers[bin_])))
                weights.append(share * (last - first + 1) * BINS / size)
    if not choices:
        most = max(part.most(height, width, scale) for part in parts)
        raise MaskError(f"its shapes keep a margin and cover at most {100 * most / size:.0f} % of the picture")
    whole = sum(weights) >= _WHOLE_SHARE * sum(part.weight for part in parts) and not any(part.even for part in parts)
    return _Plan(whole, choices, list(accumulate(weights)))


def _grow(
    part: Part, stream: Stream, height: int, width: int, scale: float, low: int, target: int, high: int, layers: int
) -> np.ndarray:
    canvas = Canvas(height, width)
    pixels, size = canvas.pixels, height * width
    skipped = 0
    sketch = part.draw(stream, height, width, scale)
    if layers > 1 and sketch.boxes:
        more = [part.draw(stream, height, width, scale) for _ in range(1, layers)]
        kinds, count = _boxes_first([sketch, *more], canvas, target)
    else:
        kinds, count = sketch.kinds, 0
    for number in range(_MOST_DRAWS):
        if number:
            sketch = part.draw(stream, height, width, scale)
            kinds = sketch.kinds
        turns = _Turns(kinds, stream)
        for shape in turns:
            if number:
                shape = shape.reaching(_known_pixel(stream, part, canvas, scale))
            # A copy is needed only where the shape may have to be taken back.
            before = pixels.copy() if count >= low or high < size else pixels
            shape.draw(canvas)
            new = canvas.count()
            if new > high:
                pixels[:] = before
                if count < low:
                    skipped += 1
                    if skipped <= _PATIENCE:
                        continue
                    shape.start(canvas, low, target, high)
                    if not low <= canvas.count() <= high:
                        continue
            elif new < target:
                turns.gained(new - count)
                count = new
                continue
            elif count >= low and target - count < new - target:
                pixels[:] = before
            canvas.flip(*sketch.flips())
            return pixels
    raise MaskError(f"no shape ends between {low} and {high} of {size} pixels: take a wider bucket")


def _boxes_first(sketches: list[Sketch], canvas: Canvas, target: int) -> tuple[Kinds, int]:
    """Draw the boxes of as many sketches as stay below the target; the other shapes of the first, and the hole."""
    for layers in range(len(sketches), 0, -1):
        for box in chain(*(kind for sketch in sketches[:layers] for kind in sketch.boxes)):
            box.draw(canvas)
        count = canvas.count()
        if count < target:
            return (sketches[0].strokes,), count
        canvas.pixels[:] = 0
    return sketches[0].kinds, 0


@dataclass(slots=True)
class _Kind:
    """A kind of shapes, its share of the hole, and the pixels it added, divided by the share."""

    shapes: Iterator[Shape]
    share: float
    progress: float = 0.0


class _Turns:
    """Shapes of several kinds, in turns such that the kinds' shares of the hole are uniformly random."""

    def __init__(self, kinds: Kinds, stream: Stream) -> None:
        self._kinds = [_Kind(iter(shapes), -math.log(1 - stream.random())) for shapes in kinds]
        self._kind = self._kinds[0]

    def __iter__(self) -> Iterator[Shape]:
        kinds = self._kinds
        while kinds:
            self._kind = min(kinds, key=_progress) if len(kinds) > 1 else kinds[0]
            shape = next(self._kind.shapes, None)
            if shape is None:
                kinds.remove(self._kind)
            else:
                yield shape

    def gained(self, pixels: int) -> None:
        """Tell how many pixels the last shape added to the hole."""
        self._kind.progress += pixels / self._kind.share


_progress = attrgetter("progress")


def _known_pixel(stream: Stream, part: Part, canvas: Canvas, scale: float) -> tuple[int, int]:
    """(column, row) of a random pixel that is still known and that the part can reach."""
    edge = round(part.margin * scale)
    height, width = canvas.pixels.shape
    inner = canvas.pixels[edge : height - edge, edge : width - edge].ravel()  # a view where there is no margin
    known_at, size, draw = inner.data, inner.size, stream.random
    for _ in range(32):
        place = int(draw() * size)
        if not known_at[place]:
            break
    else:
        known = np.flatnonzero(inner == 0)
        place = int(known[stream.integer(0, len(known))])
    row, column = divmod(place, width - 2 * edge)
    return column + edge, row + edge
