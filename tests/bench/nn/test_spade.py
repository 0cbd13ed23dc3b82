"""SPADE: what a condition does to a norm, and how a picture grows."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.nn.spade import SPADE, SPADEGenerator


def test_the_condition_scales_and_shifts_every_pixel() -> None:
    torch.manual_seed(0)
    layer, x, condition = SPADE(3, 4, 2).eval(), torch.randn(2, 4, 6, 6), torch.rand(2, 3, 6, 6)
    layer.param_free_norm.running_mean.fill_(0.5)
    layer.param_free_norm.running_var.fill_(4.0)
    with torch.no_grad():
        seen = F.relu(layer.mlp_shared[0](condition))
        expected = (x - 0.5) / 2 * (1 + layer.mlp_gamma(seen)) + layer.mlp_beta(seen)
        torch.testing.assert_close(layer(x, condition), expected, rtol=1e-4, atol=1e-5)


def test_another_norm_may_be_given() -> None:
    layer, x = SPADE(3, 4, 2, nn.GroupNorm(2, 4, affine=False)), torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        for part in (layer.mlp_gamma, layer.mlp_beta):
            part.weight.zero_()
            part.bias.zero_()
        torch.testing.assert_close(layer(x, torch.rand(2, 3, 6, 6)), F.group_norm(x, 2))


class Noted(nn.Module):
    """Fewer channels, and a note of what it saw."""

    def __init__(self, outputs: int, notes: list[tuple[tuple[int, ...], str]], kind: str = "block"):
        super().__init__()
        self.outputs, self.notes, self.kind = outputs, notes, kind

    def forward(self, x: torch.Tensor, given: str) -> torch.Tensor:
        self.notes.append((tuple(x.shape[1:]), f"{self.kind} {given}"))
        return x[:, : self.outputs]


def test_seven_blocks_draw_a_picture_of_32_times_the_sides() -> None:
    notes: list[tuple[tuple[int, ...], str]] = []
    generator = SPADEGenerator(
        3, 2, lambda before, here: Noted(here, notes), last=lambda before, here: Noted(here, notes, "last")
    )
    with torch.no_grad():
        assert generator.draw(torch.rand(1, 3, 1, 2), "given").shape == (1, 3, 32, 64)
    assert [shape for shape, _ in notes] == [
        (32, 1, 2), (32, 2, 4), (32, 2, 4), (32, 4, 8), (16, 8, 16), (8, 16, 32), (4, 32, 64),
    ]  # fmt: skip
    assert [said for _, said in notes] == ["block given"] * 6 + ["last given"]
