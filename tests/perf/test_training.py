"""A training step of some methods in their smallest presets: the loop and the networks, without the data.

Run with `pytest tests/perf/test_training.py -n 0 --benchmark-only`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.data import dataset
from bench.profile.cell import create
from bench.train import Budget, Loader, Run

SIZE, BATCH = 64, 4


@pytest.mark.parametrize("slug", ["aot", "gconv", "grig", "lama", "exegan"])
def test_training_step(benchmark: BenchmarkFixture, slug: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = create(slug, "tiny")
    budget = Budget(1, BATCH, 0, device="cpu", precision="32-true")
    run = Run(method, method.stages("embedded"), tmp_path, budget)
    faces = dataset.prepare_synthfaces(2 * BATCH, SIZE, 0, tmp_path)
    batch = Loader(faces, range(len(faces)), run.stages[0], budget).batch(0)
    losses = benchmark.pedantic(run.iterate, (batch,), rounds=5, warmup_rounds=1)
    assert all(value == value for value in losses.values())
