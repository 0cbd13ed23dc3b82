"""The generators: what they draw, from which paper, and how a name in a condition becomes a mask."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from masks import growth
from masks.buckets import Bucket
from masks.errors import MaskError
from masks.folder import folder_mask
from masks.frozen import frozen_mask
from masks.generators import comodgan, gconv, lama, plain, semantic
from masks.generators.plain import Request
from masks.growth import Part
from masks.streams import Stream


class Generator(Protocol):
    """A source of masks. `draw` gives (height, width) uint8 with 1 = hole and raises MaskError for a bad request."""

    @property
    def description(self) -> str: ...

    @property
    def source(self) -> str: ...

    def draw(self, request: Request, stream: Stream) -> np.ndarray: ...


@dataclass(frozen=True)
class Strokes:
    """A random number of random shapes; reaches every bucket (see `masks.growth`).

    accept: the ratios, both exclusive, that the authors keep; they redraw other masks. Buckets replace this rule.
    """

    description: str
    source: str
    parts: tuple[Part, ...]
    accept: tuple[float, float] = (0.0, 1.0)

    def draw(self, request: Request, stream: Stream) -> np.ndarray:
        request.no_argument()
        size = request.height, request.width, request.scale
        if request.counts is not None:
            return growth.draw_in_bucket(self.parts, stream, *size, *request.counts)
        if self.parts[0].even:
            return growth.draw_in_bucket(self.parts, stream, *size, 1, request.height * request.width)
        while True:
            pixels = growth.draw(self.parts, stream, *size)
            if self.accept[0] < np.count_nonzero(pixels) / pixels.size < self.accept[1]:
                return pixels


@dataclass(frozen=True)
class Plain:
    """Any other generator: one function."""

    description: str
    source: str
    function: Callable[[Request, Stream], np.ndarray]

    def draw(self, request: Request, stream: Stream) -> np.ndarray:
        return self.function(request, stream)


@dataclass(frozen=True)
class OneOf:
    """Another generator for every picture, drawn evenly of those that can do it: some heads have no hair to erase."""

    description: str
    source: str
    choices: tuple[tuple[str, Bucket | None], ...]

    def draw(self, request: Request, stream: Stream) -> np.ndarray:
        request.no_argument()
        request.no_bucket(request.name)
        for name, bucket in stream.shuffled(self.choices):
            counts = bucket.counts(request.height * request.width) if bucket else None
            try:
                return generator(name).draw(replace(request, name=name, bucket=bucket, counts=counts), stream)
            except MaskError:
                if request.semantics is None:
                    raise
        raise MaskError("this picture has none of its regions")


_COMODGAN = "Zhao et al., ICLR 2021 (CoModGAN)"
_GCONV = "Yu et al., ICCV 2019 (gated convolution)"
_LAMA = "Suvorov et al., WACV 2022 (LaMa)"
_MAT = "Li et al., CVPR 2022 (MAT)"
_MMEDITING = "MMEditing's configurations of PConv and GConv"


def _freeform(
    description: str,
    source: str,
    name: str,
    counts: tuple[int, int, int],
    accept: tuple[float, float] = (0.0, 1.0),
) -> Strokes:
    return Strokes(description, source, (Part(name, partial(comodgan.freeform, counts=counts)),), accept)


def _strokes(name: str, weight: float, times: tuple[int, int], longest: int, widest: int) -> Part:
    return Part(name, partial(lama.irregular, times=times, longest=longest, widest=widest), weight)


def _boxes(name: str, weight: float, times: tuple[int, int], margin: int, sides: tuple[int, int]) -> Part:
    return Part(name, partial(lama.boxes, margin=margin, sides=sides, times=times), weight, margin)


_FREEFORM = _freeform("boxes and brush strokes (CoModGAN, GRIG)", _COMODGAN, "freeform", (10, 5, 20))
_EVEN = Strokes(
    "CoModGAN's shapes with ratios spread evenly over the bucket (easy/0-40, difficult/40-100)",
    "Dundar, 2024 (HierInv): masks by erased share",
    (replace(_FREEFORM.parts[0], even=True),),
)
_LARGE_STROKES = _strokes("lama-irregular", 1.0, (1, 5), 200, 100)
_LARGE_BOXES = _boxes("lama-box", 1.0, (1, 4), 10, (30, 150))
_WIDE_BOXES = _boxes("lama-wide boxes", 0.3, (1, 3), 10, (30, 150))
_MEDIUM_STROKES = _strokes("lama-medium strokes", 1.0, (4, 5), 100, 50)
_MEDIUM_BOXES = _boxes("lama-medium boxes", 0.3, (1, 5), 0, (10, 50))
_SMALL_STROKES = _strokes("lama-small strokes", 1.0, (4, 12), 80, 40)
_SMALL_BOXES = _boxes("lama-small boxes", 1.0, (1, 1), 0, (30, 128))

GENERATORS: dict[str, Generator] = {
    "irregular": Strokes(
        "strokes of 1-5 segments, the default: strokes alone, most of them between 10 and 60 %",
        _MMEDITING,
        (Part("irregular", gconv.irregular_everywhere),),
        (0.15, 0.65),
    ),
    "freeform": _FREEFORM,
    "comodgan": _FREEFORM,
    "easy": _EVEN,
    "difficult": _EVEN,
    "even": _EVEN,
    "mat": _freeform("CoModGAN's masks with fewer shapes, large holes", _MAT, "mat", (4, 2, 8)),
    "mat-small": _freeform("CoModGAN's masks with fewer shapes, small holes", _MAT, "mat-small", (2, 2, 3)),
    "fcf": _freeform(
        "CoModGAN's masks between 10 and 70 %",
        "Jain et al., WACV 2023 (FcF)",
        "fcf",
        comodgan.counts_for(0.1, 0.7),
        accept=(0.1, 0.7),
    ),
    "gconv": Strokes(
        "ten free-form strokes: maxVertex 20, maxLength 100, maxBrushWidth 24, maxAngle 360",
        f"{_GCONV}, Algorithm 1 in GMCNN's form",
        (Part("gconv", gconv.strokes),),
    ),
    "gconv-release": Strokes(
        "the training mask of the DeepFill v2 release: 1-3 brush strokes and a box",
        _GCONV,
        (Part("gconv-release", gconv.release),),
    ),
    "gconv-brush": Strokes(
        "the brush of the DeepFill v2 release: 1-3 strokes",
        _GCONV,
        (Part("gconv-brush", comodgan.deepfill_brush),),
    ),
    "gmcnn": Strokes(
        "eight free-form strokes up to 20 pixels wide (test script)",
        "Wang et al., NeurIPS 2018 (GMCNN)",
        (Part("gmcnn", partial(gconv.strokes, parts=8, widths=(10, 20))),),
    ),
    "exegan": Strokes(
        "gconv's strokes, 0-4 boxes up to half of the side and 0-9 up to a quarter",
        "Lu et al. (EXE-GAN), stroke_rect",
        (Part("exegan", gconv.exegan),),
    ),
    "rfr": Strokes("1-15 free-form strokes", "Li et al., CVPR 2020 (RFR)", (Part("rfr", gconv.rfr),)),
    "lama-narrow": Strokes(
        "4-51 thin strokes (LaMa's test: lama-narrow/0-50)",
        f"{_LAMA}, thin",
        (_strokes("lama-narrow", 1.0, (4, 50), 40, 10),),
    ),
    "lama-medium": Strokes(
        "strokes or small boxes (LaMa's test: lama-medium/0-50)", f"{_LAMA}, medium", (_MEDIUM_STROKES, _MEDIUM_BOXES)
    ),
    "lama-wide": Strokes(
        "wide strokes or boxes (LaMa's test: lama-wide/0-50)", f"{_LAMA}, thick", (_LARGE_STROKES, _WIDE_BOXES)
    ),
    "lama": Strokes("wide strokes or boxes, half each: training", _LAMA, (_LARGE_STROKES, _LARGE_BOXES)),
    "lama-small": Strokes("strokes or one box: small-mask ablation", _LAMA, (_SMALL_STROKES, _SMALL_BOXES)),
    "lama-irregular": Strokes("the strokes of LaMa's training masks", _LAMA, (_LARGE_STROKES,)),
    "lama-box": Strokes("the boxes of LaMa's training masks", _LAMA, (_LARGE_BOXES,)),
    "gconv-box": Plain("one box of 96-128 pixels", f"{_GCONV}, release", partial(plain.boxed, box=gconv.release_box)),
    "bbox": Plain("one box of 108-128 pixels, margin 20", _MMEDITING, partial(plain.boxed, box=gconv.mmediting_box)),
    "center": Plain("center/<p>: a centred square of p %", "Pathak et al., CVPR 2016", plain.center),
    "half": Plain("half/left, right, top, bottom; half: a random one", "Nazeri et al., 2019 (EdgeConnect)", plain.half),
    "outpaint": Plain("outpaint/<p>: a frame of p %; outpaint/<a>-<b>: bands at random sides", _LAMA, plain.outpaint),
    "rectangle": Plain("a rectangle at a random place; no bucket: half of the side", "GMCNN, EXE-GAN", plain.rectangle),
    "whole": Plain("the whole picture, for methods that are guided", "FACEMUG: rows without a mask", plain.whole),
    "folder": Plain("folder:<DIR>, folder:<DIR>/<a>-<b>, .../border or /inside: mask files", "the user", folder_mask),
    "frozen": Plain("frozen:<FILE.npz>: a frozen set, each mask for its own image", "the user", frozen_mask),
    **{
        name: Plain("the region of that name of a label map", "CelebAMask-HQ's 19 labels", semantic.region)
        for name in semantic.REGIONS
    },
    "local": OneOf(
        "one of hair, face, person, irregular/50-60 and center/25, of those that the picture has",
        "Lu et al., TVCG 2024 (FACEMUG)",
        (("hair", None), ("face", None), ("person", None), ("irregular", Bucket.of(50, 60)), ("center", None)),
    ),
}


def generator(name: str) -> Generator:
    """The generator of that name; MaskError names the closest one, or all."""
    if name not in GENERATORS:
        close = difflib.get_close_matches(name.partition(":")[0], GENERATORS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"take one of {', '.join(GENERATORS)}"
        raise MaskError(f"there is no mask generator '{name}': {hint}")
    return GENERATORS[name]
