"""The authors' outputs, and faces."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import golden
from bench.data import synthfaces

GOLDEN = Path(__file__).parents[3] / "golden" / "modalities.npz"


@pytest.fixture(scope="module")
def file() -> golden.File:
    return golden.File.load(GOLDEN)


@pytest.fixture(scope="module")
def image(file: golden.File) -> torch.Tensor:
    return ((golden.Inputs(file.seed).image() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def faces(size: int, count: int = 8) -> torch.Tensor:
    return synthfaces.render(range(count), size, 0).images.add(1).mul(127.5).round().byte()
