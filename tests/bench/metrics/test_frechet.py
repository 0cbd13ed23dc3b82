"""Fréchet distance against SciPy's matrix root, pytorch-fid's formula and the golden file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from bench.errors import BenchError
from bench.metrics import frechet
from bench.metrics.frechet import Moments
from bench.metrics.score import Pair


def sample(n, d, seed=0, shift=0.0, rank=None):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, rank or d)) @ np.random.default_rng(99).standard_normal((rank or d, d))
    return torch.from_numpy(rows / np.sqrt(d) * (1 + shift) + shift)


def reference(a, b):
    """pytorch-fid's formula with SciPy's root."""
    a, b = a.numpy(), b.numpy()
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.trace(sqrtm(s1 @ s2).real)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * root


@pytest.mark.parametrize(("n", "m"), [(300, 300), (300, 200), (500, 70)])
def test_full_rank_equals_scipy(n, m):
    a, b = sample(n, 48, 1, 0.1), sample(m, 48, 2)
    assert frechet.distance(a, b) == pytest.approx(reference(a, b), rel=1e-8)


def exact_low_rank(a, b):
    """The nuclear norm of the cross product, in extended steps: an independent exact formula."""
    a, b = a - a.mean(0), b - b.mean(0)
    cross = (a @ b.T) / np.sqrt((len(a) - 1) * (len(b) - 1))
    return torch.linalg.matrix_norm(cross, "nuc").item()


@pytest.mark.parametrize(
    ("n", "m", "rank"), [(20, 20, None), (10, 200, None), (200, 10, None), (100, 100, 7), (30, 400, 5)]
)
def test_rank_deficient_covariances_are_exact(n, m, rank):
    a, b = sample(n, 64, 1, 0.1, rank), sample(m, 64, 2, rank=rank)
    mean = (a.mean(0) - b.mean(0)).square().sum().item()
    traces = sum(torch.cov(x.T).trace().item() for x in (a, b))
    assert frechet.distance(a, b) == pytest.approx(mean + traces - 2 * exact_low_rank(a, b), rel=1e-6)


def test_scores_equal_distances_in_every_regime():
    for n, m in ((200, 200), (20, 20), (20, 300), (300, 20)):
        a, b = sample(n, 40, 1, 0.2), sample(m, 40, 2)
        for pair in (Pair(a, b, paired=n == m), Pair(a, Moments.of(b), paired=False)):
            score = frechet.score(pair)
            assert score.value == pytest.approx(frechet.distance(a, b), rel=1e-6)
            assert score.contributions.shape == (n,)
            assert score.contributions.mean().item() == pytest.approx(score.value, rel=1e-9)


def weighted(a, b, weights):
    """Squared Fréchet distance of two sets whose photographs have weights with sum 1."""
    roots, means = [], []
    for rows in (a, b):
        means.append(weights @ rows)
        roots.append((weights * len(rows) / (len(rows) - 1)).sqrt()[:, None] * (rows - means[-1]))
    traces = sum(root.square().sum() for root in roots)
    return (means[0] - means[1]).square().sum() + traces - 2 * torch.linalg.matrix_norm(roots[0] @ roots[1].T, "nuc")


@pytest.mark.parametrize("n", [12, 120])
def test_contributions_are_derivatives(n):
    """A contribution is FID plus its derivative when the photograph's weight grows."""
    a, b = sample(n, 30, 1, 0.1), sample(n, 30, 2)
    contributions = frechet.score(Pair(a, b)).contributions
    even, step = torch.full((n,), 1 / n, dtype=torch.float64), 1e-6
    for i in range(0, n, 5):
        toward = torch.zeros(n, dtype=torch.float64)
        toward[i] = 1
        values = [weighted(a, b, even + sign * step * (toward - even)) for sign in (1, -1)]
        derivative = (values[0] - values[1]) / (2 * step)
        assert (contributions[i] - contributions.mean()).item() == pytest.approx(derivative.item(), rel=1e-4, abs=1e-5)


def test_golden(golden):
    outputs, inputs = golden("ids")
    real = inputs.latent(600, 48)
    fake = 1.15 * inputs.latent(600, 48, offset=10) + 0.06
    assert frechet.distance(fake, real) == pytest.approx(outputs["scores"][2], rel=1e-10)


def test_identical_sets_have_distance_zero():
    for n in (10, 200):
        a = sample(n, 32)
        assert frechet.distance(a, a) == pytest.approx(0, abs=1e-5)
        assert frechet.score(Pair(a, a)).value == pytest.approx(0, abs=1e-5)


def test_constant_features():
    a, b = torch.ones(5, 8), torch.zeros(50, 8)
    assert frechet.distance(a, b) == pytest.approx(8)
    assert frechet.score(Pair(b, a, paired=False)).value == pytest.approx(8)


def test_moments_merge_and_stream():
    rows = sample(9001, 12, 3, 5.0)
    parts = Moments()
    for chunk in rows.split(700):
        parts = parts + Moments.of(chunk)
    assert parts.n == 9001
    np.testing.assert_allclose(parts.mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(parts.scatter / 9000, torch.cov(rows.T), rtol=1e-9, atol=1e-12)


def test_large_offsets_lose_nothing():
    """Sums of squares would cancel here; centred statistics do not."""
    a, b = sample(400, 16, 1), sample(400, 16, 2, 0.1)
    assert frechet.distance(a + 1e5, b + 1e5) == pytest.approx(frechet.distance(a, b), rel=1e-5)


def test_mat_divides_by_n():
    a, b = sample(50, 16, 1, 0.2), sample(50, 16, 2)
    s1, s2 = (np.cov(x.numpy(), rowvar=False, ddof=0) for x in (a, b))
    shift = (a.mean(0) - b.mean(0)).square().sum().item()
    expected = shift + np.trace(s1) + np.trace(s2) - 2 * np.trace(sqrtm(s1 @ s2).real)
    score = frechet.score_mat(Pair(a, b))
    assert score.value == pytest.approx(expected, rel=1e-6)
    assert score.value != pytest.approx(frechet.distance(a, b), rel=1e-3)


def test_infinity_removes_most_of_the_bias():
    n, d = 200, 40
    a, b = sample(n, d, 1), sample(n, d, 2)
    biased, unbiased = frechet.distance(a, b), frechet.infinity(Pair(a, b)).value
    assert abs(unbiased) < 0.35 * biased  # the truth is 0


def test_one_image_is_an_error():
    with pytest.raises(BenchError, match="at least 2 images"):
        frechet.distance(torch.zeros(1, 4), torch.zeros(9, 4))


def test_interval_covers_the_expected_value():
    """95 % intervals from contributions, both where the covariance has full rank and where it has not."""
    for n, d in ((60, 12), (25, 80)):
        draws = [frechet.score(Pair(sample(n, d, 2 * s + 10, 0.1), sample(n, d, 2 * s + 11))) for s in range(60)]
        expected = np.mean([score.value for score in draws])
        errors = [1.96 * score.contributions.std().item() / n**0.5 for score in draws]
        covered = np.mean([abs(s.value - expected) <= e for s, e in zip(draws, errors, strict=True)])
        assert 0.85 <= covered <= 1
