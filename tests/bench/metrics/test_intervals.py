"""Intervals and tests over images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.metrics import intervals


def test_bootstrap_equals_scipy():
    values = np.random.default_rng(0).gamma(2, size=400)
    low, high = intervals.bootstrap(values, resamples=20_000)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    assert low == pytest.approx(expected.low, rel=0.005)
    assert high == pytest.approx(expected.high, rel=0.005)


def test_bootstrap_covers_the_mean():
    rng = np.random.default_rng(1)
    hits = [low <= 1 <= high for low, high in (intervals.bootstrap(rng.exponential(size=80)) for _ in range(200))]
    assert 0.88 <= np.mean(hits) <= 0.99


def test_bootstrap_is_repeatable_and_paired(monkeypatch):
    values = np.random.default_rng(2).normal(size=50)
    assert intervals.bootstrap(values) == intervals.bootstrap(values)
    shifted = intervals.bootstrap(values + 3)  # the same images are drawn for every method
    assert np.array(shifted) - 3 == pytest.approx(intervals.bootstrap(values))


def test_bootstrap_without_spread_or_sense():
    assert intervals.bootstrap([2.0, 2.0, 2.0]) == (2.0, 2.0)
    for values in ([], [1.0], [1.0, math.inf], [1.0, math.nan]):
        assert all(math.isnan(edge) for edge in intervals.bootstrap(values))


def test_paired_test_agrees_with_the_t_test():
    rng = np.random.default_rng(3)
    base = rng.normal(size=100)
    for shift in (0.0, 0.05, 0.15):
        other = base + shift + 0.3 * rng.normal(size=100)
        expected = stats.ttest_rel(base, other).pvalue
        assert intervals.paired_test(base, other) == pytest.approx(expected, abs=0.02)


def test_paired_test_edges():
    assert intervals.paired_test([1.0, 2.0], [1.0, 2.0]) == 1
    assert intervals.paired_test([math.nan], [1.0]) == 1
    assert 0 < intervals.paired_test(np.zeros(50), np.ones(50)) < 0.001


def test_paired_test_keeps_its_level():
    rng = np.random.default_rng(4)
    p = [intervals.paired_test(rng.normal(size=30), rng.normal(size=30), resamples=500) for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) < 0.09


def test_holm_by_hand():
    assert intervals.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert intervals.holm([0.9, 0.8]).tolist() == [1, 1]
    assert intervals.holm([]).tolist() == []


def test_compare_names_every_two_methods():
    rng = np.random.default_rng(5)
    base = rng.normal(size=60)
    found = intervals.compare({"a": base, "b": base + 1, "c": base + 0.001 * rng.normal(size=60)})
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"] < 0.01 < found["a", "c"]
