from __future__ import annotations

import copy
import shutil

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from bench.nn.compiled import compiled
from bench.nn.losses import differentiable_twice, r1


def network() -> nn.Module:
    """Spectral norm with few outputs, batch norm."""
    torch.manual_seed(0)
    norm = spectral_norm(nn.Conv2d(2, 3, 3))
    return nn.Sequential(norm, nn.BatchNorm2d(3), nn.LeakyReLU(0.2), spectral_norm(nn.Conv2d(3, 1, 3))).double()


def passes(judge: nn.Module) -> list[Tensor]:
    """Gradients of a discriminator that sees two batches and a penalty before it is updated; then its state."""
    real, fake = torch.rand(2, 2, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    loss = judge(fake).square().mean() + judge(real).mean()
    real.requires_grad_()
    with differentiable_twice():
        logits = judge(real)
    gradients = torch.autograd.grad(loss + r1(logits, real), list(judge.parameters()))
    return [*gradients, *(value.double() for value in judge.state_dict().values())]


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on the CPU")
def test_gradients_and_states_are_those_of_the_plain_network() -> None:
    plain = network()
    other = copy.deepcopy(plain)
    compiled(other)
    for ours, expected in zip(passes(other), passes(plain), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


def test_what_has_no_weights_is_left_alone() -> None:
    penalty = nn.Identity()
    compiled(penalty)
    assert penalty._compiled_call_impl is None
