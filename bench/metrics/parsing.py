"""Label agreement: whether a face parser sees the same parts of a face at the same places."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def agreement(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """Mean over the classes of the truth of intersection / union of their places, for each image (N,) float64.

    Places are those of the parser (`parsing`: (N, H, W) labels); of masks (N, 1, H', W') those that are hole for the
    most part, all of them without masks. NaN where the hole has none.
    """
    ours, theirs = completed["parsing"].long(), truth["parsing"].long()
    inside = torch.ones_like(theirs, dtype=torch.bool)
    if masks is not None:
        inside = F.adaptive_avg_pool2d(masks.float(), (theirs.shape[1], theirs.shape[2]))[:, 0] >= 0.5
    classes = torch.arange(int(torch.maximum(ours.max(), theirs.max())) + 1, device=theirs.device).view(1, -1, 1, 1)
    a, b = ((labels[:, None] == classes) & inside[:, None] for labels in (ours, theirs))
    both, either = ((a & b).sum((2, 3)).double(), (a | b).sum((2, 3)).double())
    there = b.any(3).any(2)
    return torch.where(there, both / either, torch.nan).nanmean(1)
