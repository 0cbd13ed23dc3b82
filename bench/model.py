"""A loaded method, and single pictures that it completes as a run would."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench import allocator, pictures
from bench import seed as seeds
from bench.batch import Batch
from bench.completion import Completion
from bench.data import guides, labels
from bench.data.dataset import floats
from bench.data.guides.guide import Frame
from bench.errors import BenchError
from bench.framing import CROP, Framing, Size, extent, framed, normal, told
from bench.given import Given, called, hole, picture
from bench.isolation import one_thread
from bench.method import Method
from bench.metrics.images import Range, composite, to_uint8
from bench.nn.sizes import LARGEST, SMALLEST, nearest
from bench.progress import say

WHOLE = ("degraded", "source")  # guides that are the picture itself, without a hole
SAME = "they must have one size; cut or resize one of them, as it was made"


@dataclass(frozen=True)
class Model:
    """A method with its weights and priors, as `load` gives it."""

    method: Method
    label: str
    """What it is, for messages."""
    size: Size | None = None
    """That of the pictures that it was trained or completed with, where a run made it."""
    device: str = "cpu"
    at: int | None = None
    """The side at which it works, where that is another one: its pictures are resized there and back."""
    framing: Framing = CROP
    """How pictures come into another size, as in the run that made it."""

    def complete(
        self,
        image: Given,
        mask: Given | None = None,
        *,
        seed: int = 0,
        size: Size | None = None,
        value_range: Range | None = None,
        mask_threshold: int | None = None,
        invert_masks: bool = False,
        labels_order: str | None = None,
        **guidance: Any,
    ) -> Image.Image:
        """The completed picture, 8-bit RGB; known pixels are exactly the image's.

        image: a file, Pillow's image, (H, W, 3) uint8, or a tensor (3, H, W), uint8 or in [-1, 1] (or `value_range`).
        mask: of the same size, white or 1 = hole: a file, image, array or tensor, a mask of a `MaskSet`. None where a
            degraded picture is restored.
        seed: a whole number from 0 on; the same one gives the same picture.
        size: image and mask are brought to that many pixels a side, or to that (height, width), as a run does with its
            images: of others their central part is taken. A mask that has this size already stays as it is.
        mask_threshold, invert_masks: of grey masks what is above it, of 255, is hole; black is the hole.
        labels_order: how label maps are numbered, one of `bench.data.labels.ORDERS`; default: face-parsing.
        guidance: what guides a method that takes it, by name. Pictures: exemplar, sketch (dark lines on white), colour
            (each region in its mean colour). Label maps: semantics, the picture's own, and layout, which it shall have.
            landmarks: a file, or points (68, 2) in pixels of the picture. text: a sentence.

        The method never sees what is under the hole, unless it edits whole pictures (its card needs `source`). Raises
        BenchError for what is no picture or mask, sizes that differ or that the method does not take, and guides that
        are missing or that it does not take.
        """
        card, seed = self.method.card, seeds.checked(seed)
        if not card.evaluated:
            raise BenchError(f"{self.label} is a prior of other methods, and completes no pictures")
        restores = "degraded" in card.needs
        if restores == (mask is not None):
            raise BenchError(
                f"{self.label} {'restores whole pictures: leave out' if restores else 'fills holes: give'} the mask"
            )
        shown = picture(image, "image", value_range)
        before = shown.size[::-1]
        erased = None if mask is None else hole(mask, "mask", mask_threshold, invert_masks)
        size = None if size is None else normal(size)
        if size is not None and not all(SMALLEST <= side <= LARGEST for side in extent(size)):
            raise BenchError(f"size: {told(size)} is none of {SMALLEST} to {LARGEST} pixels")
        ready = size is not None and erased is not None and erased.shape == extent(size)
        if erased is not None and erased.shape[::-1] != shown.size and not ready:
            sizes = _size(shown.size, image, "the image"), _size(erased.shape[::-1], mask, "the mask")
            raise BenchError(f"{' and '.join(sizes)}: {SAME}")
        if size is not None:
            shown = Image.fromarray(framed(shown, size, self.framing))
            if erased is not None and not ready:
                small = framed(Image.fromarray(erased.view(np.uint8)), size, self.framing, labels=True)
                erased = pictures.check_hole(small > 0, f"{called(mask, 'the mask')} at {_sides(size)}")
        self._check_size(shown.size, size, called(image, "the image"))
        if labels_order not in (None, *labels.ORDERS):
            raise BenchError(f"labels_order: {labels_order!r} is none of {', '.join(labels.ORDERS)}")
        frame = Frame(before, shown.size[::-1], self.framing, labels_order)
        return self._completed(shown, erased, seed, self._guides(frame, guidance))

    def _completed(
        self, shown: Image.Image, erased: np.ndarray | None, seed: int, given: dict[str, Any]
    ) -> Image.Image:
        """One completion, by the way of every other: `bench.completion`."""
        pixels = floats(torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None])
        mask = torch.ones_like(pixels[:, :1]) if erased is None else torch.from_numpy(erased)[None, None].float()
        own = {name: pixels for name in WHOLE if name in self.method.card.needs}
        batch = Batch(pixels, mask, given | own, ids=("image",))
        completion = Completion(self.method, lambda batch: [seed] * len(batch), self.device, self.at)
        with allocator.keeping(), one_thread() if self.device == "cpu" else nullcontext():  # as in a run
            output = completion(batch)
        if erased is not None and completion.range.doubtful:
            say(f"{self.label}: its outputs seem to lie in [0, 1]: [-1, 1] is expected, so they are too bright")
        scored = to_uint8(output) if erased is None else composite(output, pixels, mask)
        return Image.fromarray(scored[0].permute(1, 2, 0).numpy())

    def _check_size(self, size: tuple[int, int], said: Size | None, name: str) -> None:
        """BenchError where the method does not take such a picture, or a run made it for another size."""
        sizes, (width, height) = self.method.config.sizes(), size
        if self.size and said is None and (height, width) != extent(self.size):
            option = told(self.size).replace(" ", "")
            raise BenchError(
                f"{self.label} was made for {_sides(self.size)}, and {name} has {width} x {height}: "
                f"say size={self.size} (--size {option}), or another size at your own risk"
            )
        if self.at is None and (height, width) not in sizes:
            sides = " or ".join(f"size={side} (--size {side})" for side in nearest(min(size), sizes.__contains__))
            raise BenchError(f"{self.label} takes {sizes}, and {name} has {width} x {height}: say {sides}")

    def _guides(self, frame: Frame, guidance: dict[str, Any]) -> dict[str, Any]:
        """The guides of a batch."""
        card = self.method.card
        needs = (*card.needs, *self.method.config.guided_by())
        given = {guides.get(name): value for name, value in guidance.items() if value is not None}
        for guide in given:
            if guide.name not in (*needs, *card.takes):
                raise BenchError(f"{self.label} takes no {guide.name}: leave it out")
        for guide in map(guides.get, needs):
            if guide not in given and guide.name not in WHOLE:
                handed = f"give {guide.by_hand}, as {guide.name}=... (--{guide.name})"
                remedy = handed if guide.by_hand else "only the images of a suite have it, so take facebench run"
                raise BenchError(f"{self.label} needs {guide.name}, which guides it: {remedy}")
        return {guide.name: guide.handed(value, frame) for guide, value in given.items()}


def _sides(size: Size) -> str:
    """Width and height, as pictures say them."""
    return " x ".join(map(str, extent(size)[::-1]))


def _size(size: tuple[int, ...], given: Given | None, name: str) -> str:
    return f"{called(given, name)} has {size[0]} x {size[1]} pixels"
