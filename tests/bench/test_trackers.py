"""Losses beside losses.csv: TensorBoard, MLflow and Weights & Biases, all on this machine alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from bench import suite, trackers
from bench.errors import BenchError

LOSSES = [{"one/adversarial": 2.0}, {"one/adversarial": 1.0}]


def logged(name: str, folder: Path, losses: Sequence[Mapping[str, float]] = LOSSES) -> None:
    folder.mkdir(exist_ok=True)
    made = trackers.loggers([name, name], folder)
    assert len(made) == 1
    fabric = Fabric(accelerator="cpu", devices=1, loggers=made)
    with trackers.ending(fabric.loggers):
        for step, values in enumerate(losses, 1):
            fabric.log_dict(values, step)
        for logger in fabric.loggers:
            logger.save()


def test_tensorboard(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logged("tensorboard", tmp_path)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(one.step, one.value) for one in events.Scalars("one/adversarial")]
    assert found == [(1, 2.0), (2, 1.0)]


def test_mlflow_stays_here_and_jobs_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorch_lightning.loggers")
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    logged("mlflow", Path("a"))
    logged("mlflow", Path("ü #1%20"), [{"two/pixels": 3.0}])
    (file,) = Path("a/mlruns").glob("*/*/metrics/*/*")
    assert file.parts[-2:] == ("one", "adversarial")
    assert [line.split()[1:] for line in file.read_text().splitlines()] == [["2.0", "1"], ["1.0", "2"]]
    (file,) = Path("ü #1%20/mlruns").glob("*/*/metrics/*/*")
    assert file.parts[-2:] == ("two", "pixels")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_wandb_stays_here_and_jobs_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job of a process has a run of its own, with its losses alone."""
    pytest.importorskip("pytorch_lightning.loggers")
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logged("wandb", tmp_path / "a")
    logged("wandb", tmp_path / "b", [{"two/pixels": 3.0}])
    for name, own, other in (("a", b"one/adversarial", b"two/pixels"), ("b", b"two/pixels", b"one/adversarial")):
        (file,) = (tmp_path / name).rglob("offline-run-*/run-*.wandb")
        assert own in file.read_bytes() and other not in file.read_bytes()
    assert "WANDB_MODE" not in os.environ


def test_a_run_that_breaks_off_ends(tmp_path: Path) -> None:
    ended = []

    class Logger:
        def finalize(self, status: str) -> None:
            ended.append(status)

    with pytest.raises(ZeroDivisionError), trackers.ending([Logger()]):
        1 / 0  # noqa: B018
    with trackers.ending([Logger()]):
        pass
    assert ended == ["failed", "success"]


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_lightning.loggers", None)
    with pytest.raises(BenchError, match=r"train.trackers: mlflow: install it with `pip install face-inpaint-bench\["):
        trackers.loggers(["mlflow"], tmp_path)


def test_the_key_of_earlier_suites_is_read() -> None:
    assert suite.Train.model_validate({"tensorboard": True}).trackers == ["tensorboard"]
    assert suite.Train.model_validate({"tensorboard": False, "trackers": ["wandb"]}).trackers == ["wandb"]
    with pytest.raises(ValueError, match="trackers"):
        suite.Train.model_validate({"trackers": ["carrier pigeon"]})
