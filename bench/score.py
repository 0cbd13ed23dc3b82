"""Score completed pictures: one pass of metrics over what is stored. No method is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from bench import metrics
from bench.archive import FILE, Archive
from bench.complete import DAMAGE
from bench.condition import parse
from bench.errors import BenchError
from bench.metrics.images import Source
from bench.metrics.measurement import Measurement, empty, summarise
from bench.metrics.several import measure_several
from bench.store import read_json, write_json
from bench.task import Task

BY_EXEMPLARS = {"exemplar", "layout", "wanted"}  # guides that are, or come from, another picture
NO_EXEMPLAR = "n/a: no exemplar guides this condition"
NO_TRUTH = "n/a: there is no ground truth, the pictures themselves are degraded"
MEASURED = ("metric", "extractor", "value", "low", "high", "n", "note")


@dataclass(frozen=True)
class Known:
    """What metrics gave for the same pictures before, by what decides each number: one file each.

    So a metric that is added costs its own time alone, and the others keep their digits.
    """

    folder: Path
    keys: Mapping[str, str]
    """metric -> digest of what decides it, pictures included."""

    def has(self, metric: str) -> bool:
        """Whether there is a file of the metric, be it damaged."""
        path = self._path(metric)
        return path is not None and path.exists()

    def get(self, metric: str, ids: Sequence[str]) -> tuple[dict[str, Any], pd.DataFrame] | None:
        path = self._path(metric)
        if path is None or not path.exists():
            return None
        try:
            found = read_json(path)
            row, values = {key: found["row"][key] for key in MEASURED}, found["values"]
        except (BenchError, KeyError, TypeError):  # damaged: it is computed again
            return None
        if values is not None and len(values) != len(ids):
            return None
        return row, _frame(metric, ids, values)

    def put(self, row: dict[str, Any], values: pd.DataFrame) -> None:
        path = self._path(row["metric"])
        if path is not None:
            kept = None if values.empty else values["value"].tolist()
            write_json(path, {"row": {key: row[key] for key in MEASURED}, "values": kept})

    def _path(self, metric: str) -> Path | None:
        key = self.keys.get(metric)
        return self.folder / key[:2] / f"{key}.json" if key else None


def score(
    folder: Path,
    task: Task,
    names: Sequence[str],
    device: str = "cpu",
    cache: Path | None = None,
    references: Mapping[str, Source] = MappingProxyType({}),
    known: Known | None = None,
) -> Measurement:
    """Measure the pictures that `bench.complete.complete` left in `folder`.

    `references`: images by name, for metrics such as ``fid/train``. `known`: results of before are taken from there.
    Raises BenchError where the pictures are damaged or those of other images.
    """
    archive = Archive.open(folder / FILE)
    ids = [task.images.ids[i] for i in task.positions]
    if archive.ids != ids:
        raise BenchError(f"{archive.path} holds other images than the test set: delete its folder and run again")
    wanted = metrics.expanded(names, len(ids))
    truth, guided = parse(task.condition).has_truth, BY_EXEMPLARS & task.guides
    found: dict[str, tuple[dict[str, Any], pd.DataFrame]] = {}
    for metric in map(metrics.get, wanted):
        if metric.raw:
            found[metric.name] = _stored(metric, folder, ids)
        elif metric.compares and not truth:
            found[metric.name] = empty(metric, len(ids), metric.extractor, NO_TRUTH), _frame(metric.name, ids, None)
        elif metric.towards and not guided:
            found[metric.name] = empty(metric, len(ids), metric.extractor, NO_EXEMPLAR), _frame(metric.name, ids, None)
        elif known and (before := known.get(metric.name, ids)):
            found[metric.name] = before
    left = [metric for metric in map(metrics.get, wanted) if metric.name not in found]
    against: dict[str | None, Source | None] = {
        None: task.originals if truth else None,
        "exemplar": task.exemplars,
        "other": partial(task.exemplars, others=True),
    }
    for towards, source in against.items():
        asked = {metric.name.removesuffix(f"/{towards}"): metric for metric in left if metric.towards == towards}
        if not asked:
            continue
        named = {metric.reference for metric in asked.values()}
        measured = measure_several(
            [partial(pictures, archive, task, number) for number in range(archive.completions)],
            source,
            task.holes,
            metrics=list(asked),
            reference={name: images for name, images in references.items() if name in named},
            ids=ids,
            device=device,
            cache=cache,
        )
        for row in measured.rows:
            if row["metric"] in asked:  # not what stands beside it for few images, and is known
                name = asked[row["metric"]].name
                found[name] = row | {"metric": name}, measured.images(row["metric"]).assign(metric=name)
                if known and not row["note"].startswith(metrics.ABSENT):
                    known.put(*found[name])
    frames = [frame for frame in (found[name][1] for name in wanted) if len(frame)]
    per_image = pd.concat(frames, ignore_index=True) if frames else Measurement().per_image
    return Measurement([found[name][0] for name in wanted], per_image)


def pictures(archive: Archive, task: Task, completion: int = 0) -> Iterator[Tensor]:
    """The stored pictures of one completion of each image, in the batches of the task."""
    done = 0
    for originals, holes in zip(task.originals(), task.holes(), strict=True):
        yield archive.read(range(done, done + len(originals)), originals, holes, completion)
        done += len(originals)


def _stored(metric: metrics.Metric, folder: Path, ids: Sequence[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    """What was measured before known pixels were pasted."""
    table = pd.read_parquet(folder / DAMAGE)
    frame = table[table["metric"] == metric.name].reset_index(drop=True)
    return summarise(empty(metric, len(ids)), frame["value"].to_numpy()), frame


def _frame(metric: str, ids: Sequence[str], values: Sequence[float] | None) -> pd.DataFrame:
    if values is None:
        return pd.DataFrame({"id": [], "metric": [], "value": []})
    return pd.DataFrame({"id": list(ids), "metric": metric, "value": np.asarray(values, dtype=np.float64)})
