"""What every method of the registry must do; a new method is covered without a new test."""

from __future__ import annotations

import copy

import pytest
import torch

from bench import registry
from bench.batch import Batch, Noise
from bench.method import Method
from bench.profile import count_macs, count_parameters

SIZE = 64
ALL = [slug for slug, entry in registry.entries().items() if entry.card.task != "prior" and slug != "external"]
TRAINED = [slug for slug in ALL if registry.get(slug).load().trainable()]
COUNTED = [slug for slug, entry in registry.entries().items() if entry.card.params]


def small(slug: str) -> Method:
    """The method in its smallest preset, with fixed weights."""
    method = registry.get(slug).load()
    torch.manual_seed(0)
    return method.create("tiny" if "tiny" in method.presets else "paper").eval()


def batch(count: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 2 - 1
    mask = torch.zeros(count, 1, SIZE, SIZE)
    mask[:, :, 20:44, 12:50] = 1
    return Batch(image=torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(-1, 1), mask=mask)


def noise(count: int = 2) -> Noise:
    return Noise(list(range(7, 7 + count)))


@pytest.mark.parametrize("slug", ALL)
def test_completion_has_the_shape_and_is_finite(slug: str) -> None:
    with torch.no_grad():
        out = small(slug).complete(batch().blind(), noise())
    assert out.shape == (2, 3, SIZE, SIZE)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("slug", ALL)
def test_pixels_under_the_hole_never_reach_the_output(slug: str) -> None:
    """The leak test."""
    method, given = small(slug), batch()
    changed = Batch(image=torch.where(given.mask > 0, torch.rand_like(given.image), given.image), mask=given.mask)
    with torch.no_grad():
        assert torch.equal(method.complete(given, noise()), method.complete(changed, noise()))


@pytest.mark.parametrize("slug", ALL)
def test_completion_does_not_depend_on_the_images_beside_it(slug: str) -> None:
    method, given = small(slug), batch(3)
    with torch.no_grad():
        together = method.complete(given, noise(3))
        alone = [
            method.complete(Batch(given.image[i : i + 1], given.mask[i : i + 1]), Noise([7 + i])) for i in range(3)
        ]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("slug", ALL)
def test_completion_is_the_same_again(slug: str) -> None:
    method, given = small(slug), batch()
    with torch.no_grad():
        assert torch.equal(method.complete(given, noise()), method.complete(given, noise()))


@pytest.mark.parametrize("slug", TRAINED)
def test_weights_survive_saving(slug: str) -> None:
    method, given = small(slug), batch()
    torch.manual_seed(1)
    other = type(method)(method.config).eval()
    with torch.no_grad():
        assert not torch.equal(method.complete(given, noise()), other.complete(given, noise()))
        other.load_state_dict(copy.deepcopy(method.state_dict()))
        assert torch.equal(method.complete(given, noise()), other.complete(given, noise()))


@pytest.mark.parametrize("slug", TRAINED)
def test_every_stage_trains_its_networks(slug: str) -> None:
    """A step gives finite losses, and each optimiser's parameters receive a gradient and move."""
    method = small(slug).train()
    stages = method.stages("embedded")
    assert sum(stage.share for stage in stages) == pytest.approx(1)
    for stage in stages:
        optimisers = stage.train().optimisers()
        moved: set[str] = set()

        def update(name: str, loss: torch.Tensor, optimisers=optimisers, moved=moved) -> None:
            parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            assert all(g is None or torch.isfinite(g).all() for g in gradients)
            if sum(float(g.abs().sum()) for g in gradients if g is not None) > 0:
                moved.add(name)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimisers[name].step()

        torch.manual_seed(0)
        losses = stage.step(batch(4), update, Noise.shared(0, 4))
        assert losses
        assert all(torch.isfinite(value) for value in losses.values())
        assert moved == set(optimisers)
        assert set(stage.ema) <= set(optimisers)


@pytest.mark.parametrize("slug", COUNTED)
def test_cards_state_the_parameters_of_the_paper_preset(slug: str) -> None:
    entry = registry.get(slug)
    with torch.device("meta"):
        networks = entry.load().create("paper").networks()
    counted = {name: count_parameters(network) for name, network in networks.items() if name in entry.card.params}
    assert counted
    assert counted == {name: entry.card.params[name] for name in counted}


def test_macs_of_a_convolution() -> None:
    convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert count_macs(lambda net: net(torch.empty(1, 3, 10, 10)), convolution) == 3 * 8 * 9 * 100
