"""The main tables from result rows: methods × conditions with significance, and methods × cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from reports import conditions, numbers, results
from reports.marks import Beaten, PerImage, Place, explained, marked
from reports.table import Block, Cell, Column, Row, Table, quantity, ranked

MAIN = ("lpips", "perceptual", "fid", "psnr")
NOT_RUN = "not run"
PAPER = "paper"  # the preset of the published options
COUNTED = "Counts are exact and need no test. Bold: the best; underlined: the second best."


def main_table(
    rows: pd.DataFrame | str | Path,
    *,
    metrics: Sequence[str] | None = None,
    per_image: pd.DataFrame | None = None,
    intervals: bool = False,
    protocol: dict[str, Any] | None = None,
) -> Table:
    """Methods × conditions, one block of rows for each data set, number of shots and metric.

    `rows` are tidy result rows (`results.parquet`) or a run's folder. `metrics` are names such as "fid@embedded"; by
    default the main metrics of the protocol, else the leading perceptual, Fréchet and pixel metric. `per_image` rows
    serve the paired test that `marks.NOTE` tells; with `intervals`, 95 % intervals stand behind the values.
    Raises BenchError for an unknown metric, and for several variants of SSIM.
    """
    if not isinstance(rows, pd.DataFrame):
        run = results.load(Path(rows))
        rows, protocol = run.rows, protocol or run.protocol
        per_image = run.per_image if per_image is None else per_image
    rows = results.tidy(rows)
    known = list(dict.fromkeys(rows["metric"]))
    unknown = [metric for metric in metrics or () if metric not in known]
    if unknown:
        raise BenchError(f"unknown metric {', '.join(unknown)}; these results have {', '.join(known)}")
    metrics = checked(metrics or main_metrics(known, protocol))
    cells = results.over_seeds(rows)
    shown = PerImage(per_image, cells[cells["metric"].isin(metrics)])
    table = by_condition(cells, metrics, shown, protocol)
    return replace(table, intervals=intervals)


def main_metrics(known: Sequence[str], protocol: dict[str, Any] | None) -> list[str]:
    """The metrics of the suite's main table (`report: main:` of the suite), else the leading one of each kind."""
    suite = (protocol or {}).get("suite")
    asked = suite.get("report", {}).get("main", []) if isinstance(suite, dict) else []
    leading = [next((m for m in known if numbers.family(m) == family), None) for family in MAIN]
    return compatible([m for m in asked if m in known]) or [m for m in leading if m] or list(known[:1])


def compatible(metrics: Sequence[str]) -> list[str]:
    """The metrics without a second variant of SSIM, whose values differ too much to stand in one table."""
    first = next((m for m in metrics if numbers.family(m) == "ssim"), None)
    return [m for m in metrics if m == first or numbers.family(m) != "ssim"]


def checked(metrics: Sequence[str]) -> Sequence[str]:
    """The metrics of one table. Raises BenchError for several variants of SSIM."""
    if len(compatible(metrics)) < len(metrics):
        variants = [m for m in metrics if numbers.family(m) == "ssim"]
        raise BenchError(f"{' and '.join(variants)} are different measures: make a table for each")
    return metrics


def by_condition(
    cells: pd.DataFrame,
    metrics: Sequence[str],
    per_image: PerImage | None = None,
    protocol: dict[str, Any] | None = None,
) -> Table:
    """Methods × conditions from `results.over_seeds` rows: see `main_table`."""
    chosen = cells[cells["metric"].isin(metrics)]
    heads = conditions.ordered(chosen["condition"])
    columns = tuple(Column(c.label, c.family) for c in heads)
    shots = results.shots_titles(chosen["shots"])
    cells_of = dict(iter(chosen.groupby(["dataset", "shots", "metric"], sort=False)))
    keys = [key for key in product(dict.fromkeys(chosen["dataset"]), shots, metrics) if key in cells_of]
    blocks = [
        _block(cells_of[key], ", ".join(filter(None, [key[0], shots[key[1]]])), [c.name for c in heads]) for key in keys
    ]

    def beaten(b: int, c: int) -> Beaten:
        dataset, number, metric = keys[b]
        places = [Place(row.title, dataset, number, heads[c].name, metric) for row in blocks[b].rows]
        return (per_image or PerImage(None, chosen)).beaten(places)

    made = marked(blocks, columns, beaten)
    titles = list(dict.fromkeys(chosen.set_index("metric")["metric_title"].loc[list(metrics)]))
    return Table(
        title=f"{', '.join(titles)} by condition",
        stub="Method",
        columns=columns,
        blocks=made,
        notes=notes(chosen, protocol, made),
    )


