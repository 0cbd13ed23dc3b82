"""Published numbers as they were printed: the tidy rows, and each table in the shape of its document."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from bench.errors import BenchError
from reports.table import Block, Cell, Column, Row, Table, ranked

DOCUMENTS = ("thesis", "isfrnet", "hierinv", "apfi")
COLUMNS = ["source", "table", "task", "dataset", "method", "condition", "metric", "value", "unit", "note"]
DIRECTION = dict.fromkeys(
    ("PSNR", "SSIM", "U-IDS", "P-IDS", "DSR", "accuracy", "CSIM", "FPS", "share of first ranks", "share of votes"), True
) | dict.fromkeys(
    (
        *("FID", "FID_paired", "LPIPS", "NIQE", "L1", "NME", "IDD", "average rank"),
        *("parameters", "FLOPs", "time per image", "training time"),
    ),
    False,
)

UNTESTED = "Underlined: the best value. Published numbers come without what a test needs, so nothing is bold."

Record = dict[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Which facts of a number make a table's rows, columns and blocks."""

    rows: Key = ("method",)
    columns: Key = ("dataset", "condition", "metric")
    blocks: Key = ()


_BY_SETTING = Layout(columns=("dataset", "metric"), blocks=("condition",))
LAYOUTS = {
    "thesis 4.1": Layout(("dataset",), ("metric",), ("condition",)),
    "thesis 4.3": Layout(columns=("dataset",), blocks=("metric",)),
    "thesis 4.4": Layout(("method", "condition"), ("metric",)),
    "thesis 4.6": Layout(("condition",), ("dataset",)),
    "thesis 5.1": Layout(columns=("condition",), blocks=("dataset",)),
    **{f"thesis {number}": _BY_SETTING for number in ("6.1", "6.2", "6.4", "6.5")},
}


@cache
def _rows() -> pd.DataFrame:
    folder = files("reports.published")
    parts = [pd.read_csv(str(folder / f"{document}.csv"), dtype=str)[COLUMNS] for document in DOCUMENTS]
    frame = pd.concat(parts, ignore_index=True).fillna("")
    return frame.assign(printed=frame["value"], value=pd.to_numeric(frame["value"]))


def load() -> pd.DataFrame:
    """Every published number: source, table, task, dataset, method, condition, metric, value, unit, note, printed.

    `printed` is the text of the value with the document's digits; where the document has "-" it is empty, `value` NaN.
    """
    return _rows().copy()


def names() -> list[str]:
    """The names of all tables: "thesis 5.1", "hierinv 1", "isfrnet abstract", ..."""
    return list(dict.fromkeys(_rows()["source"] + " " + _rows()["table"]))


def table(name: str) -> Table:
    """One published table in the shape of its document; the best of each column is underlined.

    Notes of doubtful values become footnotes. The name of the suite, "thesis-5.1", stands for its table, too. Raises
    BenchError for a name that is not in `names()`.
    """
    frame, known = _rows(), {_plain(one): one for one in names()}
    if _plain(name) not in known:
        close = [known[one] for one in difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.3)]
        raise BenchError(f"there is no published table {name!r}; there are {', '.join(close or names())}")
    name = known[_plain(name)]
    chosen = frame[(frame["source"] + " " + frame["table"]) == name]
    records: list[Record] = chosen.to_dict("records")
    layout = LAYOUTS.get(name, Layout())
    varies = {field for field in ("method", "dataset", "condition", "metric") if chosen[field].nunique() > 1}
    across = tuple(field for field in layout.columns if field in varies) or ("metric",)
    keys = _keys(records, across)
    columns = [_column(key, across, records) for key in keys]
    blocks = []
    for key in _keys(records, layout.blocks):
        inside = [record for record in records if _key(record, layout.blocks) == key]
        cells = {(_key(record, layout.rows), _key(record, across)): _cell(record) for record in inside}
        titles = _row_titles(inside, layout.rows)
        rows = [Row(title, tuple(cells.get((row, k), Cell()) for k in keys)) for row, title in titles.items()]
        metrics = {record["metric"] for record in inside}
        lone = metrics.pop() if len(metrics) == 1 and "metric" not in across else ""
        units = {record["unit"] for record in inside}
        head = _with_unit(lone, units) if lone else ""
        title = ", ".join(filter(None, [*(part for part in key if part != lone), head]))
        blocks.append(Block(tuple(rows), title, DIRECTION.get(lone)))
    fixed = [chosen[field].iloc[0] for field in ("task", "dataset", "condition") if chosen[field].nunique() == 1]
    return Table(
        title=f"{name}: {', '.join(filter(None, fixed))}",
        stub=", ".join(layout.rows).capitalize(),
        columns=tuple(columns),
        blocks=ranked(blocks, columns, bold=False),
        notes=(UNTESTED,),
    )


def _plain(name: str) -> str:
    return name.lower().replace("-", " ").strip()


def _key(record: Record, fields: Sequence[str]) -> Key:
    return tuple(record[field] for field in fields)


def _keys(records: Iterable[Record], fields: Sequence[str]) -> list[Key]:
    """Different keys in the order of appearance; those with the same first field stand together."""
    keys = list(dict.fromkeys(_key(record, fields) for record in records))
    groups = list(dict.fromkeys(key[:1] for key in keys))
    return sorted(keys, key=lambda key: groups.index(key[:1]))


def _column(key: Key, fields: Key, records: Iterable[Record]) -> Column:
    """The last field is the column's title, the others span their columns."""
    units = {record["unit"] for record in records if _key(record, fields) == key}
    group = ", ".join(filter(None, key[:-1]))
    if fields[-1] != "metric":
        return Column(key[-1], group)
    return Column(_with_unit(key[-1], units), group, DIRECTION.get(key[-1]))


def _with_unit(metric: str, units: set[str]) -> str:
    unit = next(iter(units)) if len(units) == 1 else ""
    return f"{metric} ({unit})" if unit else metric


def _row_titles(records: Iterable[Record], fields: Key) -> dict[Key, str]:
    """Further fields stand behind the first where it does not tell two rows apart."""
    keys = list(dict.fromkeys(_key(record, fields) for record in records))
    first = [key[0] for key in keys]
    return {key: ", ".join(key) if first.count(key[0]) > 1 else key[0] for key in keys}


def _cell(record: Record) -> Cell:
    printed = record["printed"]
    note = record["note"] or ("" if printed else "printed as -")
    return Cell(record["value"] if printed else math.nan, len(printed.partition(".")[2]), note=note)
