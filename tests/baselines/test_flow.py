"""Flow matching: the solver on flows that are known, and what the network is shown and learns."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from baselines.flow import Flow
from bench.method import Batch, Noise
from bench.profile import count_macs


def batch(count: int = 2) -> Batch:
    mask = torch.zeros(count, 1, 16, 16)
    mask[:, :, 4:12, 6:14] = 1
    return Batch(torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def moved(velocity: object, **options: object) -> Tensor:
    method = Flow.create("tiny", **options)
    method.velocity = velocity  # type: ignore[method-assign, assignment]
    return method.complete(batch(), Noise([0, 1]))


def test_a_straight_line_needs_one_step() -> None:
    goal = batch().image
    for steps in (1, 3):
        found = moved(lambda x, batch, time: (goal - x) / (1 - time)[:, None, None, None], solver="euler", steps=steps)
        torch.testing.assert_close(found, goal, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_solvers_have_their_order(solver: str, order: int) -> None:
    """dx / dt = -x: what is left at 1 is 1 / e."""
    start = Noise([0, 1]).normal(3, 16, 16)

    def error(steps: int) -> float:
        found = moved(lambda x, batch, time: -x, solver=solver, steps=steps)
        return float((found - start / math.e).abs().mean())

    assert math.isclose(error(8) / error(16), 2**order, rel_tol=0.15)


def test_times_go_from_noise_to_the_picture() -> None:
    seen: list[float] = []

    def velocity(x: Tensor, batch: Batch, time: Tensor) -> Tensor:
        seen.append(round(float(time[0]), 6))
        return torch.zeros_like(x)

    moved(velocity, steps=2)
    assert seen == [0, 0.5, 0.5, 1]


def test_the_network_sees_noise_in_the_hole_and_the_picture_around_it() -> None:
    method, given, seen = Flow.create("tiny"), batch(), []
    method.network.register_forward_pre_hook(lambda module, inputs: seen.extend(inputs))
    x = torch.ones(2, 3, 16, 16)
    method.velocity(x, given, torch.tensor([0.25, 1.0]))
    expected = torch.cat([given.mask.expand(-1, 3, -1, -1), given.image * (1 - given.mask), given.mask], dim=1)
    assert torch.equal(seen[0], expected)
    assert seen[1].tolist() == [250, 1000]


def test_it_learns_the_way_from_noise_to_the_picture_in_the_hole_alone() -> None:
    method, given, shared = Flow.create("tiny"), batch(), Noise.shared(0, 2)
    time, normal = shared.uniform()[:, None, None, None], shared.normal(3, 16, 16)

    def velocity(x: Tensor, batch: Batch, _: Tensor) -> Tensor:
        torch.testing.assert_close(x, (1 - time) * normal + time * given.image)
        return given.mask * (given.image - normal)  # wrong elsewhere, which counts for nothing

    method.velocity = velocity  # type: ignore[method-assign, assignment]
    stage = method.stages("embedded")[0]
    assert stage.step(given, lambda name, loss: None, Noise.shared(0, 2))["velocity"] < 1e-12


def test_some_pictures_are_shown_and_the_card_states_the_cost_of_a_completion() -> None:
    method = Flow.create("tiny", steps=4).eval()
    with torch.no_grad():
        shown, final = method.steps(batch(), Noise([0, 1])), method.complete(batch(), Noise([0, 1]))
    assert len(shown) == 6
    assert torch.equal(shown[-1], final)
    with torch.device("meta"):
        paper = Flow.create()
        once = count_macs(lambda m: m.network(torch.empty(1, 7, 256, 256), torch.empty(1)), paper)
    assert paper.card.macs["network"] == pytest.approx(paper.calls * once, rel=1e-5)
