"""DiffPIR: its steps, its trust in what is known, and what it makes of holes where the network is exact."""

from __future__ import annotations

import pytest
import torch

from baselines.diffpir import DiffPIR, spaced
from bench.method import Batch
from tests.baselines.test_ddrm import colour_error, completed, halves, known_error


@pytest.mark.parametrize("zeta", [0.1, 1.0])
def test_holes_take_the_colour_of_what_is_known_and_known_pixels_stay(zeta: float) -> None:
    given = halves()
    found = completed(DiffPIR, given, zeta=zeta, steps=20)
    assert colour_error(given, found) < 0.05
    assert colour_error(given, torch.zeros_like(found)) > 0.4
    assert known_error(given, found) < 0.002


def test_trust_falls_with_the_noise_in_what_is_known_and_with_the_weight_of_what_is_told() -> None:
    given = halves()
    exact, noisy, hardly, weighed = (
        known_error(given, completed(DiffPIR, given, **options))
        for options in ({"sigma": 0.0}, {"sigma": 0.05}, {"sigma": 100.0}, {"sigma": 0.05, "weight": 100.0})
    )
    assert exact == 0
    assert 0.001 < noisy < weighed < hardly
    assert colour_error(given, completed(DiffPIR, given, sigma=100.0)) > 0.3


@pytest.mark.parametrize("count", [2, 20, 100, 400])
def test_steps_are_finer_where_there_is_little_noise(count: int) -> None:
    times = spaced(count).times
    assert len(times) == count and times[0] == 0 and times[-1] == 999
    gaps = [int(gap) for gap in times[1:] - times[:-1]]
    assert min(gaps) > 0
    assert count == 2 or gaps[-1] == max(gaps) > 4 * gaps[0]


def test_each_picture_has_its_mask_and_its_noise() -> None:
    given = halves()
    found = completed(DiffPIR, given, steps=20)
    for i in (0, 5):
        alone = completed(DiffPIR, Batch(given.image[i : i + 1], given.mask[i : i + 1]), first=i, steps=20)
        torch.testing.assert_close(alone[0], found[i], atol=1e-5, rtol=0)
