"""Which image sizes a network can take."""

from __future__ import annotations

from torch import Tensor

from bench.errors import BenchError


def check_multiple(images: Tensor, multiple: int, name: str) -> None:
    """Raise BenchError unless the sides of (N, C, H, W) are multiples of `multiple`."""
    height, width = images.shape[2:]
    if height % multiple or width % multiple:
        raise BenchError(f"{name} takes images with sides that are multiples of {multiple}, not {height} x {width}")
