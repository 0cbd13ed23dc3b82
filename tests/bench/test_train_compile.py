"""`train.compile`: a key of suites that is part of a training job's identity."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest
from torch import nn

from bench import jobs, suite
from tests.bench.test_distributed import call
from tests.bench.test_train import trained

compiler = pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on the CPU")
SUITE = {
    "suite": "compiled",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 2}],
    "methods": ["aot"],
    "conditions": ["center/25"],
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"]},
}


def test_compiled_training_is_another_job(tmp_path: Path) -> None:
    """Compiling changes the last bits of a result; the default is not to."""

    def trains(**train: bool) -> list[str]:
        made = jobs.plan(suite.parse(SUITE | {"train": {"features": "embedded"} | train}, "here"), tmp_path)
        return [job.id for job in made.jobs if job.kind == "train"]

    assert trains() == trains(compile=False)
    assert trains() != trains(compile=True)


@pytest.mark.slow
@compiler
@pytest.mark.parametrize("slug", ["aot", "exegan", "grig", "lama"])
def test_methods_train_alike(slug: str, tmp_path: Path) -> None:
    """Spectral and batch norm that change between two passes, penalties on gradients, Fourier transforms."""
    found = {}
    for mode in ("eager", "compiled"):
        done = call(sys.executable, "-m", "tests.bench.train_tiny", tmp_path / f"{mode}.json", mode, slug)
        assert done.returncode == 0, done.stderr
        (found[mode],) = json.loads((tmp_path / f"{mode}.json").read_text()).values()
    for ours, plain in zip(found["compiled"], found["eager"], strict=True):
        assert ours == pytest.approx(plain, rel=1e-6)


@pytest.mark.slow
@compiler
def test_compiled_networks_train_alike(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x)  # a compiled one draws other numbers

    def losses(name: str, compiled: bool) -> list[float]:
        trained(tmp_path / name, compiled=compiled, steps=8)
        with (tmp_path / name / "losses.csv").open() as handle:
            return [float(row["value"]) for row in csv.DictReader(handle)]

    assert losses("compiled", True) == pytest.approx(losses("eager", False), rel=1e-4)
