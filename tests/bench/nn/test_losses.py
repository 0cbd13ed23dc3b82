"""Shared losses on numbers that can be worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.batch import Noise
from bench.nn.losses import feature_matching, gradient_penalty, hinge, r1, region_l1, total_variation


def test_region_l1_is_the_mean_over_the_region_of_the_whole_batch() -> None:
    output, target = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    output[0, :, 0, 0], output[1, 0, 3, 3] = 1.0, -2.0
    region = torch.zeros(2, 1, 4, 4)
    region[0, 0, 0, :2], region[1, 0, 3, 3] = 1, 1
    assert region_l1(output, target, region).item() == pytest.approx(5 / 9)
    assert region_l1(output, target, torch.zeros_like(region)).item() == 0


def test_hinge() -> None:
    assert hinge(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])).item() == pytest.approx(0.25 + 0.75)


def test_r1_is_the_squared_norm_of_each_images_gradient() -> None:
    images = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = (images.square() / 2).sum((1, 2, 3))
    assert r1(logits, images).item() == pytest.approx(images.square().sum().item() / 3, rel=1e-5)


@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_gradient_penalty_of_a_linear_critic(slope: float) -> None:
    real, fake = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    weight = torch.full((3, 8, 8), slope / (3 * 64) ** 0.5)
    penalty = gradient_penalty(lambda x: (x * weight).sum((1, 2, 3)), real, fake, Noise.shared(0, 4))
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_gradient_penalty_by_pixel_takes_the_region_alone() -> None:
    """A critic whose gradient has length 3 at each pixel: known pixels count as gradient 0, the mean is over all."""
    real, fake = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    region = torch.zeros(2, 1, 4, 4)
    region[:, :, :2] = 1
    penalty = gradient_penalty(
        lambda x: x.sum((1, 2, 3)) * 3**0.5, real, fake, Noise.shared(0, 2), region, by_pixel=True
    )
    assert penalty.item() == pytest.approx((0.5 * (3 - 1) ** 2 + 0.5 * 1) / 0.5, rel=1e-4)


def test_gradient_penalty_within_a_region_has_one_norm_an_image() -> None:
    """A critic whose gradient is 1 at each of 3 x 16 values, 24 of them within the region."""
    region = torch.zeros(2, 1, 4, 4)
    region[:, :, :2] = 1
    real, fake = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    penalty = gradient_penalty(lambda x: x.sum((1, 2, 3)), real, fake, Noise.shared(0, 2), region)
    assert penalty.item() == pytest.approx((24**0.5 - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize("by_pixel", [False, True])
def test_gradient_penalty_trains_the_critic_and_stays_finite_without_gradient(by_pixel: bool) -> None:
    critic = nn.Conv2d(3, 1, 3)
    penalty = gradient_penalty(critic, torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), Noise.shared(0, 2))
    assert torch.autograd.grad(penalty, critic.weight)[0].abs().sum() > 0
    nn.init.zeros_(critic.weight)
    given = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), Noise.shared(0, 2), torch.ones(2, 1, 8, 8)
    penalty = gradient_penalty(critic, *given, by_pixel)
    assert torch.autograd.grad(penalty, critic.weight)[0].isfinite().all()


def test_feature_matching_takes_the_real_maps_as_constants() -> None:
    fake = [torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([0.0], requires_grad=True)]
    real = [torch.tensor([0.0, 0.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)]
    loss = feature_matching(fake, real)
    assert loss.item() == pytest.approx((5 + 4) / 2)
    gradients = torch.autograd.grad(loss, [*fake, *real], allow_unused=True)
    assert [g is None for g in gradients] == [False, False, True, True]


def test_total_variation_of_a_slope() -> None:
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    assert total_variation((2 * y - 3 * x).expand(2, 3, 5, 7)).item() == pytest.approx(5)
