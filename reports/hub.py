"""Results in the form of Hugging Face model cards: `.eval_results/*.yaml` of a method's own repository.

Specification: https://huggingface.co/docs/hub/eval-results, and eval_results.yaml of huggingface/hub-docs. A result
belongs to a task of a benchmark, a data set on the Hub, whose eval.yaml lists its tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from bench.errors import BenchError
from bench.store import LONGEST, file_slug, hashed, write_text
from bench.target import check
from reports.results import Results, load, over_seeds

FRAMEWORK = "face-inpaint-bench"
BENCHMARK = re.compile(r"[\w.-]+/[\w.-]+")


def hub(
    run: str | Path, folder: Path, benchmark: str, source: str = "", titles: Sequence[str] = ()
) -> tuple[list[Path], list[str]]:
    """Write FOLDER/ROW/.eval_results/SUITE.yaml for each row of a run, and FOLDER/eval.yaml.

    Returns the files, and the results that are infinite: these have no place on the Hub, and are left out.

    One task is a data set × condition × metric (and number of training images, if not all). `benchmark`: the data set
    on the Hub, ORGANISATION/NAME, that stands for this benchmark; `source`: an address where the results lie; `titles`:
    only these rows. Values are means over seeds; what has none is left out. Raises BenchError as `load`, and
    before anything is written where a file is there and of something else.
    """
    if not BENCHMARK.fullmatch(benchmark):
        raise BenchError(f"--benchmark {benchmark}: give the data set on the Hub as ORGANISATION/NAME")
    found = load(Path(run))
    cells = over_seeds(found.rows)
    if unknown := [title for title in titles if title not in set(cells["label"])]:
        raise BenchError(
            f"--methods: the run has no row {unknown[0]!r}: it has {', '.join(dict.fromkeys(cells['label']))}"
        )
    suite = found.protocol.get("suite")
    name = file_slug(str(suite.get("suite") if isinstance(suite, dict) else suite or Path(run).name))
    shown = cells["label"].isin(titles or cells["label"])
    endless = [
        f"{row.label}, {_task(row)}: {row.value}" for row in cells[shown & np.isinf(cells["value"])].itertuples()
    ]
    cells = cells[np.isfinite(cells["value"])]
    made: dict[Path, Any] = {}
    for label, rows in cells.groupby("label", sort=False):
        if not titles or label in titles:
            path = folder / file_slug(str(label)) / ".eval_results" / f"{name}.yaml"
            made[path] = list(_entries(rows, found, benchmark, source))
    tasks = [
        {"id": task, "config": "default", "split": "test"} for task in dict.fromkeys(map(_task, cells.itertuples()))
    ]
    described = {"name": f"{FRAMEWORK}: {name}", "description": _protocol(found), "evaluation_framework": FRAMEWORK}
    made[folder / "eval.yaml"] = described | {"tasks": tasks}
    for path in made:
        check(path, {".yaml": FRAMEWORK.encode()})
    return [_write(path, content) for path, content in made.items()], endless


def task_id(dataset: str, shots: str, condition: str, metric: str) -> str:
    """The name of a task: letters, digits, `_`, `-` and points between its parts. What loses letters has a hash."""
    parts = [dataset, *([f"{shots}-shots"] if shots != "all" else []), condition, metric]
    return ".".join(map(_part, parts))


def _part(name: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_")
    return kept if kept and name.isascii() else hashed(kept, name, LONGEST).strip("-")


def _task(row: Any) -> str:
    return task_id(row.dataset, row.shots, row.condition, row.metric)


def _entries(rows: pd.DataFrame, found: Results, benchmark: str, source: str) -> Iterator[dict[str, Any]]:
    stand_ins = [
        line for line in found.protocol.get("stand_ins") or [] if line.startswith(f"{rows['title'].iloc[0]}: ")
    ]
    for row in rows.itertuples():
        entry: dict[str, Any] = {"dataset": {"id": benchmark, "task_id": _task(row)}, "value": float(row.value)}
        if source:
            entry["source"] = {"url": source, "name": f"{FRAMEWORK} results"}
        told = [
            f"{row.metric_title}, {'higher' if row.higher_is_better else 'lower'} is better",
            f"95% interval {row.low:.6g} to {row.high:.6g}" if pd.notna(row.low) else "",
            f"n = {int(row.n)}, {row.seeds} seed{'s' * (row.seeds > 1)}, preset {row.preset}",
            f"network {row.extractor}" if row.extractor else "",
            row.note,
            _protocol(found),
            *stand_ins,
        ]
        yield entry | {"evaluation_framework": FRAMEWORK, "notes": "; ".join(filter(None, told))}


def _protocol(found: Results) -> str:
    return f"{FRAMEWORK} {found.protocol.get('facebench', '?')}, protocol {found.protocol.get('hash', '?')}"


def _write(path: Path, content: Any) -> Path:
    return write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000))
