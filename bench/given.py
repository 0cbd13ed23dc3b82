"""What a caller hands over as a picture or a mask: a file, Pillow's image, an array or a tensor."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench import pictures
from bench.errors import BenchError
from bench.metrics.images import Images, Range

Given = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor


def picture(given: Given, name: str, value_range: Range | None = None) -> Image.Image:
    """8-bit RGB of a picture: a file, Pillow's image, (H, W, 3) uint8, or a tensor (3, H, W) or (1, 3, H, W).

    Files and images are read as `bench.pictures.decode` says; a tensor holds uint8, or floats in `value_range` or, if
    that is not said, in [-1, 1]. Raises BenchError, naming the file or `name`, for anything else.
    """
    if isinstance(given, Tensor):
        batch = given[None] if given.ndim == 3 else given
        (found,) = next(Images(_one(batch, name, given), name, value_range=value_range).batches(1))
        return Image.fromarray(found.permute(1, 2, 0).cpu().numpy())
    if isinstance(given, np.ndarray):
        if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] != 3:
            raise BenchError(
                f"{name}: an array of {given.dtype} {given.shape} is no picture: give uint8 (height, width, 3) in RGB, "
                "or a tensor (3, height, width)"
            )
        return Image.fromarray(given)
    return pictures.decode(*_bytes(given, name))


def hole(given: Given, name: str, threshold: int | None = None, inverted: bool = False) -> np.ndarray:
    """A mask as (H, W) bool, True = hole: a file, Pillow's image, or an array or tensor (H, W), (1, H, W), ...

    Raises BenchError, naming the file or `name`, for what is no mask (`bench.pictures.decode_mask`) or has no hole.
    """
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray):
        if given.ndim < 2 or given.size != given.shape[-1] * given.shape[-2]:
            raise BenchError(f"{name}: an array of {given.shape} is no mask: give (height, width)")
        found = pictures.holes(given.reshape(given.shape[-2:]), name, threshold) ^ inverted
    else:
        data, name = _bytes(given, name)
        found = pictures.decode_mask(data, name, threshold, inverted)
    return pictures.check_hole(found, name)


def label_map(given: Given, name: str, classes: int) -> np.ndarray:
    """A label map as (H, W) uint8, below `classes`: a file, Pillow's image, or an array or tensor (H, W), (1, H, W).

    Raises BenchError, naming the file or `name`, for what is no label map (`bench.pictures.decode_labels`).
    """
    if isinstance(given, Tensor):
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray):
        small = given.astype(np.uint8)
        if given.ndim < 2 or given.size != given.shape[-1] * given.shape[-2] or not np.array_equal(small, given):
            raise BenchError(f"{name}: an array of {given.dtype} {given.shape} is no label map: give (height, width)")
        given = Image.fromarray(small.reshape(given.shape[-2:]))
    return pictures.decode_labels(*_bytes(given, name), classes)


def called(given: Given | None, name: str) -> str:
    """What to call it in messages: its file, where it is one, or `name`."""
    return str(given) if isinstance(given, str | os.PathLike) else name


def _one(batch: Tensor, name: str, given: Tensor) -> Tensor:
    if batch.ndim != 4 or batch.shape[0] != 1 or batch.shape[1] != 3:
        raise BenchError(
            f"{name}: a tensor of {tuple(given.shape)} is no picture: give (3, height, width), one at a time"
        )
    return batch.detach().to("cpu", torch.float32) if batch.is_floating_point() else batch.detach().cpu()


def _bytes(given: str | os.PathLike[str] | Image.Image, name: str) -> tuple[bytes, str]:
    """The bytes of a file, or an image as PNG, so that the one reader decodes both; and what to call it."""
    if not isinstance(given, Image.Image):
        if not isinstance(given, str | os.PathLike):
            raise BenchError(
                f"{name}: {type(given).__name__} is no picture: give a file, an image, an array or a tensor"
            )
        path = Path(given)
        return pictures.read(path), str(path)
    kept = io.BytesIO()
    try:
        given.save(kept, format="PNG", compress_level=1, exif=given.getexif())
    except (OSError, ValueError) as error:
        raise BenchError(f"{name}: a picture of the mode {given.mode}: give image.convert('RGB')") from error
    return kept.getvalue(), name
