"""Sentences, and in training pictures, as what the denoiser is told: a sequence of one token."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from bench.method import Source
from bench.nn import text

LENGTHS = {"official": 512, "embedded": text.WIDTH}  # of the vectors of CLIP ViT-B/32 and of the embedded network


@lru_cache
def reader(source: Source, device: torch.device) -> text.TextImage:
    """The network that makes vectors of texts and pictures; it is no part of a method, and not saved with it."""
    return text.load(source).to(device)


def token(vectors: Tensor) -> Tensor:
    """Vectors (N, D) of length 1 as sequences of one token (N, 1, D), whose values have a deviation of 1."""
    return vectors[:, None] * vectors.shape[1] ** 0.5
