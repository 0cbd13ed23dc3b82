"""A training step of some methods in their smallest presets: the loop and the networks.

Run with `pytest tests/perf/test_training.py -n 0 --benchmark-only`; what a step takes of the CPU time of an earlier build
with `pytest tests/perf/test_training.py -n 0 -m slow -s`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.data import dataset
from bench.profile.cell import create
from bench.train import Budget, Loader, Run
from tests.perf import before

SIZE, BATCH = 64, 4

STEPS = """
import tempfile, time, torch
from bench.data import dataset
from bench.profile.cell import create
from bench.train import Budget, Loader, Run

torch.set_num_threads(1)
torch.manual_seed(0)
method = create("{slug}", "tiny")
budget = Budget({steps}, 8, 0, device="cpu", precision="32-true")
folder = tempfile.mkdtemp()  # gone with the run
run = Run(method, method.stages("embedded"), folder, budget)
faces = dataset.prepare_synthfaces(16, 64, 0, folder)
loader = Loader(faces, range(len(faces)), run.stages[0], budget)
spent = []
for step in range({steps}):
    begin = time.process_time()
    run.iterate(loader.batch(step))
    spent.append(time.process_time() - begin)
print(min(spent[1:]))  # the first one also sets up what the others reuse
"""


@pytest.mark.slow
@pytest.mark.parametrize(("slug", "most"), [("grig", 0.6), ("aot", 0.85)])
def test_a_step_of_quickstart_beside_an_earlier_build(slug: str, most: float) -> None:
    """The step of the quick start (64 px, batches of 8, embedded features) with its batch and its optimisers."""
    share = before.ratio(STEPS.format(slug=slug, steps=5))
    print(f"{slug}: a training step takes {share:.2f} of the time that {before.COMMIT} took")
    assert share <= most


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
