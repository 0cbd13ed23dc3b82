"""Ranger against its published steps, written out on numbers, and its state on disk."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from bench.nn.ranger import Ranger


def by_hand(start: Tensor, gradients: list[Tensor], lr: float) -> Tensor:
    """The weights after these gradients: Algorithm 2 of RAdam, Algorithm 1 of look-ahead."""
    one, two, eps, every, share = 0.95, 0.999, 1e-5, 6, 0.5
    fast, slow = start.clone(), start.clone()
    first, second = torch.zeros_like(start), torch.zeros_like(start)
    longest = 2 / (1 - two) - 1
    for t, gradient in enumerate(gradients, 1):
        g = gradient - gradient.mean(1, keepdim=True)
        first, second = one * first + (1 - one) * g, two * second + (1 - two) * g * g
        length = longest - 2 * t * two**t / (1 - two**t)
        move = first / (1 - one**t)
        if length > 5:
            rectify = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            move = move * math.sqrt(rectify) * math.sqrt(1 - two**t) / (second.sqrt() + eps)
        fast = fast - lr * move
        if t % every == 0:
            slow = slow + share * (fast - slow)
            fast = slow.clone()
    return fast


def gradients(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_steps_are_those_of_the_papers() -> None:
    start = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    weights = torch.nn.Parameter(start.clone())
    optimiser = Ranger([weights], lr=0.01)
    for gradient in gradients(20):
        weights.grad = gradient.clone()
        optimiser.step()
    torch.testing.assert_close(weights.detach(), by_hand(start, gradients(20), 0.01))


def test_it_goes_on_from_its_saved_state() -> None:
    def run(weights: torch.nn.Parameter, optimiser: Ranger, steps: list[Tensor]) -> None:
        for gradient in steps:
            weights.grad = gradient.clone()
            optimiser.step()

    whole = torch.nn.Parameter(torch.ones(3, 4, dtype=torch.float64))
    optimiser = Ranger([whole])
    run(whole, optimiser, gradients(8))
    again = torch.nn.Parameter(whole.detach().clone())
    other = Ranger([again])
    other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    run(whole, optimiser, gradients(16)[8:])
    run(again, other, gradients(16)[8:])
    assert torch.equal(whole, again)


def test_parameters_without_a_gradient_stay() -> None:
    moved, still = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimiser = Ranger([moved, still])
    moved.grad = torch.ones(2)
    optimiser.step()
    assert (moved < 1).all() and (still == 1).all()
