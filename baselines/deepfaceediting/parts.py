"""Where the five parts of an aligned face lie, and how their features make a whole."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

SIDE = 512  # pixels of the pictures that `PARTS` and `CHIN` are of
PARTS = {
    "bg": (0, 0, 512), "eye1": (108, 156, 128), "eye2": (255, 156, 128), "nose": (182, 232, 160),
    "mouth": (169, 301, 192),
}  # fmt: skip
"""Left, top and side of each part; the first one is the whole picture."""
WHOLE = "bg"
PASTED = ("mouth", "nose", "eye1", "eye2")  # one over the other
LIP = 36  # rows at the bottom of the nose that stay the mouth's
SIXTEENTHS = 16  # sides of parts are multiples of a sixteenth of the picture's


def box(part: str, side: int) -> tuple[int, int, int]:
    """Left, top and side of a part in pictures of that side."""
    left, top, size = (round(number * side / SIDE) for number in PARTS[part])
    return left, top, size


def cut(images: Tensor, part: str) -> Tensor:
    """A part (N, C, s, s) of square pictures or maps (N, C, S, S)."""
    left, top, size = box(part, images.shape[-1])
    return images[..., top : top + size, left : left + size]


def joined(features: Mapping[str, Tensor]) -> Tensor:
    """The features of all parts as one map (N, C, S, S): hard edges, nothing is blended."""
    whole = features[WHOLE].clone()
    for part in PASTED:
        feature = features[part]
        if part == "nose":
            feature = feature[:, :, : feature.shape[2] - round(LIP * whole.shape[-1] / SIDE)]
        left, top, _ = box(part, whole.shape[-1])
        whole[:, :, top : top + feature.shape[2], left : left + feature.shape[3]] = feature
    return whole


def read(encoders: nn.ModuleDict, pictures: Tensor) -> dict[str, Tensor]:
    """What each encoder gives of its part of sketches or pictures (N, 3, S, S) in [-1, 1]."""
    return {part: encoder(cut(pictures, part)) for part, encoder in encoders.items()}


def drawn(sketch: Tensor) -> Tensor:
    """Sketches (N, 1, H, W), 1 = line, as the networks see them: black on white, (N, 3, H, W) in [-1, 1]."""
    return (1 - 2 * sketch).expand(-1, 3, -1, -1)
