"""Masks as the papers draw them for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from masks.checks import checked_size, whole_number
from masks.condition import Condition, parse
from masks.draw import draw
from masks.errors import MaskError
from masks.folder import opened
from masks.generators import comodgan
from masks.generators.plain import Request, half, rectangle
from masks.growth import Part
from masks.registry import GENERATORS, Strokes
from masks.streams import Stream


@dataclass(frozen=True)
class Draw:
    """What a recipe draws from: the picture's size, a random stream, and the condition of mask files or None."""

    height: int
    width: int
    scale: float
    stream: Stream
    files: Condition | None

    def of(self, generator: str) -> np.ndarray:
        """A mask of a generator without a bucket."""
        return GENERATORS[generator].draw(self.request, self.stream)

    def file(self) -> np.ndarray:
        """A random file; without files an `irregular` mask stands in for NVIDIA's."""
        if self.files is None:
            return self.of("irregular")
        read, size = self.files, (self.height, self.width)
        folder = opened(str(read.argument), read.options)
        chosen = folder.chosen(read.bucket, read.options, size)
        return folder.mask(chosen[self.stream.integer(0, len(chosen))], size)

    @property
    def request(self) -> Request:
        """The request for a generator."""
        return Request("training", self.height, self.width, self.scale)


@dataclass(frozen=True)
class Recipe:
    """How a paper draws its training masks.

    files: it may read mask files. per_batch: the authors use one mask for all images of a batch.
    sizes: the authors' sizes, where published pixel constants are not scaled (elsewhere: the shorter side / 256).
    """

    description: str
    function: Callable[[Draw], np.ndarray]
    files: bool = False
    per_batch: bool = False
    sizes: tuple[int, ...] = (256,)


def training(name: str, size: int | tuple[int, int], seed: int, index: int) -> np.ndarray:
    """Training mask `index` as a paper draws it, (height, width) uint8 in {0, 1}, 1 = hole.

    name: a name in `masks.TRAINING`, or of any condition. Papers that train on mask files, as NVIDIA's irregular masks,
    take them from "<name>:<DIR>", with "/inverted" or "/>127" behind it as in conditions: "aot:masks/inverted". Without
    a folder `irregular` strokes stand in.

    Raises MaskError for an unknown name, a bad size, a bad folder.
    """
    recipe, read = recipe_of(name)
    if recipe is None:
        return draw(name, size, seed, index)
    height, width = checked_size(size)
    scale = 1.0 if height == width and height in recipe.sizes else min(height, width) / 256
    kind = name.partition(":")[0]
    stream = Stream("training", whole_number("seed", seed), kind, height, width, whole_number("index", index))
    return recipe.function(Draw(height, width, scale, stream, parse(read) if read else None))


def recipe_of(name: str) -> tuple[Recipe | None, str]:
    """The recipe of a name, None for a condition; and the condition of the mask files that it reads, "" for none."""
    kind, _, files = name.partition(":")
    if kind not in TRAINING:
        return None, name if kind == "folder" else ""
    if files and not TRAINING[kind].files:
        raise MaskError(f"the masks {kind!r} are drawn, not read: write {kind}, or folder:{files} for files alone")
    return TRAINING[kind], f"folder:{files}" if files else ""


def content(name: str) -> str:
    """SHA-256 of the mask files that a name reads, "" for none."""
    read = recipe_of(name)[1]
    return opened(str(parse(read).argument), parse(read).options).fingerprint if read else ""


def _generator(name: str) -> Callable[[Draw], np.ndarray]:
    return lambda given: given.of(name)


def _mat(given: Draw) -> np.ndarray:
    """MAT draws more shapes at 512."""
    if min(given.height, given.width) < 512:
        return given.of("mat")
    part = Part("mat", partial(comodgan.freeform, counts=(5, 3, 9)))
    return Strokes("", "", (part,)).draw(given.request, given.stream)


def _codeformer(given: Draw) -> np.ndarray:
    return Strokes("", "", (Part("codeformer", comodgan.codeformer),)).draw(given.request, given.stream)


def _edgeconnect(given: Draw) -> np.ndarray:
    """A random block of half of the side, a half of the picture, or a file: one of three (option 5)."""
    kind = given.stream.integer(0, 3)
    if kind == 1:
        return half(replace(given.request, argument=("left", "right")[given.stream.integer(0, 2)]), given.stream)
    return given.file() if kind else _block(given)


def _lafin(given: Draw) -> np.ndarray:
    return _block(given) if given.stream.random() < 0.5 else given.file()


def _block(given: Draw) -> np.ndarray:
    """A block of half of the side, anywhere."""
    pixels = np.zeros((given.height, given.width), np.uint8)
    h, w = given.height // 2, given.width // 2
    top, left = given.stream.integer(0, given.height - h + 1), given.stream.integer(0, given.width - w + 1)
    pixels[top : top + h, left : left + w] = 1
    return pixels


