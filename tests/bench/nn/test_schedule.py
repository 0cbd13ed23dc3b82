"""Learning rates in the course of a training."""

from __future__ import annotations

import pytest
import torch

from bench.nn.schedule import ScheduledAdam, cosine, falling, halved, part


def rates(steps: int, count: int) -> list[float]:
    adam = ScheduledAdam([torch.nn.Parameter(torch.zeros(1))], 0.1, (0.9, 0.99), steps, halved(0.5, 0.75))
    found = []
    for _ in range(count):
        adam.step()
        found.append(adam.param_groups[0]["lr"])
    return found


def test_the_rate_follows_the_share_of_the_training() -> None:
    assert rates(4, 4) == pytest.approx([0.1, 0.1, 0.05, 0.025])
    assert rates(0, 3) == pytest.approx([0.1] * 3)


def test_it_goes_on_from_a_checkpoint() -> None:
    value = torch.nn.Parameter(torch.zeros(1))
    first, second = (ScheduledAdam([value], 0.1, (0.9, 0.99), 4, halved(0.5)) for _ in range(2))
    for _ in range(3):
        first.step()
    second.load_state_dict(first.state_dict())
    second.step()
    assert second.param_groups[0]["lr"] == pytest.approx(0.05)


def test_a_cosine_and_a_part_of_it() -> None:
    whole = cosine(0.2)
    assert [whole(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.6, 0.2])
    assert [part(whole, 0.5, 1)(done) for done in (0, 1)] == pytest.approx([0.6, 0.2])


def test_a_rate_that_falls_to_zero() -> None:
    assert [falling()(done) for done in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])
    assert [falling(0)(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
