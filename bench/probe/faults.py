"""Known faults, each at graded strength: what a fill may have wrong, and nothing else.

A fault takes a whole picture and its hole. What it does outside of the hole is not shown: known pixels are pasted back.
The same picture, strength and generator give the same pixels. Lengths are pixels of the picture as it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch

from bench import registry
from bench.batch import Batch, Noise
from bench.data.dataset import floats
from bench.data.degradation import Degradation, apply
from bench.metrics.images import to_uint8

FADE = 4.0  # pixels in which the step at the hole's edge falls to 1 / e


@dataclass(frozen=True)
class Case:
    """One picture that is to be spoilt."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    hole: np.ndarray  # (H, W) bool
    other: np.ndarray  # (H, W, 3) uint8, another person's face
    rng: np.random.Generator

    def filled(self, slug: str) -> np.ndarray:
        """The completion by a registered method that is not trained: (H, W, 3) uint8."""
        method = registry.get(slug).load()
        mask = torch.from_numpy(self.hole)[None, None].float()
        batch = Batch(floats(torch.from_numpy(self.image).permute(2, 0, 1)[None]), mask)
        output = method(method.presets["paper"]).complete(batch.blind(), Noise([0]))
        return to_uint8(output)[0].permute(1, 2, 0).numpy()


@dataclass(frozen=True)
class Fault:
    """What is done to a picture, and its strengths from the weakest on; `unit` follows each of them."""

    name: str
    title: str
    strengths: tuple[int, ...]
    unit: str
    make: Callable[[Case, int], np.ndarray]  # values of 0 to 255, not yet rounded

    def __call__(self, case: Case, strength: int) -> np.ndarray:
        """The spoilt picture: (H, W, 3) uint8."""
        return self.make(case, strength).round().clip(0, 255).astype(np.uint8)

    def told(self, strength: int) -> str:
        """The strength with its unit."""
        return f"{strength} {self.unit}".strip()


def _blur(case: Case, sigma: int) -> np.ndarray:
    return cv2.GaussianBlur(case.image.astype(np.float64), (0, 0), sigma)


def _jpeg(case: Case, quality: int) -> np.ndarray:
    how = Degradation(side=1, sigma=(1, 1), angle=0, veil=1, reduction=1, noise=0, quality=quality, grey=False)
    return apply(case.image, how, case.rng)[0]


def _noise(case: Case, deviation: int) -> np.ndarray:
    return case.image + deviation * case.rng.standard_normal(case.image.shape)


def _shift(case: Case, pixels: int) -> np.ndarray:
    return np.pad(case.image, ((0, 0), (pixels, 0), (0, 0)), mode="edge")[:, : case.image.shape[1]]


def _cast(case: Case, levels: int) -> np.ndarray:
    return case.image + levels * np.array([1.0, 0.0, -1.0])


def _seam(case: Case, levels: int) -> np.ndarray:
    inwards = cv2.distanceTransform(case.hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return case.image + levels * np.exp((1 - inwards) / FADE)[..., None]


def _mirrored(case: Case) -> np.ndarray:
    half = case.image.shape[1] // 2
    return np.concatenate([case.image[:, :-half], case.image[:, :half][:, ::-1]], axis=1)


def _mixed(source: Callable[[Case], np.ndarray], case: Case, share: int) -> np.ndarray:
    return case.image + share / 100 * (source(case).astype(np.float64) - case.image)


SHARES = (25, 50, 100)
FAULTS = (
    Fault("blur", "Gaussian, deviation", (1, 2, 4, 8), "px", _blur),
    Fault("jpeg", "quality", (75, 40, 15), "", _jpeg),
    Fault("noise", "Gaussian, deviation of 255", (5, 10, 20), "levels", _noise),
    Fault("shift", "to the right", (1, 2, 4), "px", _shift),
    Fault("cast", "red up and blue down", (5, 10, 20), "levels", _cast),
    Fault("seam", "step at the edge that fades inwards", (8, 16, 32), "levels", _seam),
    Fault("mirror", "right half is the left one mirrored, mixed in", SHARES, "%", partial(_mixed, _mirrored)),
    Fault("other", "another person's face, mixed in", SHARES, "%", partial(_mixed, lambda case: case.other)),
    Fault("mean", "mean colour, mixed in", SHARES, "%", partial(_mixed, lambda case: case.filled("mean"))),
    Fault("telea", "Telea's fill, mixed in", SHARES, "%", partial(_mixed, lambda case: case.filled("telea"))),
)
INVISIBLE = Fault("invisible", "JPEG, quality", (95,), "", _jpeg)
NONE = Fault("none", "the originals", (0,), "", lambda case, _: case.image)
