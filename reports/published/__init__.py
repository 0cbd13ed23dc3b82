"""The numbers that the documented papers printed: shown in the shape of their tables, and beside one's own."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from bench.errors import BenchError
from reports import conditions, results
from reports.numbers import decimals, family
from reports.table import Block, Cell, Column, Row, Table, ranked

DOCUMENTS = ("thesis", "isfrnet", "hierinv", "apfi")
COLUMNS = ["source", "table", "task", "dataset", "method", "condition", "metric", "value", "unit", "note"]
LOWER = {"FID", "FID_paired", "LPIPS", "NIQE", "L1", "NME", "IDD", "average rank", "parameters", "FLOPs", "time per image",
         "training time"}  # fmt: skip
HIGHER = {"PSNR", "SSIM", "U-IDS", "P-IDS", "DSR", "accuracy", "CSIM", "FPS", "share of first ranks", "share of votes"}


@dataclass(frozen=True)
class Layout:
    """Which facts of a number make a table's rows, columns and blocks."""

    rows: tuple[str, ...] = ("method",)
    columns: tuple[str, ...] = ("dataset", "condition", "metric")
    blocks: tuple[str, ...] = ()


_BY_SETTING = Layout(columns=("dataset", "metric"), blocks=("condition",))
LAYOUTS = {
    "thesis 4.1": Layout(("dataset",), ("metric",), ("condition",)),
    "thesis 4.3": Layout(columns=("dataset",), blocks=("metric",)),
    "thesis 4.4": Layout(("method", "condition"), ("metric",)),
    "thesis 4.6": Layout(("condition",), ("dataset",)),
    "thesis 5.1": Layout(columns=("condition",), blocks=("dataset",)),
    **{f"thesis {table}": _BY_SETTING for table in ("6.1", "6.2", "6.4", "6.5")},
}


@cache
def _load() -> pd.DataFrame:
    folder = files(__name__)
    read = [pd.read_csv((folder / f"{name}.csv").open(encoding="utf-8"), dtype=str) for name in DOCUMENTS]
    frame = pd.concat(read, ignore_index=True).fillna("")
    return frame.assign(printed=frame["value"], value=pd.to_numeric(frame["value"]))


def load() -> pd.DataFrame:
    """Every published number: source, table, task, dataset, method, condition, metric, value, unit, note.

    `printed` is the value's text, whose digits are the document's; an empty one (NaN) was printed as "-".
    """
    return _load().copy()


def names() -> list[str]:
    """The names of all tables: "thesis 5.1", "hierinv 1", "isfrnet abstract", ..."""
    frame = _load()
    return list(dict.fromkeys(frame["source"] + " " + frame["table"]))


def table(name: str) -> Table:
    """One published table in the shape of its document, best and second of each column marked.

    Raises BenchError for a name that is not in `names()`.
    """
    frame = _load()
    rows = frame[(frame["source"] + " " + frame["table"]) == name]
    if rows.empty:
        close = difflib.get_close_matches(name, names(), n=3, cutoff=0.3)
        raise BenchError(f"there is no published table {name!r}; there are {', '.join(close or names())}")
    layout = LAYOUTS.get(name, Layout())
    varying = {field for field in ("method", "dataset", "condition", "metric") if rows[field].nunique() > 1}
    column_fields = [field for field in layout.columns if field in varying] or ["metric"]
    columns = [
        _column(key, column_fields) for key in rows.groupby(column_fields, sort=False).groups
    ]
    blocks = []
    for key, group in _groups(rows, layout.blocks):
        cells = {(r[0], r[1]): r[2] for r in _cells(group, layout.rows, column_fields)}
        titles = list(dict.fromkeys(row for row, _ in cells))
        keys = list(rows.groupby(column_fields, sort=False).groups)
        lines = [Row(_title(title), tuple(cells.get((title, k), Cell()) for k in keys)) for title in titles]
        metrics = set(group["metric"])
        higher = _direction(metrics.pop()) if "metric" not in column_fields and len(metrics) == 1 else None
        blocks.append(Block(tuple(lines), ", ".join(key), higher))
    return Table("", "", tuple(columns), ranked(blocks, columns))
