"""Tables from result rows in the layouts of papers: methods × data sets, methods × conditions × metrics, ablations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bench.errors import BenchError
from reports import conditions, results
from reports.marks import Beaten, PerImage, Place, marked
from reports.table import Block, Cell, Column, Row, Table
from reports.tables import NOT_RUN, cell, checked, compatible, main_metrics, notes

NAMES = {
    "label": "method",
    "dataset": "data set",
    "shots": "training images",
    "condition": "condition",
    "metric": "metric",
}
NOT_PRINTED = "not published"
Key = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Which facts of a number make a table's columns, rows and blocks: the keys of `NAMES`; "label" is the method.

    Of several columns the last is the title, the others span it. A fact that has one value stands in the table's title.
    Values are means over the conditions where these are named nowhere; any other fact that varies makes blocks.
    """

    columns: Key
    rows: Key = ("label",)
    blocks: Key = ()


BY_DATASET = Layout(("dataset", "shots"), blocks=("metric",))  # thesis, tables 4.3, 4.5 and 4.6
BY_CONDITION_AND_METRIC = Layout(("condition", "metric"))  # HierInv, table 1; ISFRNet, tables 1 and 2
BY_DATASET_AND_METRIC = Layout(("dataset", "metric"), blocks=("condition",))  # thesis, tables 5.3 and 5.4
OF_ONE_METHOD = Layout(("metric",), ("condition",), ("label", "dataset", "shots"))


class Name(NamedTuple):
    """How a table calls a value of a fact, and the heading that it shares with its neighbours."""

    title: str
    group: str = ""


Names = Mapping[str, Mapping[str, Name]]  # fact -> its values, in order


def arrange(
    rows: pd.DataFrame | str | Path,
    layout: Layout,
    *,
    metrics: Sequence[str] | None = None,
    per_image: PerImage | pd.DataFrame | None = None,
    protocol: dict[str, Any] | None = None,
    chosen: Names | None = None,
    digits: Callable[[Any], int | None] = lambda row: None,
) -> Table:
    """A table of result rows (`results.parquet`, or a run's folder) in a layout, with the marks of `marks.NOTE`.

    `metrics` are names such as "fid@embedded"; by default the main metrics (see `tables.main_metrics`). `per_image`
    rows serve the test. Of the facts that are `chosen`, only these values are shown, in this order and by these names;
    methods go by their label. `digits`: the decimals of a row of `results.over_seeds`; None: its metric's.
    Raises BenchError for a metric that the rows lack, for several variants of SSIM, and where nothing is left.
    """
    if not isinstance(rows, pd.DataFrame):
        run = results.load(Path(rows))
        rows, protocol = run.rows, protocol or run.protocol
        per_image = run.per_image if per_image is None else per_image
    rows = results.tidy(rows)
    known = list(dict.fromkeys(rows["metric"]))
    metrics = checked(metrics or main_metrics(known, protocol))
    if unknown := [metric for metric in metrics if metric not in known]:
        raise BenchError(f"unknown metric {', '.join(unknown)}; these results have {', '.join(known)}")
    rows = rows[rows["metric"].isin(metrics)]
    for field, names in (chosen or {}).items():
        rows = rows[rows[field].isin(list(names))]
    if rows.empty:
        raise BenchError("no row has all that was chosen: no number is left")
    pairs = per_image if isinstance(per_image, PerImage) else PerImage(per_image, rows)
    below: list[str] = []
    if "condition" not in (*layout.columns, *layout.rows, *layout.blocks) and rows["condition"].nunique() > 1:
        named = (chosen or {}).get("condition") or usual(rows, metrics, families=False)["condition"]
        averaged = [
            f"{named[name].group} {named[name].title}".strip() for name in named if name in set(rows["condition"])
        ]
        below.append(f"Means over {len(averaged)} conditions: {', '.join(averaged)}.")
        pairs = pairs.over(set(rows["condition"]))
        rows = over_conditions(rows)
    cells = results.over_seeds(rows)
    varies = {field for field in NAMES if field == "metric" or cells[field].nunique() > 1}
    across = tuple(f for f in layout.columns if f in varies) or layout.columns[-1:]
    down = tuple(f for f in layout.rows if f in varies) or layout.rows[-1:]
    rest = [field for field in NAMES if field in varies and field not in (*across, *down, *layout.blocks)]
    apart = (*(field for field in layout.blocks if field in varies), *rest)
    titles = {**usual(cells, metrics, across == ("condition",)), **(chosen or {})}
    higher = dict(zip(cells["metric"], cells["higher_is_better"].astype(bool), strict=True))
    lookup = {
        tuple(getattr(r, field) for field in (*apart, *down, *across)): cell(r, digits(r)) for r in cells.itertuples()
    }
    heads = _keys(cells, across, titles)
    columns = [_column(key, across, titles, higher) for key in heads]
    above, beside, blocks = _keys(cells, apart, titles) if apart else [()], [], []
    for block in above:
        inside = cells[(cells[list(apart)] == list(block)).all(axis=1)] if apart else cells
        beside.append(_keys(inside, down, titles))
        lines = []
        for row in beside[-1]:
            there = [lookup.get((*block, *row, *key)) for key in heads]
            none = Cell(note=NOT_PRINTED if any(one and one.apart for one in there) else NOT_RUN)
            title, group = _joined(row, down, titles), titles[down[0]][row[0]].group
            lines.append(Row(title, tuple(one or none for one in there), group))
        direction = higher[block[apart.index("metric")]] if "metric" in apart else None
        blocks.append(Block(tuple(lines), _joined(block, apart, titles), direction))
    alone = {field: cells[field].iloc[0] for field in Place._fields}

    def beaten(b: int, c: int) -> Beaten:
        keys = ((*above[b], *row, *heads[c]) for row in beside[b])
        places = [Place(**alone | dict(zip((*apart, *down, *across), key, strict=True))) for key in keys]
        return pairs.beaten(places)

    fixed = [titles[f][alone[f]].title for f in ("label", "dataset", "shots", "condition") if f not in varies]
    head = f"{_named(layout.rows).capitalize()} by {_named(across)}"
    made = marked(blocks, columns, beaten) if "label" in down else tuple(blocks)
    return Table(
        title=": ".join(filter(None, [head, ", ".join(filter(None, fixed))])),
        stub=_named(down).capitalize(),
        columns=tuple(columns),
        blocks=made,
        notes=(*below, *notes(cells, protocol, made, {label: name.title for label, name in titles["label"].items()})),
    )


