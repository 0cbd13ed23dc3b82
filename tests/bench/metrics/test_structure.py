"""DISTS against its package, on made-up weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import vgg

from bench import weights
from bench.metrics import extractors, measure
from bench.metrics.structure import distance
from bench.nn.dists import CHANNELS

from .conftest import pictures


@pytest.fixture
def trunk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> nn.Module:
    """Random VGG-16 without its head, and random channel weights, supplied as the official files are."""
    torch.manual_seed(0)
    network = nn.Module()
    network.features = vgg.make_layers(vgg.cfgs["D"], batch_norm=False).eval()
    for value in network.state_dict().values():
        value.normal_(0, (2 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.05)
    torch.save(network.state_dict() | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "vgg16.pth")
    torch.save({name: torch.rand(1, sum(CHANNELS), 1, 1) for name in ("alpha", "beta")}, tmp_path / "dists.pth")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / f"{name}.pth")
    return network


def test_equals_the_package(trunk, monkeypatch, tmp_path):
    package = pytest.importorskip("DISTS_pytorch.DISTS_pt")
    monkeypatch.setattr(package.models, "vgg16", lambda pretrained: trunk)
    reference = package.DISTS(load_weights=False).eval()
    for name, value in torch.load(tmp_path / "dists.pth", weights_only=True).items():
        getattr(reference, name).data = value
    completed, truth, _ = pictures(3, 72)
    expected = reference(*(images.float() / 255 for images in (completed, truth)))
    found = measure(completed, truth, None, ["dists"])
    assert found.per_image["value"].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert expected.min() > 0.005 and expected.max() < 1
    assert measure(truth, truth, None, ["dists"]).value("dists") == pytest.approx(0, abs=1e-6)


def test_by_the_equations(trunk):
    """Equations 5 to 7 with NumPy's means and covariances, one channel after another."""
    completed, truth, _ = pictures(1, 48)
    network = extractors.load("dists")
    x, y = (extractors.extract(network, images, batch=1) for images in (completed, truth))
    beta, alpha = x["weights"][0, :, :, 0].tolist()
    assert sum(alpha) + sum(beta) == pytest.approx(1, abs=1e-5)
    similarity, number = 0.0, 0
    for ours, theirs in zip(x["maps"], y["maps"], strict=True):
        for a, b in zip(ours[0].double().numpy(), theirs[0].double().numpy(), strict=True):
            texture = (2 * a.mean() * b.mean() + 1e-6) / (a.mean() ** 2 + b.mean() ** 2 + 1e-6)
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            structure = (2 * covariance + 1e-6) / (a.var() + b.var() + 1e-6)
            similarity += alpha[number] * texture + beta[number] * structure
            number += 1
    assert number == sum(CHANNELS) == 1475
    assert distance(x, y, None).item() == pytest.approx(1 - similarity, abs=1e-5)
