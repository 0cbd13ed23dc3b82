"""FastGAN's blocks against their definitions."""

from __future__ import annotations

import torch
from torch import nn

from bench.nn.fastgan import GLU


def test_the_gated_unit_is_torchs_own_and_keeps_the_order_in_memory() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 4).double().contiguous(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn(2, 3, 4, 4).double().contiguous(memory_format=torch.channels_last)
    plain, ours = nn.GLU(dim=1)(x), GLU()(x)
    torch.testing.assert_close(ours, plain)
    (expected,), (gradient,) = (torch.autograd.grad(y, x, upstream) for y in (plain, ours))
    torch.testing.assert_close(gradient, expected)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