def _turned(given: Draw, degrees: tuple[float, float]) -> np.ndarray:
    """A file, flipped with probability 1/2 and rotated; corners become known."""
    pixels = given.file()
    if given.stream.random() < 0.5:
        pixels = pixels[:, ::-1]
    turn = cv2.getRotationMatrix2D(((given.width - 1) / 2, (given.height - 1) / 2), given.stream.uniform(*degrees), 1)
    return cv2.warpAffine(np.ascontiguousarray(pixels), turn, (given.width, given.height), flags=cv2.INTER_NEAREST)


def _tfill(given: Draw) -> np.ndarray:
    """One rectangle or the centre, one to five rectangles, or a file that is turned and eroded: one of three."""
    kind = given.stream.integer(0, 3)
    if kind == 0:
        return rectangle(given.request, given.stream) if given.stream.random() < 0.7 else given.of("center")
    if kind == 1:
        drawn = [rectangle(given.request, given.stream) for _ in range(given.stream.integer(1, 6))]
        return np.maximum.reduce(drawn)
    pixels = _turned(given, (-10, 10))
    side = max(round(given.stream.integer(3, 25) * given.scale), 1)
    thinner = cv2.erode(pixels, np.ones((side, side), np.uint8))
    return thinner if thinner.any() else pixels


def _semantic2stage(given: Draw) -> np.ndarray:
    """Free-form masks up to 60 %, or a rectangle."""
    if given.stream.random() < 0.5:
        return rectangle(given.request, given.stream)
    size = given.height * given.width
    request = replace(given.request, counts=(1, size * 60 // 100))
    return GENERATORS["freeform"].draw(request, given.stream)


_FILES = "NVIDIA's irregular masks (write NAME:DIR; else irregular strokes)"
_COMODGAN_SIZES = (256, 512, 1024)

TRAINING: dict[str, Recipe] = {
    "comodgan": Recipe("CoModGAN's free-form masks", _generator("freeform"), sizes=_COMODGAN_SIZES),
    "grig": Recipe("CoModGAN's free-form masks", _generator("freeform"), sizes=_COMODGAN_SIZES),
    "facemug": Recipe("CoModGAN's free-form masks", _generator("freeform"), sizes=_COMODGAN_SIZES),
    "invertfill": Recipe("CoModGAN's free-form masks", _generator("freeform"), sizes=_COMODGAN_SIZES),
    "mat": Recipe("CoModGAN's masks with fewer shapes (at 512 its own counts)", _mat, sizes=(256, 512)),
    "fcf": Recipe("CoModGAN's masks between 10 and 70 %", _generator("fcf"), sizes=(256, 512)),
    "hierinv": Recipe("CoModGAN's shapes, ratios evenly spread over 0-100 %", _generator("even")),
    "divinv": Recipe("CoModGAN's shapes, ratios evenly spread over 0-100 %", _generator("even")),
    "exegan": Recipe("strokes and rectangles (256 model)", _generator("exegan"), per_batch=True),
    "exegan-512": Recipe("CoModGAN's free-form masks (512 model)", _generator("freeform"), sizes=_COMODGAN_SIZES),
    "gconv": Recipe("MMEditing's irregular strokes between 15 and 65 %", _generator("irregular")),
    "gconv-release": Recipe("DeepFill v2's brush united with its box", _generator("gconv-release"), per_batch=True),
    "pconv": Recipe("MMEditing's irregular strokes between 15 and 65 %", _generator("irregular")),
    "ca": Recipe("MMEditing's box of 108-128 pixels", _generator("bbox")),
    "ca-release": Recipe("DeepFill v1's box of 96-128 pixels", _generator("gconv-box"), per_batch=True),
    "gl": Recipe("MMEditing's box of 108-128 pixels", _generator("bbox")),
    "gl-original": Recipe("a box of 96-128 pixels", _generator("gconv-box")),
    "gmcnn": Recipe("a square of half of the side, margin 8", _generator("rectangle"), per_batch=True),
    "gmcnn-strokes": Recipe("ten free-form strokes", _generator("gconv"), per_batch=True),
    "rfr": Recipe("1-15 free-form strokes", _generator("rfr")),
    "lama": Recipe("wide strokes or boxes, half each", _generator("lama")),
    "lama-small": Recipe("strokes or one box: ablation", _generator("lama-small")),
    "edgeconnect": Recipe("a block, a half of the picture, or a file", _edgeconnect, files=True),
    "lafin": Recipe("a block of half of the side or a file, half each", _lafin, files=True),
    "aot": Recipe(f"{_FILES}, flipped, rotated by 0-45 degrees", partial(_turned, degrees=(0, 45)), files=True),
    "madf": Recipe(f"{_FILES}, flipped, rotated by up to 10 degrees", partial(_turned, degrees=(-10, 10)), files=True),
    "tfill": Recipe("rectangles, the centre, or a file flipped, rotated and eroded", _tfill, files=True),
    "codeformer": Recipe("one to three long, wide brush strokes", _codeformer, sizes=()),
    "semantic2stage": Recipe("free-form masks up to 60 %, or a rectangle", _semantic2stage),
    **dict.fromkeys(("apfi", "isfrnet", "lgnet", "rgtsi", "transref", "zits"), Recipe(_FILES, Draw.file, files=True)),
}
"""How each paper draws its training masks, by the name of its method."""