def by_metric(rows: pd.DataFrame, method: str, *, protocol: dict[str, Any] | None = None) -> Table:
    """Conditions × all metrics of one method (its registry or printed name), a block for each data set and shots.

    Of several variants of SSIM the first is shown.

    Raises BenchError for an unknown method.
    """
    labelled = results.tidy(rows)
    chosen = labelled[(labelled["method"] == method) | (labelled["label"] == method)]
    if chosen.empty:
        known = ", ".join(dict.fromkeys(labelled["method"]))
        raise BenchError(f"unknown method {method}; these results have {known}")
    return arrange(chosen, OF_ONE_METHOD, metrics=compatible(list(dict.fromkeys(chosen["metric"]))), protocol=protocol)


def over_conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """Tidy rows whose values are means over all conditions, without intervals; NaN where a condition has no value."""
    asked = rows["condition"].nunique()
    noted = rows.assign(note=rows["note"].where(rows["note"] != ""), condition="")
    groups = noted.groupby([*results.CELL, "seed"], sort=False)
    names = ("suite", "label", "metric_title", "extractor", "caution", "higher_is_better")
    facts = {name: (name, "first") for name in names}
    mean = groups.agg(**facts, note=("note", "first"), value=("value", "mean"), n=("n", "min"), got=("value", "count"))
    partial = (mean["got"] > 0) & (mean["got"] < asked)
    counts = mean["got"].astype(str) + f" of {asked} conditions"
    mean["note"] = mean["note"].where(~partial, counts).fillna("")
    mean["value"] = mean["value"].where(mean["got"] == asked)
    return mean.assign(low=float("nan"), high=float("nan")).reset_index().drop(columns="got")


def usual(cells: pd.DataFrame, metrics: Sequence[str], families: bool) -> dict[str, dict[str, Name]]:
    """The usual name of every value of every fact, in the order in which a table has them.

    With `families`, conditions stand below the name of their masks; else they hold it.
    """
    printed = dict(zip(cells["metric"], cells["metric_title"], strict=True))
    found = conditions.ordered(cells["condition"])
    return {
        "label": {label: Name(label) for label in dict.fromkeys(cells["label"])},
        "dataset": {name: Name(name) for name in dict.fromkeys(cells["dataset"])},
        "shots": {number: Name(title) for number, title in results.shots_titles(cells["shots"]).items()},
        "condition": {x.name: Name(x.label, x.family) if families else Name(x.title) for x in found},
        "metric": {metric: Name(printed[metric]) for metric in metrics},
    }


def _keys(cells: pd.DataFrame, fields: Key, titles: Names) -> list[Key]:
    """The values of these facts that occur, in the tables' order."""
    found = set(cells[list(fields)].drop_duplicates().itertuples(index=False, name=None))
    return [key for key in product(*(titles[field] for field in fields)) if key in found]


def _column(key: Key, fields: Key, titles: Names, higher: Mapping[str, bool]) -> Column:
    direction = higher[key[fields.index("metric")]] if "metric" in fields else None
    last = titles[fields[-1]][key[-1]]
    return Column(last.title, _joined(key[:-1], fields[:-1], titles, grouped=True) or last.group, direction)


def _joined(key: Key, fields: Key, titles: Names, grouped: bool = False) -> str:
    names = [titles[field][value] for field, value in zip(fields, key, strict=True)]
    return ", ".join(f"{name.group} {name.title}".strip() if grouped else name.title for name in names)


def _named(fields: Key) -> str:
    return " and ".join(NAMES[field] for field in fields)
