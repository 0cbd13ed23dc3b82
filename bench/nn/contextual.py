"""Contextual attention (Yu et al., CVPR 2018): holes are rebuilt from patches of the known part."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Masking = Literal["exclude", "multiply"]


class ContextualAttention(nn.Module):
    """Section 4.1: match 3x3 patches at half size, fuse the scores along diagonals, paste 4x4 patches. No parameters.

    masking: "exclude" (MMEditing) takes patches that touch the hole out of the softmax and divides what was pasted by
        the number of patches at each pixel; "multiply" (authors' release) multiplies their scores by 0 before and
        after the softmax and divides by 4 everywhere. Where every patch touches the hole, all are allowed.
    scale: of the scores in the softmax.
    """

    def __init__(self, masking: Masking = "exclude", scale: float = 10.0):
        super().__init__()
        self.masking, self.scale = masking, scale

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, H, W), H and W even, and mask (N, 1, H, W), 1 = hole -> features, scores.

        Scores (N, contexts, queries): the weight of each patch of the half-size grid, row by row.
        """
        height, width = x.shape[2:]
        pasted = F.unfold(x, 4, padding=1, stride=2)  # (N, 16 C, L)
        x, mask = x[:, :, ::2, ::2], mask[:, :, ::2, ::2]
        patches = F.unfold(x, 3, padding=1)  # (N, 9 C, L): as contexts and, not normalised, as queries
        contexts = patches / patches.norm(dim=1, keepdim=True).clamp_min(1e-4)
        scores = fuse(contexts.transpose(1, 2) @ patches, *x.shape[2:])  # (N, contexts, queries)
        known = F.unfold(mask, 3, padding=1).sum(1, keepdim=True).transpose(1, 2) == 0  # (N, contexts, 1)
        known = known | ~known.any(1, keepdim=True)
        if self.masking == "exclude":
            attention = (self.scale * scores).masked_fill(~known, -torch.inf).softmax(dim=1)
        else:
            attention = (self.scale * scores * known).softmax(dim=1) * known
        out = F.fold(pasted @ attention, (height, width), 4, padding=1, stride=2)
        if self.masking == "multiply":
            return out / 4, attention
        ones = torch.ones_like(pasted[:1, :16])
        return out / F.fold(ones, (height, width), 4, padding=1, stride=2), attention


def fuse(scores: Tensor, height: int, width: int) -> Tensor:
    """Patches beside each other are pasted beside each other: sums along diagonals, row by row, then by columns."""
    scores = _diagonals(scores)
    scores = _diagonals(_turn(scores, height, width))
    return _turn(scores, width, height)


def _diagonals(scores: Tensor) -> Tensor:
    """scores[l - 1, q - 1] + scores[l, q] + scores[l + 1, q + 1], with zeros outside."""
    padded = F.pad(scores, (1, 1, 1, 1))
    return padded[:, :-2, :-2] + scores + padded[:, 2:, 2:]


def _turn(scores: Tensor, height: int, width: int) -> Tensor:
    """Both axes from the row-major order of a (height, width) grid to the column-major one."""
    grid = scores.unflatten(1, (height, width)).unflatten(3, (height, width))
    return grid.permute(0, 2, 1, 4, 3).flatten(3, 4).flatten(1, 2)
