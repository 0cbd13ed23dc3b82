"""The ID-MRF loss on small numbers."""

from __future__ import annotations

import math

import torch

from bench.nn.mrf import IDMRFLoss, closeness, id_mrf


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(generated: torch.Tensor, target: torch.Tensor) -> list[float]:
    """Closeness of each target of one picture, one pair at a time."""
    ours = [generated[:, y, x] - target[:, y, x].mean() for y in range(3) for x in range(4)]
    theirs = [target[:, y, x] - target[:, y, x].mean() for y in range(3) for x in range(4)]
    best = [0.0] * len(theirs)
    for g in ours:
        distances = [(1 - float(g @ t / (g.norm() * t.norm()))) / 2 for t in theirs]
        shares = [math.exp((1 - d / (min(distances) + 1e-5)) / 0.5) for d in distances]
        best = [max(b, share / sum(shares)) for b, share in zip(best, shares, strict=True)]
    return best


def test_equals_the_definition() -> None:
    generated, target = features(0), features(1)
    expected = torch.tensor([by_hand(generated[i], target[i]) for i in range(2)], dtype=torch.float64)
    torch.testing.assert_close(closeness(generated, target), expected)
    assert torch.isclose(id_mrf(generated, target), -expected.mean(1).log().sum())


def test_every_target_wants_a_feature_of_its_own() -> None:
    """One feature everywhere is close to one target only, however good it is: diversity is rewarded."""
    target = features()
    same = target[:, :, :1, :1].expand_as(target)
    assert id_mrf(target, target) < 0.01
    assert id_mrf(same, target) > 1


def test_mirrored_maps_give_the_same_and_flat_maps_are_finite() -> None:
    generated, target = features(0), features(1)
    assert torch.isclose(id_mrf(generated.flip(2, 3), target.flip(2, 3)), id_mrf(generated, target))
    flat = torch.zeros_like(target, requires_grad=True)
    id_mrf(flat, torch.zeros_like(target)).backward()
    assert flat.grad is not None and flat.grad.isfinite().all()


def test_on_the_embedded_network() -> None:
    loss = IDMRFLoss("embedded").train()
    assert not loss.network.training
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert loss(image, image) < loss(torch.zeros_like(image), image)
