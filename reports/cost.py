"""Tables of what methods cost, from the rows of `facebench profile`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from reports.published.compare import same_name
from reports.published.shapes import load
from reports.table import Block, Cell, Column, Row, Table, quantity, ranked

COUNTED = {"exegan": "generator"}  # the published columns count this network alone
BYTES = 2**20
COUNTED_OF = (
    "Parameters: of a method's networks. MACs: of all that runs in one completion without optional guides, "
    "also of networks that only steer it."
)
UNTESTED = "Underlined: the best value. Times of one machine are not tested, so nothing is bold."
COUNTS = {"parameters": (1e6, 3), "macs": (1e9, 3), "fir": (1e9, 3), "calls": (1, 0)}  # unit, decimals


def costs(rows: pd.DataFrame, modules: bool = False) -> Table:
    """Settings × cost, or networks × counts of one completion. Times: medians of five rounds, ±: their spread."""
    rows = _named(rows)
    return _modules(rows) if modules else _settings(rows)


def _modules(rows: pd.DataFrame) -> Table:
    """The networks of each method that a completion runs; n/a: only parts of this network are called.

    They depend on the variant and the size alone.
    """
    columns = (Column("Parameters (M)"), Column("MACs (G)"), Column("of these FIR (G)"), Column("Calls"))
    blocks: dict[str, Block] = {}
    for row in rows.to_dict("records"):
        head, title = "parameters of ", f"{_name(row)}, {row['size']} px"
        names = [key.removeprefix(head) for key, v in row.items() if key.startswith(head) and not pd.isna(v)]
        if names:
            blocks[title] = Block(tuple(Row(name, tuple(_counts(row, name))) for name in names), title)
    return Table("Networks", "Network", columns, tuple(blocks.values()))


def _counts(row: dict[str, Any], network: str) -> Iterator[Cell]:
    for kind, (unit, decimals) in COUNTS.items():
        yield quantity(_number(row.get(f"{kind} of {network}")) / unit, decimals)


def _settings(rows: pd.DataFrame) -> Table:
    columns = (
        Column("Parameters (M)", "", False),
        Column("MACs (G)", "One image", False),
        Column("thop's rule (G)", "One image", False),
        Column("Latency (ms)", "A batch", False),
        Column("p95 (ms)", "A batch", False),
        Column("Images/s", "", True),
        Column("Memory (MiB)", "", False),
    )
    step = (
        Column("Step (ms)", "Training", False),
        Column("Memory (MiB)", "Training", False),
        Column("Wait for data (%)", "Training", False),
    )
    trained = "step" in rows and rows["step"].notna().any()
    lines = []
    for row in rows.to_dict("records"):
        cells = [
            quantity(row["parameters"] / 1e6),
            quantity(_number(row["macs"]) / 1e9),
            quantity(row["macs thop"] / 1e9),
            quantity(1e3 * _number(row["latency"]), spread=1e3 * _number(row["latency spread"])),
            quantity(1e3 * _number(row["latency p95"])),
            quantity(_number(row["throughput"])),
            quantity(_number(row["memory"]) / BYTES, 0),
        ]
        if trained:
            cells += [
                quantity(1e3 * _number(row["step"]), spread=1e3 * _number(row["step spread"])),
                quantity(_number(row["step memory"]) / BYTES, 0),
                quantity(100 * _number(row["step wait"])),
            ]
        lines.append(Row(_title(row), tuple(cells)))
    every = columns + (step if trained else ())
    blocks = ranked([Block(tuple(lines))], every, bold=False, exact=True)
    return Table("Cost", "Method", every, blocks, notes=(machines(rows), COUNTED_OF, UNTESTED))


def published_costs(rows: pd.DataFrame) -> Table:
    """Published parameters and "FLOPs" (thesis 4.4, 5.2) beside what the networks here have.

    The published columns are reproduced either by thop's rule, or by all convolutions and matrix products without
    StyleGAN2's FIR filters; the note at a number says which gives its printed digits.
    """
    rows, printed = _named(rows), load()
    printed = printed[
        (printed["source"] == "thesis")
        & printed["table"].isin(["4.4", "5.2"])
        & printed["metric"].isin(["parameters", "FLOPs"])
        & (printed["printed"] != "")
    ]
    blocks = []
    for (table, metric), numbers in printed.groupby(["table", "metric"], sort=False):
        lines = [_beside(number, ours) for number in numbers.itertuples() for ours in _rows_of(number, rows)]
        if lines:
            unit = "M" if metric == "parameters" else "G"
            blocks.append(Block(tuple(lines), f"thesis {table}: {metric} ({unit})", None))
    columns = (Column("Published"), Column("thop's rule"), Column("Convolutions and products"), Column("All"))
    return Table(
        "Published cost beside ours", "Method", columns, tuple(blocks),
        notes=("All: also FFTs and FIR filters; for parameters, those of all networks of a method.",),
    )  # fmt: skip


def _rows_of(number: Any, rows: pd.DataFrame) -> list[dict[str, Any]]:
    found = [row for row in rows.to_dict("records") if row["size"] == 256 and row["preset"] == "paper"]
    steps = number.condition.partition(" 256x256")[0] if number.condition.startswith("T=") else None
    found = [row for row in found if same_name(number.method) in (same_name(row["name"]), same_name(row["method"]))]
    if steps:
        found = [row for row in found if row["variant"].replace(" ", "") == steps]
    return found[:1]


def _beside(number: Any, row: dict[str, Any]) -> Row:
    places = len(number.printed.partition(".")[2])
    part = COUNTED.get(row["method"])
    if number.metric == "parameters":
        products = row[f"parameters of {part}"] if part else row["parameters"]
        values = [row["parameters thop"] / 1e6, products / 1e6, row["parameters"] / 1e6]
    else:
        products = (
            row[f"macs of {part}"] - row[f"fir of {part}"] if part else row["macs"] - row["macs fir"] - row["macs fft"]
        )
        values = [row["macs thop"] / 1e9, products / 1e9, row["macs"] / 1e9]
    ways = ["thop's rule", f"the {part} alone" if part else "convolutions and matrix products"]
    note = next(
        (f"equals {way}" for way, v in zip(ways, values[:2], strict=True) if _as_printed(v, number.printed)), ""
    )
    cut = [f"equals {way}, cut off" for way, v in zip(ways, values[:2], strict=True) if _cut_off(v, number.printed)]
    return Row(
        number.method + (f", {row['variant']}" if row["variant"] else ""),
        (
            Cell(number.value, places, note=note or (cut[0] if cut else "not reproduced")),
            *(Cell(v, places) for v in values),
        ),
    )


def _as_printed(value: float, printed: str) -> bool:
    return f"{value:.{len(printed.partition('.')[2])}f}" == printed


def _cut_off(value: float, printed: str) -> bool:
    factor = 10 ** len(printed.partition(".")[2])
    return math.floor(value * factor) / factor == float(printed)


def _title(row: dict[str, Any]) -> str:
    parts = [f"{row['size']} px, batch {row['batch']}", row["precision"], *(["compiled"] if row["compiled"] else [])]
    return ", ".join([_name(row), *parts])


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with "" where there is no variant: files and tables keep None or NaN."""
    return rows.assign(variant=rows["variant"].astype(object).where(rows["variant"].notna(), ""))


def _name(row: Any) -> str:
    return f"{row['name']} ({row['variant']})" if row["variant"] else row["name"]


def machines(rows: pd.DataFrame) -> str:
    """Where rows were measured, in words."""
    facts = rows.reindex(columns=["processor", "device", "threads", "driver", "torch"]).drop_duplicates()
    return "Measured on " + "; ".join(_machine(fact) for fact in facts.to_dict("records"))


def _machine(fact: dict[str, Any]) -> str:
    parts = [fact["processor"]]
    if fact["device"] == "cpu":
        parts.append(f"{fact['threads']} thread{'s' * (fact['threads'] != 1)}")
    elif not pd.isna(fact["driver"]):
        parts.append(f"driver {fact['driver']}")
    return ", ".join([*parts, f"torch {fact['torch']}"])


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
