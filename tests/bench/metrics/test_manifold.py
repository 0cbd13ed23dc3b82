"""Precision, recall, density and coverage against prdc, and by hand."""

from __future__ import annotations

import pytest
import torch

from bench.metrics import manifold, measure
from bench.metrics.score import Pair

from .conftest import pictures

SCORES = ("precision", "recall", "density", "coverage")


def sets(n: int, m: int, d: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(n + m)
    return torch.randn(n, d, generator=g) * 0.8 + 0.3, torch.randn(m, d, generator=g)


def scores(completed: torch.Tensor, reference: torch.Tensor, paired: bool = True) -> dict[str, float]:
    pair = Pair(completed, reference, paired)
    return {name: getattr(manifold, name)(pair).value for name in SCORES}


@pytest.mark.parametrize(("n", "m"), [(60, 60), (45, 90), (120, 40)])
def test_equal_prdc(monkeypatch, n, m):
    prdc = pytest.importorskip("prdc")
    monkeypatch.setattr(manifold, "CHUNK", 32)
    ours, theirs = sets(n, m)
    expected = prdc.compute_prdc(theirs.double().numpy(), ours.double().numpy(), nearest_k=manifold.K)
    assert scores(ours, theirs, paired=False) == pytest.approx(expected, abs=1e-12)
    assert 0.1 < min(expected.values()) < 0.9  # the sets overlap in part


def test_by_the_definition():
    """The same without matrices: one point after another."""
    ours, theirs = (points.double() for points in sets(30, 25, 3))

    def radius(points, i):
        return sorted((points[i] - other).norm().item() for j, other in enumerate(points) if j != i)[manifold.K - 1]

    balls = [[(a - b).norm().item() < radius(theirs, j) for j, b in enumerate(theirs)] for a in ours]
    reverse = [[(a - b).norm().item() < radius(ours, i) for i, a in enumerate(ours)] for b in theirs]
    covered = [any(row[j] for row in balls) for j in range(len(theirs))]
    assert scores(ours, theirs) == pytest.approx(
        {
            "precision": sum(map(any, balls)) / 30,
            "recall": sum(map(any, reverse)) / 25,
            "density": sum(map(sum, balls)) / 30 / manifold.K,
            "coverage": sum(covered) / 25,
        }
    )


def test_copies_among_completions_count_once():
    """Each picture six times leaves balls of no size, so that prdc's recall is 0; one many times is no better one."""
    ours, theirs = sets(40, 40)
    for copied in (ours.repeat(6, 1), torch.cat([ours, ours[:1].expand(60, -1)])):
        assert scores(copied, theirs) == scores(ours, theirs)
        score = manifold.precision(Pair(copied, theirs))
        left = len(copied) - 40
        assert score.note == f"{left} completions are copies of others, and are left out"
        assert score.contributions is None
    assert scores(ours, theirs)["recall"] > 0.3


def test_prdc_itself_is_misled_by_copies():
    prdc = pytest.importorskip("prdc")
    ours, theirs = (points.double() for points in sets(40, 40))
    assert prdc.compute_prdc(theirs.numpy(), ours.repeat(6, 1).numpy(), nearest_k=manifold.K)["recall"] == 0


def test_contributions_are_those_of_the_images():
    ours, theirs = sets(50, 50)
    for name in SCORES:
        score = getattr(manifold, name)(Pair(ours, theirs))
        assert score.contributions.mean().item() == pytest.approx(score.value, rel=1e-12) and not score.note
    far = ours.clone()
    far[7] += 100
    assert manifold.precision(Pair(far, theirs)).contributions[7] == 0
    assert manifold.density(Pair(far, theirs)).contributions[7] == 0


def test_originals_are_what_they_are(network):
    """Every original lies in its own ball; with too few images for k nothing is said."""
    truth = pictures(12, 32)[1]
    names = [f"{name}@embedded" for name in SCORES]
    result = measure(truth, truth, None, names)
    assert [result.value(name) for name in names[:2]] == [1, 1]
    few = measure(truth[:9], truth[:9], None, names)
    assert {row["note"] for row in few.rows} == {"n/a below n = 10"}
