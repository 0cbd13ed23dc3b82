"""Emotion accuracy: whether a face keeps the emotion that a recogniser sees in the original."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def remark(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> str:
    """What stands beside the accuracy: what chance gives, and what the mirrored originals, whose emotion is the same.

    Chance deals the emotions seen in the completions to the originals at random.
    """
    ours, theirs, mirrored = (
        scores.argmax(dim=1) for scores in (completed["emotion"], truth["emotion"], truth["mirrored"])
    )
    shares = [labels.bincount(minlength=truth["emotion"].shape[1]) / len(labels) for labels in (ours, theirs)]
    chance, same = float((shares[0] * shares[1]).sum()), float((mirrored == theirs).double().mean())
    return f"chance: {chance:.2f}, mirrored originals: {same:.2f}"


def kept(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """1 where the likeliest emotion of the completed image is that of the original, else 0 (N,)."""
    return (completed["emotion"].argmax(dim=1) == truth["emotion"].argmax(dim=1)).double()
