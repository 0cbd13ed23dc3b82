"""Two processes that train together, on the CPU by gloo."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench import distributed, registry
from bench.batch import Noise
from bench.errors import BenchError
from bench.train import Loader
from tests.bench.test_train import Pictures, Toy, budget, trained

ROOT = Path(__file__).parents[2]
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
TOY = """
import sys
from pathlib import Path
import torch
from bench import distributed
from tests.bench.test_train import trained

torch.set_num_threads(1)
toy = trained(Path(sys.argv[1]))
torch.save(toy.state_dict(), f"{sys.argv[1]}/rank{distributed.world().rank}.pt")
distributed.leave()
"""
SUITE = """
suite: two
size: 64
data: [{name: synthfaces, train: 16, test: 8}]
methods: [mean, aot]
conditions: [center/25]
train: {steps: 4, batch: 4, features: embedded, precision: 32-true}
metrics: [l1@hole]
report: {main: [l1@hole], samples: 1}
"""


def call(*command: str | Path) -> subprocess.CompletedProcess:
    here = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT, env=os.environ | here)


def losses(path: Path) -> list[float]:
    with path.open() as handle:
        return [float(row["value"]) for row in csv.DictReader(handle)]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Same losses and weights as one process with the same batch, up to rounding; both processes end alike."""
    alone = trained(tmp_path / "one").state_dict()
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "two").mkdir()
    done = call(*TWO, tmp_path / "toy.py", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"two/rank{rank}.pt") for rank in range(2))
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-7)
        assert torch.equal(first[name], second[name])
    assert losses(tmp_path / "two/losses.csv") == pytest.approx(losses(tmp_path / "one/losses.csv"), rel=1e-5)


def compare(slugs: Sequence[str], folder: Path) -> None:
    """Two processes have the losses of one."""
    found = []
    for start in ((sys.executable,), TWO):
        path = folder / f"{len(start)}.json"
        done = call(*start, "-m", "tests.bench.train_tiny", path, "eager", *slugs)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(path.read_text()))
    for slug in slugs:
        for ours, alone in zip(*(losses[slug] for losses in found), strict=True):
            assert ours == pytest.approx(alone, rel=1e-7), slug


def test_losses_that_look_at_several_images(tmp_path: Path) -> None:
    """The area of all holes; another's image, minibatch deviation, path lengths; a pool; dropout and batch norms."""
    compare(["aot", "exegan", "e4e", "arcface"], tmp_path)


@pytest.mark.slow
def test_all_methods_on_two_processes(tmp_path: Path) -> None:
    methods = {slug: entry.load() for slug, entry in registry.entries().items()}
    compare([slug for slug, method in methods.items() if "tiny" in method.presets and method.trainable()], tmp_path)


@pytest.mark.slow
def test_a_suite_on_two_devices(tmp_path: Path) -> None:
    """The command starts the processes itself; losses and results are those of one process."""
    (tmp_path / "two.yaml").write_text(SUITE)
    found = {}
    for devices in ("1", "2"):
        out = tmp_path / devices
        done = call(
            Path(sys.executable).with_name("facebench"), "run", tmp_path / "two.yaml", "--device", "cpu",
            "--devices", devices, "--workers", "0", "--out", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (log,) = out.glob("jobs/train-*/losses.csv")
        found[devices] = losses(log), pd.read_parquet(out / "two/results.parquet")["value"].tolist(), log.parent.name
    assert found["2"][0] == pytest.approx(found["1"][0], rel=1e-4)
    assert found["2"][1] == pytest.approx(found["1"][1], rel=1e-4)
    assert found["2"][2] == found["1"][2]  # the same job, by the same identity


def test_ranks_load_slices_of_the_same_batch() -> None:
    stage = Toy().stages()[0]
    whole = Loader(Pictures(), range(10), stage, budget()).batch(3)
    parts = [Loader(Pictures(), range(10), stage, budget(), rank, 2).batch(3) for rank in range(2)]
    for name in ("image", "mask"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_ranks_draw_the_noise_of_their_images() -> None:
    whole = Noise.shared(7, 6)
    parts = [Noise.shared(7, 2, rank=rank, ranks=3) for rank in range(3)]
    for draw in ("normal", "uniform"):
        assert torch.equal(torch.cat([getattr(part, draw)(4, 4) for part in parts]), getattr(whole, draw)(4, 4))
    assert torch.equal(torch.cat([part.thinned(2).normal(3) for part in parts]), whole.thinned(2).normal(3))


def test_the_world_is_what_torchrun_says(monkeypatch) -> None:
    assert distributed.world() == distributed.World(rank=0, size=1, here=1)
    values = {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert distributed.world() == distributed.World(rank=5, size=8, here=4)


def test_the_command_goes_on_under_torchrun(monkeypatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: called.append(arguments))
    monkeypatch.setattr(sys, "argv", ["facebench", "run", "quickstart"])
    distributed.start(1, 1)
    assert not called
    distributed.start(2, 1)
    assert called.pop()[3:] == [
        "--nnodes=1", "--nproc-per-node=2", "--standalone", "-m", "bench", "run", "quickstart",
    ]  # fmt: skip
    with pytest.raises(BenchError, match=r"--num-nodes: .*MASTER_ADDR"):
        distributed.start(2, 2)
    monkeypatch.setenv("MASTER_ADDR", "node0")
    monkeypatch.setenv("SLURM_NODEID", "1")
    distributed.start(2, 2)
    assert called.pop()[3:8] == [
        "--nnodes=2", "--nproc-per-node=2", "--node-rank=1", "--master-addr=node0", "--master-port=29500",
    ]  # fmt: skip
