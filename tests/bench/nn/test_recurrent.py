"""Recurrent feature reasoning: attention and merging on numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.nn.recurrent import KnowledgeConsistentScores, merge


def scores_by_hand(features: Tensor) -> Tensor:
    """Scores (keys, queries) of one picture, one sum at a time."""
    _, height, width = features.shape
    flat = features.flatten(1) + 1e-7
    keys = flat / flat.norm(dim=0)
    similarity = keys.T @ features.flatten(1)
    summed = torch.zeros_like(similarity)
    for y in range(height):
        for x in range(width):
            for row in range(max(y - 1, 0), min(y + 2, height)):
                for column in range(max(x - 1, 0), min(x + 2, width)):
                    summed[:, y * width + x] += similarity[:, row * width + column]
    return summed.softmax(dim=0)


def test_attention_blends_with_the_last_recurrence() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 2, 5, 4, 6, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, 4, 6, generator=generator) > 0.5).double()
    module = KnowledgeConsistentScores().double()
    module.ratio.data.fill_(-0.7)
    attended, memory = module(first, mask, None)
    _, (scores, _) = module(second, torch.ones_like(mask), memory)
    for i in range(2):
        before, now, known = scores_by_hand(first[i]), scores_by_hand(second[i]), mask[i].flatten()
        torch.testing.assert_close(memory[0][i].flatten(1), before)
        torch.testing.assert_close(
            scores[i].flatten(1), (before * known + now * 0.7) / (known + 0.7), atol=1e-6, rtol=0
        )
        keys = (first[i] + 1e-7).flatten(1)
        torch.testing.assert_close(attended[i].flatten(1), keys / keys.norm(dim=0) @ before)
    assert attended.norm(dim=1).max() <= 1 + 1e-9


def test_merging_is_the_mean_over_the_steps_that_filled_a_pixel() -> None:
    known = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    later = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3)
    merged = merge([(torch.full((1, 1, 1, 3), 2.0), known), (torch.full((1, 1, 1, 3), 6.0), later)])
    torch.testing.assert_close(merged.flatten(), torch.tensor([4.0, 2.0, 0.0]), atol=1e-5, rtol=0)
