"""`synthfaces`: the procedural face generator, the data set that comes with the project.

Every picture is computed from (seed, index): no file, no download. Four pictures in a row show the same person.
The semantic map is exact: it names, for every pixel, the layer that shows most in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from bench.data.synthfaces.landmarks import landmarks
from bench.data.synthfaces.paint import paint
from bench.data.synthfaces.scene import IMAGES_PER_IDENTITY, identity_of, sample
from bench.errors import BenchError

__all__ = ["ATTRIBUTES", "IMAGES_PER_IDENTITY", "Faces", "render", "sheet"]

ATTRIBUTES: tuple[str, ...] = (
    "male", "smile", "mouth_open", "surprise", "glasses", "sunglasses", "beard", "moustache", "stubble", "hat",
    "earring", "necklace", "bald", "bangs", "long_hair", "curly_hair", "blond_hair", "grey_hair", "makeup", "age",
    "skin_tone",
)  # fmt: skip
_NAMES = {  # what the scene calls them, where that differs
    "mouth_open": "open",
    "long_hair": "long",
    "curly_hair": "curl",
    "blond_hair": "blond",
    "grey_hair": "grey",
    "skin_tone": "tone",
}
_CHUNK_PIXELS = 16 * 64 * 64  # keeps the temporaries in the cache


@dataclass(frozen=True)
class Faces:
    """N rendered faces and all that is known about them.

    images: (N, 3, H, W) float32 in [-1, 1], RGB.
    semantics: (N, H, W) uint8, the labels of CelebAMask-HQ; "left" is the left of the picture:
        0 background, 1 skin, 2 l_brow, 3 r_brow, 4 l_eye, 5 r_eye, 6 eye_g, 7 l_ear, 8 r_ear, 9 ear_r, 10 nose,
        11 mouth, 12 u_lip, 13 l_lip, 14 neck, 15 neck_l, 16 cloth, 17 hair, 18 hat.
        Beards count as skin; clear lenses leave the label of what is seen through them.
    landmarks: (N, 68, 2) float32, (x, y) in pixels (the centre of the first pixel is (0.5, 0.5)), in the order of
        iBUG-68, which also counts from the left of the picture. Hidden ones are given where they would be.
    identity: (N,) int64, the person.
    attributes: (N, len(ATTRIBUTES)) float32 in [0, 1]; "male" is a style of drawing, "age" and "skin_tone" are scales.
        What is worn may be hidden, as an earring under long hair.
    """

    images: Tensor
    semantics: Tensor
    landmarks: Tensor
    identity: Tensor
    attributes: Tensor


def render(indices: Sequence[int] | Tensor, size: int = 64, seed: int = 0) -> Faces:
    """Render the faces of these indices at `size` pixels a side (from 16).

    Picture i depends on (seed, i, size) alone, not on the batch it is rendered in; another size shows the same scene.
    Pictures 4k to 4k + 3 show person k in other poses, moods, light and clothes; other seeds give other people.
    Raises BenchError for a size below 16, or an index that is negative or not whole.
    """
    if not isinstance(size, int) or size < 16:
        raise BenchError(f"synthfaces: size {size!r} is not possible; use a whole number of pixels, 16 or more")
    wanted = np.asarray(indices)
    if wanted.size and (wanted.ndim != 1 or wanted.dtype.kind not in "iu" or wanted.min() < 0):
        raise BenchError("synthfaces: indices must be a list of whole numbers from 0 on")
    wanted = wanted.astype(np.int64).reshape(-1)
    step = max(1, _CHUNK_PIXELS // (size * size))
    with torch.inference_mode(False), torch.no_grad():
        scenes = sample(wanted, seed)
        # alike scenes side by side, so that a chunk can leave out the layers that none of its pictures shows
        order = (4 * scenes.long + 2 * scenes.curl + scenes.glasses).flatten().argsort(stable=True)
        back = order.argsort()
        parts = [_render(_rows(scenes, rows), size) for rows in order.split(step)]
    images, semantics, points, attributes = (torch.cat(part)[back] for part in zip(*parts, strict=True))
    return Faces(images, semantics, points, torch.from_numpy(identity_of(wanted)), attributes)


def _rows(p: SimpleNamespace, rows: Tensor) -> SimpleNamespace:
    return SimpleNamespace(**{name: value[rows] for name, value in vars(p).items()})


def _render(p: SimpleNamespace, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    canvas = paint(p, size)
    exposed = 1.12 * canvas.colour.clamp(min=0)
    display = (exposed * (1 + 0.12 * exposed) / (1 + 0.45 * exposed)).clamp(1e-5, 1)
    display = (display.log() * (1 / 2.2)).exp()  # not pow, whose rounding depends on the batch
    values = [getattr(p, _NAMES.get(name, name)) for name in ATTRIBUTES]
    attributes = torch.cat(values, 1)[:, :, 0, 0].clamp(0, 1)
    return (display * 2 - 1).clamp(-1, 1), canvas.label[:, 0], landmarks(p, size), attributes


def sheet(columns: int = 8, rows: int = 4, size: int = 128, seed: int = 0) -> np.ndarray:
    """A sheet of different people for documents, (rows * size, columns * size, 3) uint8.

    Every third level of brightness is used: the eye sees no difference, and the file gets a third smaller.
    """
    faces = render([i * IMAGES_PER_IDENTITY + i % IMAGES_PER_IDENTITY for i in range(columns * rows)], size, seed)
    tiles = (((faces.images + 1) * 42.5).round() * 3).to(torch.uint8).numpy()
    tiles = tiles.reshape(rows, columns, 3, size, size).transpose(0, 3, 1, 4, 2)
    return tiles.reshape(rows * size, columns * size, 3)
