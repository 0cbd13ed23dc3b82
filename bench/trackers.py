"""Where losses go beside losses.csv: loggers of Lightning, which Fabric calls.

TensorBoard's is Fabric's own; those of MLflow and Weights & Biases are `lightning.pytorch.loggers`. Nothing leaves this
machine unless the user says so: MLflow writes to `$MLFLOW_TRACKING_URI`, else to the job's folder; Weights & Biases is
offline unless `$WANDB_MODE` says otherwise; neither tells its makers how it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

from bench.errors import BenchError

Tracker = Literal["tensorboard", "mlflow", "wandb"]
PROJECT = "facebench"  # project or experiment that the runs of jobs stand in
ADDRESS = "MLFLOW_TRACKING_URI"


def _tensorboard(folder: Path) -> Any:
    from lightning_fabric.loggers import TensorBoardLogger

    return TensorBoardLogger(root_dir=folder, name="tensorboard", version="")


def _mlflow(folder: Path) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else its makers' server is asked, wherever losses go
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # text files: a database takes 50 ms an iteration
    from pytorch_lightning.loggers import MLFlowLogger

    here = (folder / "mlruns").absolute().as_uri()
    return MLFlowLogger(PROJECT, run_name=folder.name, tracking_uri=os.environ.get(ADDRESS, here))


def _wandb(folder: Path) -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    from pytorch_lightning.loggers import WandbLogger

    mode = os.environ.get("WANDB_MODE", "offline")
    return WandbLogger(name=folder.name, save_dir=folder, project=PROJECT, mode=mode)


_MAKERS: dict[str, Callable[[Path], Any]] = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
assert tuple(_MAKERS) == get_args(Tracker)


def loggers(names: Sequence[str], folder: Path) -> list[Any]:
    """The loggers of a training job, in its folder. BenchError names the extra where one is not installed."""
    made = []
    for name in dict.fromkeys(names):
        try:
            made.append(_MAKERS[name](folder))
        except ImportError as error:
            extra = "tensorboard" if name == "tensorboard" else "trackers"
            raise BenchError(
                f"train.trackers: {name}: install it with `pip install face-inpaint-bench[{extra}]` ({error})"
            ) from error
    return made


def check(names: Sequence[str]) -> None:
    """BenchError, before anything runs, where one of them is not installed."""
    with TemporaryDirectory() as folder:
        loggers(names, Path(folder))


@contextmanager
def ending(made: Sequence[Any]) -> Iterator[None]:
    """End the runs of loggers, whatever happens: open ones would take the losses of the next job of this process."""
    status, address = "failed", os.environ.get(ADDRESS)
    try:
        yield
        status = "success"
    finally:
        for logger in made:
            logger.finalize(status)
            if type(logger).__name__ == "WandbLogger":
                import wandb

                logger.experiment.finish(int(status == "failed"))
                wandb.teardown()  # waits until all is written
        if address is None:
            os.environ.pop(ADDRESS, None)  # MLflow puts that of its run there
