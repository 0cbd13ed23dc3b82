"""What denoisers are made with, and what they tell."""

from __future__ import annotations

import torch

from bench.batch import Noise
from bench.nn.adm import UNet
from bench.nn.denoising import LINEAR, DenoiserConfig, GuidedConfig, learned, times, woken
from bench.nn.diffusion import at

SMALL = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,), "head": 8, "groups": 4}


def test_a_velocity_tells_the_noise() -> None:
    config, picture, normal = GuidedConfig(predicts="velocity", variances="least"), *torch.randn(2, 2, 3, 4, 4)
    k = torch.tensor([10, 900])
    x = LINEAR.noised(picture, k, normal)
    velocity = at(LINEAR.abar**0.5, k, x) * normal - at((1 - LINEAR.abar) ** 0.5, k, x) * picture
    found = config.noise_and_v(torch.cat([velocity, velocity], dim=1), x, k)
    torch.testing.assert_close(found[:, :3], normal, atol=1e-4, rtol=1e-4)
    assert (found[:, 3:] == -1).all()


def test_new_weights_of_zero_wake_to_small_ones() -> None:
    torch.manual_seed(0)
    network, x = UNet(**DenoiserConfig(**SMALL).layers), torch.randn(1, 3, 8, 8)
    assert not network(x, times(3, x)).any()
    awake = GuidedConfig(**SMALL, zeros=False).started(network)
    assert awake is network
    assert 0 < network(x, times(3, x)).abs().mean() < 0.3
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in woken(network).state_dict().items())


def test_what_is_known_costs_nothing() -> None:
    config, picture = DenoiserConfig(), torch.rand(4, 3, 8, 8) * 2 - 1
    noise = Noise.shared(0, 4)
    noise.uniform()
    normal = noise.normal(3, 8, 8)
    seen = learned(
        config, lambda x, k: torch.cat([normal, torch.full_like(normal, -1)], dim=1), picture, Noise.shared(0, 4)
    )
    assert seen.losses["noise"] == 0
    assert seen.loss == seen.losses["bound"]
    torch.testing.assert_close(seen.x, LINEAR.noised(picture, seen.k, normal))