def by_cost(cells: pd.DataFrame, costs: pd.DataFrame) -> Table:
    """Methods × cost: millions of parameters and billions of multiply-accumulates, from plain counts in `costs`."""
    labels = cells.drop_duplicates("label").merge(costs[results.COSTS], on=results.METHOD)
    rows = [Row(r.label, (quantity(r.params / 1e6), quantity(r.macs / 1e9))) for r in labels.itertuples()]
    columns = (Column("Parameters (M)", "", False), Column("MACs (G)", "", False))
    return Table("Cost", "Method", columns, ranked([Block(tuple(rows))], columns, exact=True), notes=(COUNTED,))


def cell(row: Any, digits: int | None = None) -> Cell:
    """A table cell from one row of `results.over_seeds`; `digits` instead of the metric's own decimals."""
    places = numbers.decimals(row.metric) if digits is None else digits
    facts = {"comparable": row.comparable, "apart": row.preset == results.PUBLISHED}
    return Cell(row.value, places, row.low, row.high, row.spread, row.note, **facts)


def _block(block: pd.DataFrame, title: str, names: Sequence[str]) -> Block:
    first = block.iloc[0]
    lookup = {(r.label, r.condition): cell(r) for r in block.itertuples()}
    rows = tuple(
        Row(label, tuple(lookup.get((label, name), Cell(note=NOT_RUN)) for name in names))
        for label in dict.fromkeys(block["label"])
    )
    return Block(rows, f"{title}: {first.metric_title}", bool(first.higher_is_better))


def notes(
    cells: pd.DataFrame,
    protocol: dict[str, Any] | None,
    blocks: Sequence[Block],
    printed: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """What stands below a table of `results.over_seeds` rows: seeds, what its marks mean, networks, metrics, protocol.

    `printed`: what labels are called in this table, where they are called otherwise.
    """
    lines = []
    several = sorted(set(cells["asked"][cells["asked"] > 1]))
    if several:
        counts = " or ".join(str(count) for count in several)
        lines.append(f"Means over {counts} seeds; ±: their standard deviation; intervals cover those of every seed.")
    lines += explained(blocks)
    called = {label: (printed or {}).get(label, label) for label in cells["label"]}
    lines += presets(cells, called)
    lines += trained(cells, protocol, called)
    lines += [f"{line}." for line in (protocol or {}).get("framed") or []]
    lines += sentences("sized", cells, protocol, called) + sentences("stand_ins", cells, protocol, called)
    metrics = [*cells.drop_duplicates("metric_title").itertuples()]
    lines += [f"{metric.metric_title}: {metric.caution}." for metric in metrics if metric.caution]
    named = [f"{metric.metric_title}: {metric.extractor}" for metric in metrics if metric.extractor]
    if named:
        lines.append(f"Extractors: {'; '.join(named)}.")
    if protocol and protocol.get("mixed"):
        lines.append(f"NOT COMPARABLE, rows of different protocols: {'; '.join(protocol['mixed'])}.")
    if protocol and protocol.get("joined"):
        lines.append(f"Rows of other runs, of the same protocol: {'; '.join(protocol['joined'])}.")
    if protocol and protocol.get("hash"):
        lines.append(f"Protocol {protocol['hash']}.")
    return tuple(lines)


def presets(cells: pd.DataFrame, called: Mapping[str, str]) -> list[str]:
    """Which rows have another preset than `paper`, where their names do not say so."""
    said: dict[str, list[str]] = {}
    for row in cells.drop_duplicates(results.METHOD).itertuples():
        if row.preset not in (PAPER, results.PUBLISHED) and f"({row.preset})" not in called[row.label]:
            said.setdefault(row.preset, []).append(called[row.label])
    return [f"Preset {preset}: {', '.join(dict.fromkeys(names))}." for preset, names in said.items()]


def sentences(name: str, cells: pd.DataFrame, protocol: dict[str, Any] | None, called: Mapping[str, str]) -> list[str]:
    """What a list of `results.OF_ROWS` says, such as what takes the place of published networks: a sentence for all
    rows of which it is true."""
    return [f"{names}: {text}." for text, names in _said(name, cells, protocol, called).items()]


def trained(cells: pd.DataFrame, protocol: dict[str, Any] | None, called: Mapping[str, str]) -> list[str]:
    """How long the rows were trained that were trained here: their budgets may differ."""
    said = "; ".join(f"{names} {text}" for text, names in _said("trained", cells, protocol, called).items())
    return [f"Trained here, steps x images: {said}."] if said else []


def _said(name: str, cells: pd.DataFrame, protocol: dict[str, Any] | None, called: Mapping[str, str]) -> dict[str, str]:
    """What a list of `results.OF_ROWS` says of these rows -> the rows."""
    said: dict[str, list[str]] = {}
    for row in cells.drop_duplicates(results.METHOD).itertuples():
        for line in (protocol or {}).get(name) or ():
            if line.startswith(f"{row.title}: "):
                said.setdefault(line.removeprefix(f"{row.title}: "), []).append(called[row.label])
    return {text: ", ".join(dict.fromkeys(names)) for text, names in said.items()}
