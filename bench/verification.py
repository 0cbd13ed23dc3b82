"""Score stored pictures again, and compare with what the table of a run says."""

from __future__ import annotations

import importlib.metadata
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench import metrics
from bench.errors import BenchError
from bench.jobs import Plan
from bench.metrics.measurement import Measurement
from bench.provenance import processor
from bench.runner.execute import sources
from bench.score import score
from bench.store import read_json
from bench.stored import Cell, Run, opened

CLOSE = 1e-6  # by which numbers of another machine may differ, relative and absolute
NUMBERS = ("value", "low", "high", "n")
ROW = ["title", "method", "preset", "dataset", "seed", "condition"]


def sample(cells: Sequence[Cell], share: float, seed: int) -> list[Cell]:
    """A random part of what is scored, at least one cell, in its order; the same for the same seed."""
    count = max(1, round(share * len(cells)))
    chosen = random.Random(seed).sample(range(len(cells)), count)
    return [cells[i] for i in sorted(chosen)]


def elsewhere(made: Plan, cell: Cell, device: str) -> list[str]:
    """What differs between the machine that scored a cell and this one: then its last digits may differ, too."""
    known = read_json(made.job_folder(cell.score) / "result.json")
    here = {
        "processor": processor(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU",
        "torch": importlib.metadata.version("torch"),
    }
    return [
        f"{key} {known.get(key, 'unknown')}, here {value}" for key, value in here.items() if known.get(key) != value
    ]


def again(made: Plan, cell: Cell, device: str) -> Measurement:
    """Score the stored pictures of a cell from the beginning: no kept value and no cached feature is used."""
    prepared = made.data[cell.row["dataset"]]
    archive, task = opened(made.job_folder(cell.completion), prepared.images)
    names = [name for name, *_ in read_json(made.job_folder(cell.score) / "job.json")["metrics"]]
    wanted = [name for name in names if not metrics.get(name).raw]  # of outputs, which are not kept
    return score(archive.path.parent, task, wanted, device, references=sources(made, cell.row["dataset"]))


def differences(
    run: Run, cell: Cell, measured: Measurement, rows: pd.DataFrame, per_image: pd.DataFrame, close: float
) -> Iterator[str]:
    """One line for each value of the tables (`results.parquet`, `per_image.parquet`) that is not what was measured.

    `close`: by which numbers may differ; 0 asks for the same bits.
    """
    rows, per_image = _of(run, cell, rows), _of(run, cell, per_image)
    for found in measured.rows:
        name = found["metric"]
        lines = rows[rows["metric"] == name]
        if lines.empty:
            yield f"{name}: the table has no such row"
        for _, row in lines.iterrows():
            yield from apart(row, found, close)
        values = measured.per_image[measured.per_image["metric"] == name]
        for _, told in per_image[per_image["metric"] == name].groupby("shots"):
            if list(told["id"]) != list(values["id"]):
                yield f"{name}: per_image.parquet names other images"
                continue
            pairs = zip(told["id"], told["value"], values["value"], strict=True)
            if wrong := [image for image, one, two in pairs if not _equal(one, two, close)]:
                yield f"{name}: {len(wrong)} of {len(values)} images have other values, such as {wrong[0]}"


def apart(row: Mapping[str, Any], found: Mapping[str, Any], close: float) -> Iterator[str]:
    """One line for each number of a table's row that is not what was measured."""
    for key in NUMBERS:
        one, two = _number(row[key]), _number(found[key])
        if not _equal(one, two, close):
            yield f"{found['metric']}: {key} is {one!r} in the table, and {two!r} from the pictures"


def tables(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a run says: its rows, and their values of single images."""
    found = []
    for name in ("results.parquet", "per_image.parquet"):
        try:
            found.append(pd.read_parquet(run.folder / name))
        except Exception as error:  # pyarrow raises many kinds
            reason = " ".join(str(error).split())[:200]
            raise BenchError(f"cannot read {run.folder / name}: {reason}; run the suite again") from error
    return found[0], found[1]


def _of(run: Run, cell: Cell, table: pd.DataFrame) -> pd.DataFrame:
    """The part of a table about a cell: of what nothing trains, one for each number of shots."""
    shots = {cell.row["shots"]} if cell.trained else set(map(str, run.suite.shots))
    here = table["shots"].isin(shots)
    for key in ROW:
        here &= table[key] == cell.row[key]
    return table[here]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _equal(one: float, two: float, close: float) -> bool:
    return one == two or bool(np.isclose(one, two, rtol=close, atol=close, equal_nan=True))
