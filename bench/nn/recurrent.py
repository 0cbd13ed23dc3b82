"""Recurrent feature reasoning (Li et al., CVPR 2020): attention with a memory, and the merging of the recurrences.

Shared by RFR and APFI.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Memory = tuple[Tensor, Tensor]  # attention scores (N, keys, H, W) and mask (N, 1, H, W) of the last recurrence


class KnowledgeConsistentScores(nn.Module):
    """Attention whose scores are blended with those of the last recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.ratio = nn.Parameter(torch.ones(1))

    def forward(self, features: Tensor, mask: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """Features (N, C, H, W) and the mask at this size, 1 = known; returns what was attended and the memory."""
        size = features.shape[2:]
        flat = features.flatten(2)
        keys = flat + 1e-7
        keys = keys / keys.square().sum(1, keepdim=True).sqrt()
        # the published mean over 3 x 3 queries, times 9: of the queries, which are fewer numbers than their scores
        queries = F.avg_pool2d(features, 3, stride=1, padding=1, divisor_override=1).flatten(2)
        scores = (keys.transpose(1, 2) @ queries).unflatten(2, size).softmax(dim=1)  # (N, keys, H, W)
        if memory is not None:
            before, known = memory
            ratio = self.ratio.abs() + 1e-7
            scores = (before * known + scores * ratio) / (known + ratio)
        return (keys @ scores.flatten(2)).unflatten(2, size), (scores, mask)


class KnowledgeConsistentAttention(nn.Module):
    """What was attended, joined with the features by a 1x1 convolution. (N, channels, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        self.att = KnowledgeConsistentScores()
        self.combiner = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor, mask: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        mask = F.interpolate(mask, features.shape[2:])
        attended, memory = self.att(features, mask, memory)
        return self.combiner(torch.cat([attended, features], dim=1)), memory


def merge(steps: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Adaptive feature merging: the mean of the maps at each pixel over the steps that had filled it.

    `steps`: maps (N, C, H, W) and their masks, 1 = known. A pixel that no step filled is 0.
    """
    maps = torch.stack([x * mask for x, mask in steps]).mean(0)
    return maps / (torch.stack([mask for _, mask in steps]).mean(0) + 1e-7)
