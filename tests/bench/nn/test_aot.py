"""The block of aggregated contextual transformations against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.nn.aot import gate_norm


def plain(gate: Tensor) -> Tensor:
    """As the authors write it."""
    mean, deviation = gate.mean((2, 3), keepdim=True), gate.std((2, 3), keepdim=True) + 1e-9
    return 5 * (2 * (gate - mean) / deviation - 1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gates_are_standardised_over_the_picture(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    gate = (3 * torch.randn(2, 5, 6, 7).double() + 1).contiguous(memory_format=layout).requires_grad_()
    upstream = torch.randn(2, 5, 6, 7).double()
    torch.testing.assert_close(gate_norm(gate), plain(gate), rtol=1e-12, atol=1e-12)
    ours, theirs = (torch.autograd.grad(norm(gate), gate, upstream)[0] for norm in (gate_norm, plain))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_a_constant_gate_has_a_gradient() -> None:
    gate = torch.full((1, 2, 4, 4), 0.25, requires_grad=True)
    out = gate_norm(gate)
    out.square().sum().backward()
    assert torch.equal(out, torch.full_like(out, -5))
    assert gate.grad is not None and gate.grad.isfinite().all()
