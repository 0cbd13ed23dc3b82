"""KID against torchmetrics."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from bench.metrics import kernel
from bench.metrics.score import Pair


def sets(n, m, d=24):
    g = torch.Generator().manual_seed(n + m)
    return torch.randn(n, d, generator=g) * 1.2 + 0.1, torch.randn(m, d, generator=g)


def test_equals_torchmetrics_with_one_subset_of_all_images():
    a, b = sets(90, 90)
    assert kernel.score(Pair(a, b)).value == pytest.approx(poly_mmd(b.double(), a.double()).item(), rel=1e-10)


def test_other_sizes_by_the_definition(monkeypatch):
    monkeypatch.setattr(kernel, "CHUNK", 16)
    a, b = (x.double() for x in sets(40, 70))
    k = lambda x, y: (x @ y.T / 24 + 1) ** 3  # noqa: E731
    within = [(k(x, x).sum() - k(x, x).diagonal().sum()) / (len(x) * (len(x) - 1)) for x in (a, b)]
    expected = within[0] + within[1] - 2 * k(a, b).mean()
    score = kernel.score(Pair(a, b, paired=False))
    assert score.value == pytest.approx(expected.item(), rel=1e-10)
    assert score.contributions.shape == (40,)
    assert score.contributions.mean().item() == pytest.approx(score.value, rel=1e-8)


def test_unbiased_for_equal_distributions():
    g = torch.Generator().manual_seed(0)
    draws = [Pair(torch.randn(30, 8, generator=g), torch.randn(30, 8, generator=g)) for _ in range(200)]
    values = torch.tensor([kernel.score(pair).value for pair in draws])
    assert abs(values.mean()) < 3 * values.std() / 200**0.5
    assert (values < 0).any()
