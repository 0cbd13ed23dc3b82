"""A small random network in the place of the embedded one, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.golden import Inputs
from bench.metrics.images import composite
from bench.nn import embedded

GOLDEN = Path(__file__).parents[2] / "golden"


class RandomNetwork(nn.Module):
    """The interface of `bench.nn.embedded`; counts the images that it sees."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fine, self.coarse = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)
        self.heads = nn.ModuleDict({"features": nn.Linear(32, 256), "identity": nn.Linear(32, 128)})
        self.points = nn.Linear(32, 136)
        self.seen = 0

    def forward(self, images: Tensor) -> dict:
        self.seen += len(images)
        fine = F.relu(self.fine(images))
        coarse = F.relu(self.coarse(fine))
        pooled = coarse.mean(dim=(2, 3))
        return {
            "features": self.heads["features"](pooled),
            "identity": F.normalize(self.heads["identity"](pooled), dim=1),
            "landmarks": self.points(pooled).sigmoid().view(-1, 68, 2),
            "parsing": coarse[:, :19],
            "maps": [fine, coarse],
        }


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> RandomNetwork:
    """The random network as the embedded one."""
    net = RandomNetwork()
    monkeypatch.setattr(embedded, "load", lambda role: net)
    monkeypatch.setattr(embedded, "fingerprint", lambda role: f"embedded-{role}-random")
    return net


def pictures(n: int, size: int = 64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Completed images, originals (uint8) and masks (float) with a square hole."""
    rng = np.random.default_rng(seed)
    low = torch.from_numpy(rng.uniform(-1, 1, (n, 3, 8, 8))).float()
    truth = F.interpolate(low, size=(size, size), mode="bicubic").clamp(-1, 1)
    masks = torch.zeros(n, 1, size, size)
    masks[:, :, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
    noise = torch.from_numpy(rng.standard_normal(truth.shape)).float()
    return composite(truth + 0.2 * noise, truth, masks), composite(truth, truth, masks), masks


@pytest.fixture(scope="session")
def golden() -> Callable[[str], tuple[dict[str, np.ndarray], Inputs]]:
    """Outputs of a golden file by name, and the inputs of its seed."""

    def load(name: str) -> tuple[dict[str, np.ndarray], Inputs]:
        with np.load(GOLDEN / f"{name}.npz") as archive:
            return {key[4:]: archive[key] for key in archive.files if key.startswith("out_")}, Inputs(1)

    return load
