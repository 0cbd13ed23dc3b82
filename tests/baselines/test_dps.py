"""DPS: its gradient, what it makes of holes where the network is exact, and that each image has its own distance."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from baselines.dps import DPS
from bench.method import Batch, Noise
from bench.nn.diffusion import Diffusion
from tests.baselines.test_adm import made
from tests.baselines.test_ddrm import colour_error, completed, halves, known_error
from tests.baselines.test_repaint import SIDE, SPREAD, plain


def test_holes_take_the_colour_of_what_is_known() -> None:
    given = halves()
    guided, free = (completed(DPS, given, zeta=zeta) for zeta in (0.5, 0.0))
    assert colour_error(given, guided) < 0.03
    assert known_error(given, guided) < 0.1
    assert colour_error(given, free) > 0.3


def test_without_moves_known_pixels_change_nothing() -> None:
    given = halves()
    other = Batch(given.image.flip(0) * (1 - given.mask), given.mask)
    assert torch.equal(completed(DPS, given, zeta=0.0), completed(DPS, other, zeta=0.0))
    assert not torch.allclose(completed(DPS, given), completed(DPS, other), atol=0.1)


@pytest.mark.parametrize("k", [999, 400, 10])
def test_the_gradient_is_that_of_the_distance_through_the_network(k: int) -> None:
    """In closed form: the exact network says one colour, a constant times the mean of x."""
    given, full = halves(6), Diffusion.linear()
    method = DPS.create("tiny", size=SIDE)
    method.prior = SimpleNamespace(predict=plain)  # type: ignore[assignment]
    x = full.noised(given.image, k, Noise(range(6)).normal(3, SIDE, SIDE))
    told, gradient = method.told(full, x, k, given)
    abar, count = float(full.abar[k]), x[0].numel()
    slope = abar**-0.5 * SPREAD**2 / (SPREAD**2 + (1 - abar) / abar / count) / count  # of the colour by any pixel
    missing = (told.clean - given.image) * (1 - given.mask)
    expected = slope * missing.sum(dim=(1, 2, 3)) / missing.flatten(1).norm(dim=1)
    torch.testing.assert_close(gradient, expected[:, None, None, None].expand_as(x), atol=1e-6, rtol=1e-4)


def test_where_nothing_is_known_nothing_is_moved() -> None:
    given = Batch(torch.zeros(2, 3, SIDE, SIDE), torch.ones(2, 1, SIDE, SIDE))
    assert torch.equal(completed(DPS, given), completed(DPS, given, zeta=0.0))


def test_each_picture_has_its_mask_its_noise_and_its_distance() -> None:
    """The authors' code takes one distance for the batch: moves are then shorter than those of a picture alone."""
    given = halves()
    found = completed(DPS, given)
    for i in (0, 5):
        alone = completed(DPS, Batch(given.image[i : i + 1], given.mask[i : i + 1]), first=i)
        torch.testing.assert_close(alone[0], found[i], atol=1e-5, rtol=0)


def test_gradients_are_taken_whatever_the_mode_and_leave_nothing_behind() -> None:
    method, noise = made(DPS), Noise([0, 1])
    given = Batch(torch.rand(2, 3, 64, 64) * 2 - 1, (torch.rand(2, 1, 64, 64) > 0.5).float()).blind()
    with torch.no_grad():
        plainly = method.complete(given, noise)
    with torch.inference_mode():
        inferred = method.complete(Batch(given.image.clone(), given.mask.clone()), Noise([0, 1]))
    torch.testing.assert_close(plainly, inferred)
    assert not plainly.requires_grad
    assert all(parameter.grad is None for parameter in method.prior.parameters())
