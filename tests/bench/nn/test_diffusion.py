"""The schedule of diffusion: its steps against Bayes' rule, its losses where they are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.nn.diffusion import Diffusion, Reverse, unlikelihood


def test_fewer_steps_keep_the_noise_of_theirs() -> None:
    fine = Diffusion.linear()
    coarse = fine.respaced(50)
    assert coarse.times[[0, 1, -1]].tolist() == [0, 20, 999]
    assert coarse.abar.tolist() == fine.abar[coarse.times].tolist()
    np.testing.assert_allclose(np.cumprod(1 - coarse.beta), coarse.abar)


def test_roots_that_are_equally_spaced_and_every_twentieth_step() -> None:
    fine = Diffusion.rooted(0.0015, 0.0195)
    roots = fine.beta**0.5
    assert fine.beta[[0, -1]].tolist() == pytest.approx([0.0015, 0.0195])
    np.testing.assert_allclose(np.diff(roots), np.diff(roots).mean(), rtol=1e-6)
    coarse = fine.strided(50)
    assert coarse.times.tolist() == [*range(1, 1000, 20)]
    assert coarse.abar.tolist() == fine.abar[coarse.times].tolist()


@pytest.mark.parametrize("k", [0, 1, 30])
def test_the_posterior_is_that_of_bayes(k: int) -> None:
    """x_(k-1) of the picture is N(sqrt(a) picture, 1 - a); x_k of it is N(sqrt(1 - beta) x_(k-1), beta)."""
    schedule = Diffusion.linear().respaced(40)
    before = schedule.abar[k - 1] if k else 1.0
    beta, picture, x = schedule.beta[k], torch.tensor(0.3).double(), torch.tensor(-0.9).double()
    mean = before**0.5 * picture
    if k:
        precision = 1 / (1 - before) + (1 - beta) / beta
        mean = (mean / (1 - before) + (1 - beta) ** 0.5 * x / beta) / precision
        assert math.isclose(schedule.log_posterior[k], -math.log(precision))
    torch.testing.assert_close(schedule.posterior(picture, x, k), mean)


def test_a_step_forward_gives_the_noise_of_the_next() -> None:
    schedule = Diffusion.linear().respaced(20)
    picture = torch.zeros(20_000)  # a mean of 0: all that is seen is the variance
    one, two = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0))
    x = schedule.forward(schedule.noised(picture, 9, one), 9, two)
    assert math.isclose(float(x.var()), 1 - schedule.abar[10], rel_tol=0.03)
    lit = schedule.forward(schedule.noised(picture + 1, 9, 0 * one), 9, 0 * two)
    assert math.isclose(float(lit[0]), schedule.abar[10] ** 0.5, rel_tol=1e-6)


def given(k: list[int]) -> tuple[Diffusion, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    schedule, generator = Diffusion.linear(), torch.Generator().manual_seed(0)
    picture = torch.rand(len(k), 3, 4, 4, generator=generator).double() * 2 - 1
    normal, steps = torch.randn(picture.shape, generator=generator).double(), torch.tensor(k)
    return schedule, picture, normal, steps, schedule.noised(picture, steps, normal)


def test_a_network_that_knows_the_noise_goes_back_to_the_picture() -> None:
    schedule, picture, normal, k, x = given([0, 5, 500, 999])
    told = schedule.reverse(x, k, torch.cat([normal, -torch.ones_like(normal)], dim=1))
    torch.testing.assert_close(told.clean, picture)
    torch.testing.assert_close(told.mean, schedule.posterior(picture, x, k))
    torch.testing.assert_close(told.log_variance[2, 0, 0, 0].item(), schedule.log_posterior[500])
    lone = schedule.reverse(x[2:3], 500, torch.cat([normal, normal], dim=1)[2:3])
    torch.testing.assert_close(lone.clean, told.clean[2:3])
    assert torch.equal(told.drawn(0 * normal), told.mean)


def test_the_bound_is_least_for_the_true_variance_and_teaches_it_alone() -> None:
    schedule, picture, normal, k, x = given([5, 500])

    def bound(noise: torch.Tensor, v: float) -> torch.Tensor:
        return schedule.bound(picture, x, k, torch.cat([noise, torch.full_like(noise, v)], dim=1))

    torch.testing.assert_close(bound(normal, -1), torch.zeros(2).double(), atol=1e-9, rtol=0)
    assert (bound(normal, 0) > 1e-9).all()
    assert (bound(normal + 1, -1) > bound(normal + 1, 0)).all()  # a wrong mean asks for more variance
    noise, v = normal.clone().requires_grad_(), torch.zeros_like(normal).requires_grad_()
    gradients = torch.autograd.grad(
        schedule.bound(picture, x, k, torch.cat([noise, v], dim=1)).sum(), [noise, v], allow_unused=True
    )
    assert gradients[0] is None or not gradients[0].any()
    assert gradients[1].abs().min() > 0


def test_the_likelihoods_of_all_values_sum_to_one() -> None:
    values = (torch.arange(256) / 127.5 - 1).double().view(1, 1, 16, 16)
    for mean, deviation in ((0.1, 0.02), (-1.0, 0.3), (0.999, 0.005)):
        told = Reverse(values, torch.full_like(values, mean), torch.full_like(values, 2 * math.log(deviation)))
        shares = (-unlikelihood(values, told)).exp()
        assert math.isclose(float(shares.sum()), 1, abs_tol=1e-6)
        assert abs(float((shares * values).sum()) - max(mean, -1)) < deviation


def test_at_step_0_the_bound_is_the_likelihood_of_8_bit_values() -> None:
    schedule, picture, normal, k, x = given([0])
    output = torch.cat([normal, 0 * normal], dim=1)
    expected = unlikelihood(picture, schedule.reverse(x, k, output)).mean() / math.log(2)
    torch.testing.assert_close(schedule.bound(picture, x, k, output)[0], expected)
