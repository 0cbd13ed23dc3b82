"""Every pair of the compare page: the same numbers as `facebench compare`'s test gives, pair by pair."""

from __future__ import annotations

import numpy as np

from reports import significance
from reports.site.pairs import all_pairs


def test_pairs_are_those_of_the_paired_test() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 1)) + rng.normal(size=(60, 4)) * 0.3 + np.array([0, 0, 0.2, 1])
    made = all_pairs(values)
    for k, (a, b) in enumerate(zip(*np.triu_indices(4, 1), strict=True)):
        apart = values[:, b] - values[:, a]
        expected = [apart.mean(), *significance.interval(apart), significance.paired_bootstrap(apart[:, None])[0]]
        assert np.allclose(made[:, k], [*expected, 60], atol=1e-12)


def test_gaps_are_left_out_pair_by_pair() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(40, 3))
    values[:5, 1] = np.nan
    made = all_pairs(values)
    shared = np.isfinite(values[:, 1])
    apart = values[shared, 1] - values[shared, 0]
    assert np.allclose(made[:3, 0], [apart.mean(), *significance.interval(apart)])
    assert np.isclose(made[0, 1], (values[:, 2] - values[:, 0]).mean())
    assert made[4].tolist() == [35, 40, 35]


def test_infinite_values_are_not_left_out() -> None:
    """Neither of one image nor of all."""
    values = np.random.default_rng(1).normal(size=(40, 4))
    values[7, 1] = values[:, 2] = np.inf
    made = all_pairs(values)
    tested = np.isfinite(made[0])
    pairs = [pair for pair, there in zip(zip(*np.triu_indices(4, 1), strict=True), tested, strict=True) if there]
    assert pairs == [(0, 3)] and np.isnan(made[:4, ~tested]).all() and (made[4] == 40).all()


def test_few_images_make_no_claim_and_none_make_no_number() -> None:
    made = all_pairs(np.arange(12.0).reshape(6, 2))
    assert made[0, 0] == 1 and np.isnan(made[1:3, 0]).all() and made[3, 0] == 1
    none = all_pairs(np.full((20, 2), np.nan))
    assert np.isnan(none[:4]).all() and none[4] == 0
    assert all_pairs(np.empty((0, 3))).shape == (5, 3)
