"""U-IDS and P-IDS against scikit-learn's LinearSVC and the golden file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from bench.metrics import discriminative
from bench.metrics.score import Pair


def sets(n, d, seed=0, closeness=0.7):
    rng = np.random.default_rng(seed)
    real = rng.standard_normal((n, d))
    fake = closeness * real + (1 - closeness) * 1.5 * rng.standard_normal((n, d)) + 0.05
    return torch.from_numpy(fake).float(), torch.from_numpy(real).float()


def reference(fake, real, **options):
    x = torch.cat([fake, real]).double().numpy()
    y = np.repeat([0, 1], [len(fake), len(real)])
    decision = LinearSVC(dual=False, **options).fit(x, y).decision_function(x)
    return decision[: len(fake)], decision[len(fake) :]


@pytest.mark.parametrize(("n", "d"), [(300, 20), (300, 200), (100, 300), (20, 500)])
def test_decisions_and_counts_equal_linear_svc(n, d):
    fake, real = sets(n, d)
    ours = torch.cat(discriminative.decisions(fake, real)).numpy()
    exact = np.concatenate(reference(fake, real, tol=1e-10, max_iter=10_000))
    np.testing.assert_allclose(ours, exact, atol=2e-6)
    below, above = reference(fake, real)
    pair = Pair(fake, real)
    assert discriminative.unpaired(pair).value == ((below > 0).sum() + (above <= 0).sum()) / (2 * n)
    assert discriminative.paired(pair).value == (below > above).mean()


@pytest.mark.slow
def test_counts_at_the_size_of_the_issue():
    """2 x 2,000 rows of 2,048 non-negative, correlated features, as Inception gives them."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((2048, 2048)) * np.exp(-np.arange(2048) / 200)[:, None]

    def draw():
        rows = rng.standard_normal((2000, 2048))
        return np.maximum(rows @ mix * 0.05 + 0.1 * rng.standard_normal((2000, 2048)) + 0.3, 0)

    real = draw()
    fake = torch.from_numpy(0.6 * real + 0.4 * draw()).float()
    real = torch.from_numpy(real).float()
    below, above = reference(fake, real)
    ours = discriminative.decisions(fake, real)
    assert int((ours[0] > 0).sum() + (ours[1] <= 0).sum()) == (below > 0).sum() + (above <= 0).sum()
    assert int((ours[0] > ours[1]).sum()) == (below > above).sum()


def test_the_solution_is_the_minimum():
    """The gradient of the objective in the docstring vanishes."""
    fake, real = sets(80, 30)
    x, y = torch.cat([fake, real]).double(), torch.cat([-torch.ones(80), torch.ones(80)]).double()
    w, bias = discriminative.fit(x, y > 0)
    w, bias = w.requires_grad_(), bias.requires_grad_()
    loss = (w.square().sum() + bias.square()) / 2 + (1 - y * (x @ w + bias)).clamp(min=0).square().sum()
    loss.backward()
    assert torch.cat([w.grad, bias.grad[None]]).norm() < 1e-5 * loss.item()


@pytest.mark.parametrize("scale", [1e-4, 1e3])
def test_extreme_scales_converge(scale):
    fake, real = sets(150, 40)
    ours = torch.cat(discriminative.decisions(fake * scale, real * scale)).numpy()
    np.testing.assert_allclose(
        ours, np.concatenate(reference(fake * scale, real * scale, tol=1e-12, max_iter=100_000)), atol=1e-4
    )


def test_golden(golden):
    outputs, inputs = golden("ids")
    real = inputs.latent(600, 48)
    fake = 1.15 * inputs.latent(600, 48, offset=10) + 0.06
    pair = Pair(fake, real)
    assert discriminative.unpaired(pair).value == outputs["scores"][0]
    assert discriminative.paired(pair).value == outputs["scores"][1]
    below, above = discriminative.decisions(fake, real)
    np.testing.assert_allclose(torch.cat([above, below])[::8], outputs["decision"], atol=1e-4)  # liblinear stops early
    near = Pair(0.1 * fake + 0.9 * real, real)
    scores = np.array([discriminative.unpaired(near).value, discriminative.paired(near).value])
    assert ((scores * 1200).round() == (outputs["scores_near"] * 1200).round()).all()


def test_small_sets_of_one_distribution_are_separated():
    """The reason for "n/a" below a smallest n: in 200 dimensions 60 pairs of one distribution score 0, not 0.5."""
    g = torch.Generator().manual_seed(0)
    pair = Pair(torch.randn(60, 200, generator=g), torch.randn(60, 200, generator=g))
    assert discriminative.unpaired(pair).value == 0
    assert 0.35 < discriminative.cross_validated(pair).value < 0.65


def test_cross_validation_equals_scikit_learn_fold_by_fold():
    fake, real = sets(60, 12)
    order = np.random.Generator(np.random.PCG64(0)).permutation(60)
    wrong = 0
    for fold in range(5):
        test = order[fold::5]
        rest = np.setdiff1d(order, test)
        x = np.concatenate([fake[rest], real[rest]])
        model = LinearSVC(dual=False, tol=1e-10, max_iter=10_000).fit(x, np.repeat([0, 1], len(rest)))
        wrong += (model.decision_function(fake[test]) > 0).sum() + (model.decision_function(real[test]) <= 0).sum()
    assert discriminative.cross_validated(Pair(fake, real)).value == wrong / 120


def test_identical_features_are_chance():
    same = torch.ones(20, 5)
    assert discriminative.unpaired(Pair(same, same)).value == 0.5
    assert discriminative.paired(Pair(same, same)).value == 0
