"""RePaint: its schedule, and what it makes of holes where the network is exact."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from baselines.repaint import RePaint, schedule, walk
from bench.method import Batch, Noise
from bench.nn.diffusion import Diffusion

SIDE, SPREAD = 8, 0.4


def plain(x: Tensor, time: int) -> Tensor:
    """The exact network for pictures of one colour, drawn from N(0, SPREAD^2): by the mean of what is seen."""
    abar, count = float(Diffusion.linear().abar[time]), x[0].numel()
    seen = x.mean(dim=(1, 2, 3), keepdim=True) / abar**0.5
    colour = seen * SPREAD**2 / (SPREAD**2 + (1 - abar) / abar / count)
    noise = (x - abar**0.5 * colour) / (1 - abar) ** 0.5
    return torch.cat([noise, torch.zeros_like(noise)], dim=1)


def filled(known: str, resamplings: int, count: int = 24) -> tuple[Batch, Tensor]:
    """Pictures of one colour, each its own, half of each erased; and what the sampler makes of them."""
    colours = torch.linspace(-0.8, 0.8, count)[:, None, None, None]
    mask = torch.zeros(count, 1, SIDE, SIDE)
    mask[..., : SIDE // 2] = 1
    batch = Batch(colours.expand(-1, 3, SIDE, SIDE) * (1 - mask), mask)
    noise = Noise(range(count))
    times = schedule(20, 5, resamplings)
    *_, last = walk(plain, Diffusion.linear().respaced(20), times, noise.normal(3, SIDE, SIDE), batch, noise, known)
    return batch, last


def error(batch: Batch, found: Tensor) -> float:
    """Of the colour in the hole."""
    colour = batch.image[:, :, :, -1:]
    return float(((found - colour).abs() * batch.mask).sum() / (3 * batch.mask.sum()))


@pytest.mark.parametrize("known", ["before", "after"])
def test_holes_take_the_colour_of_what_is_known(known: str) -> None:
    batch, found = filled(known, 3)
    assert error(batch, found) < 0.1
    assert error(batch, torch.zeros_like(found)) > 0.4


def test_resampling_brings_holes_nearer_to_what_is_known() -> None:
    once, thrice, often = (error(*filled("before", count)) for count in (1, 3, 10))
    assert often < thrice < once


def test_pasting_after_the_step_leaves_known_pixels_as_they_are() -> None:
    batch, found = filled("after", 1)
    assert torch.equal(found * (1 - batch.mask), batch.image)
    _, before = filled("before", 1)
    assert not torch.equal(before * (1 - batch.mask), batch.image)


@pytest.mark.parametrize("given", [(250, 10, 10), (50, 5, 3), (100, 10, 1), (8, 5, 4), (7, 9, 3)])
def test_calls_are_as_the_schedule_has_them(given: tuple[int, int, int]) -> None:
    steps, jump, resamplings = given
    jumps = len(range(0, max(steps - jump, 0), jump))
    down = [a for a, b in pairwise(schedule(*given)) if b < a]
    assert len(down) == steps + jumps * (resamplings - 1) * jump
    assert set(down) == set(range(steps))


def test_tiny_stays_within_250_calls_and_the_variants_resample_nothing() -> None:
    assert RePaint.create("tiny").calls == 140
    for variant in RePaint.variants:
        assert RePaint.create("paper", variant).calls == 250
