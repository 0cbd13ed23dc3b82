"""Emotion accuracy: whether a face keeps the emotion that a recogniser sees in the original."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def kept(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """1 where the likeliest emotion of the completed image is that of the original, else 0 (N,)."""
    return (completed["emotion"].argmax(dim=1) == truth["emotion"].argmax(dim=1)).double()
