"""Losses beside losses.csv: TensorBoard, MLflow and Weights & Biases, all on this machine alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from bench import suite, trackers
from bench.errors import BenchError

LOSSES = [{"one/adversarial": 2.0}, {"one/adversarial": 1.0}]


def logged(name: str, folder: Path) -> None:
    made = trackers.loggers([name, name], folder)
    assert len(made) == 1
    fabric = Fabric(accelerator="cpu", devices=1, loggers=made)
    for step, losses in enumerate(LOSSES, 1):
        fabric.log_dict(losses, step)
    for logger in fabric.loggers:
        logger.save()
        logger.finalize("success")


def test_tensorboard(tmp_path: Path) -> None:
    logged("tensorboard", tmp_path)
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(one.step, one.value) for one in events.Scalars("one/adversarial")]
    assert found == [(1, 2.0), (2, 1.0)]


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorch_lightning.loggers")
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    logged("mlflow", tmp_path)
    (file,) = (tmp_path / "mlruns").rglob("metrics/one/adversarial")
    assert [line.split()[1:] for line in file.read_text().splitlines()] == [["2.0", "1"], ["1.0", "2"]]


def test_wandb_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorch_lightning.loggers")
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logged("wandb", tmp_path)
    assert list(tmp_path.rglob("offline-run-*/run-*.wandb"))


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_lightning.loggers", None)
    with pytest.raises(BenchError, match=r"train.trackers: mlflow: install it with `pip install face-inpaint-bench\["):
        trackers.loggers(["mlflow"], tmp_path)


def test_the_key_of_earlier_suites_is_read() -> None:
    assert suite.Train.model_validate({"tensorboard": True}).trackers == ["tensorboard"]
    assert suite.Train.model_validate({"tensorboard": False, "trackers": ["wandb"]}).trackers == ["wandb"]
    with pytest.raises(ValueError, match="trackers"):
        suite.Train.model_validate({"trackers": ["carrier pigeon"]})
