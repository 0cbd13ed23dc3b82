"""DDRM: what it makes of holes where the network is exact, and what its two shares of new noise do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import baselines.diffpir
from baselines.adm import Sampler
from baselines.ddrm import DDRM
from baselines.diffpir import DiffPIR
from bench.method import Batch, Noise
from bench.nn.diffusion import Diffusion
from tests.baselines.test_repaint import SIDE, SPREAD, error, plain


def separate(x: Tensor, time: int) -> Tensor:
    """The exact network for pictures whose pixels are drawn from N(0, SPREAD^2), each by itself."""
    abar = float(Diffusion.linear().abar[time])
    clean = abar**0.5 * SPREAD**2 / (abar * SPREAD**2 + 1 - abar) * x
    return torch.cat([(x - abar**0.5 * clean) / (1 - abar) ** 0.5, -torch.ones_like(x)], dim=1)


def halves(count: int = 24) -> Batch:
    """Pictures of one colour, each its own, half of each erased: the left one, or the right one of every second."""
    colours = torch.linspace(-0.8, 0.8, count)[:, None, None, None]
    mask = torch.zeros(count, 1, SIDE, SIDE)
    mask[::2, ..., : SIDE // 2], mask[1::2, ..., SIDE // 2 :] = 1, 1
    return Batch(colours.expand(-1, 3, SIDE, SIDE) * (1 - mask), mask)


def completed(kind: type[Sampler], given: Batch, network: Any = plain, first: int = 0, **options: Any) -> Tensor:
    method = kind.create("tiny", size=SIDE, **options)
    method.prior = SimpleNamespace(predict=network)  # type: ignore[assignment]
    with torch.no_grad():
        return method.complete(given, Noise(range(first, first + len(given.image))))


def colour_error(given: Batch, found: Tensor) -> float:
    """In the hole, where the picture has the colour of what is known."""
    colour = given.masked.sum(dim=(2, 3), keepdim=True) / (1 - given.mask).sum(dim=(2, 3), keepdim=True)
    return error(Batch(colour.expand_as(given.image), given.mask), found)


def known_error(given: Batch, found: Tensor) -> float:
    """The largest one of a known pixel."""
    return float(((found - given.image) * (1 - given.mask)).abs().max())


@pytest.mark.parametrize("eta", [0.0, 0.85, 1.0])
def test_holes_take_the_colour_of_what_is_known_and_known_pixels_stay(eta: float) -> None:
    given = halves()
    found = completed(DDRM, given, eta=eta, steps=20)
    assert colour_error(given, found) < 0.05
    assert colour_error(given, torch.zeros_like(found)) > 0.4
    assert known_error(given, found) < 1e-6


def test_known_pixels_that_nothing_is_drawn_to_are_not_used() -> None:
    given = halves()
    found = completed(DDRM, given, eta_b=0.0)
    assert colour_error(given, found) > 0.3
    assert known_error(given, found) > 0.5


def test_without_new_noise_the_first_noise_decides_the_hole() -> None:
    given = Batch(torch.zeros(200, 3, SIDE, SIDE), torch.ones(200, 1, SIDE, SIDE))
    start = Noise(range(200)).normal(3, SIDE, SIDE)
    kept, drawn = (completed(DDRM, given, separate, eta=eta) for eta in (0.0, 1.0))
    assert torch.corrcoef(torch.stack([start.flatten(), kept.flatten()]))[0, 1] > 0.999
    assert torch.corrcoef(torch.stack([start.flatten(), drawn.flatten()]))[0, 1].abs() < 0.05


def test_holes_are_as_wide_as_the_pictures() -> None:
    """Where pixels tell nothing of each other. deepinv 0.5.0 draws its noise a root of 2 too small."""
    given = halves(200)
    found = completed(DDRM, given, separate, steps=1000, eta=0.3)
    inside = found[given.mask.expand_as(found) == 1]
    assert float(inside.std()) == pytest.approx(SPREAD, rel=0.05)
    assert float(inside.mean()) == pytest.approx(0, abs=0.02)


def test_of_new_noise_alone_it_is_diffpir_that_trusts_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the start, which has the known pixels in it as far as the last step has them: 0.6 %."""
    monkeypatch.setattr(baselines.diffpir, "spaced", lambda count: Diffusion.linear().respaced(count))
    given = halves()
    one, other = completed(DDRM, given, steps=20, eta=1.0), completed(DiffPIR, given, steps=20, zeta=1.0, sigma=0.0)
    torch.testing.assert_close(one, other, atol=0.01, rtol=0)
    assert (one - completed(DDRM, given, steps=20, eta=0.5)).abs().max() > 0.01


def test_each_picture_has_its_mask_and_its_noise() -> None:
    given = halves()
    found = completed(DDRM, given)
    for i in (0, 5):
        alone = completed(DDRM, Batch(given.image[i : i + 1], given.mask[i : i + 1]), first=i)
        torch.testing.assert_close(alone[0], found[i], atol=1e-5, rtol=0)
