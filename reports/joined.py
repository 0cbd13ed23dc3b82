"""Several runs in one report: rows of another run, where their columns mean the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import BenchError
from reports.results import CELL, METHOD, OF_ROWS, WITHDRAWN, Results, differences, labels, load, tidy

ONE = [*CELL, "seed"]  # columns that tell one row from all others
CLOSE = 1e-4  # by which values of a network may differ on another machine, of their size
OTHERWISE = "its method, training or values are others"
UNTOLD = ", or its training is not told, in older results: run the suite again"


def joined(run: Path, others: Sequence[Path], mix: bool = False) -> Results:
    """The results of `run`, with the rows of the others whose columns it has: equal `protocol` hashes.

    Of a row that both have, that of `run` stays, unless it alone has no value: it failed there, say. A row of the same
    title that is another one is `called` by its run. The protocol says under `joined` what came from where. Raises
    BenchError for a run that shares no column, and as `load`.
    """
    found = load(run, mix)
    for folder in others:
        found = _with(run, found, load(folder, mix), folder)
    return found


def _with(run: Path, found: Results, other: Results, folder: Path) -> Results:
    if said := found.older(run) or other.older(folder):
        raise BenchError(said)
    columns = other.rows["protocol"]
    same = columns.isin(set(found.rows["protocol"]) - {""})
    if not same.any():
        raise BenchError(
            f"{folder} shares no column with the run, so its rows stay away: {why(found.rows, other.rows)}"
        )
    named = called(other.rows[same], found.rows, folder.resolve().name)
    theirs = retitled(other.rows[same], named).assign(suite=found.rows["suite"].iloc[0])
    both = first_valued(pd.concat([found.rows, theirs], ignore_index=True))
    rows, titles = tidy(both.drop(columns="label")), list(dict.fromkeys(both["title"][both.index >= len(found.rows)]))
    text = f"{', '.join(titles) or 'none'} of {folder}{'' if titles else ', whose rows stand there already'}: "
    text += f"{columns[same].nunique()} of {columns.nunique()} columns"
    if not same.all():
        text += f"; of the others, {why(found.rows, other.rows[~same])}"
    for old, new in named.items():
        if new != old and new in titles:
            told = "model" in found.rows and "model" in other.rows
            text += f"; {new} stands apart from {old}: {OTHERWISE}{'' if told else UNTOLD}"
    protocol = renamed(other.protocol, named)
    lists = {name: [*(found.protocol.get(name) or []), *_of(titles, protocol[name])] for name in OF_ROWS}
    per_image, losses, costs = (
        None if table is None else _missing(retitled(table, named), ours, rows, keys)
        for table, ours, keys in (
            (other.per_image, found.per_image, ONE),
            (other.losses, found.losses, [*METHOD, "dataset", "shots", "seed"]),
            (other.costs, found.costs, METHOD),
        )
    )
    losses = _together(found.losses, losses)
    return replace(
        found,
        rows=rows,
        per_image=_together(per_image, found.per_image),  # ours last: see `scored.kept`
        losses=None if losses is None else losses.assign(label=labels(losses)),
        costs=_together(found.costs, costs),
        protocol=found.protocol
        | {name: list(dict.fromkeys(lines)) for name, lines in lists.items()}
        | {"joined": [*found.protocol.get("joined", []), text]},
        elsewhere=found.elsewhere | ({*titles} - {*found.rows["title"]}),
    )


def called(rows: pd.DataFrame, known: pd.DataFrame, run: str) -> dict[str, str]:
    """What the titles of a run's rows are called beside rows that are known: "TITLE (RUN)" where these are others.

    Rows of one title are the same where their method and preset are, and what decides their pictures, whatever the seed
    (`bench.identity.of_row`; older results do not tell it, so there no seed joins others), and no value differs.
    """
    rows, known = _told(rows), _told(known)
    named = {}
    for title, theirs in rows.groupby("title", sort=False):
        numbered = (f"{title} ({run}{f' {i}' if i > 1 else ''})" for i in count(1))
        names = (str(title), *(next(numbered) for _ in range(len(known) + 1)))
        named[str(title)] = next(name for name in names if _agree(theirs, known[known["title"] == name]))
    return named


def _told(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with what decides their pictures."""
    model = rows["model"] if "model" in rows else pd.Series("", index=rows.index)
    return rows.assign(model=model.where(model != "", "of seed " + rows["seed"].astype(str)))


def _agree(theirs: pd.DataFrame, ours: pd.DataFrame) -> bool:
    """Whether rows of one title are the same: see `called`."""
    kinds, made = (
        [set(rows[columns].itertuples(index=False, name=None)) for rows in (theirs, ours)]
        for columns in (["method", "preset"], ["dataset", "shots", "model"])
    )
    places = {(dataset, shots) for dataset, shots, _ in made[1]}
    if (kinds[1] and kinds[0].isdisjoint(kinds[1])) or any(one[:2] in places for one in made[0] - made[1]):
        return False
    both = theirs.merge(ours, on=[column for column in ONE if column != "title"])
    close = np.isclose(both["value_x"], both["value_y"], rtol=CLOSE, atol=0)
    apart = ~close & both["value_x"].notna() & both["value_y"].notna()
    taken = [both[note].str.startswith(WITHDRAWN) for note in ("note_x", "note_y")]
    return not (apart | (taken[0] != taken[1])).any()


def first_valued(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each row the first that has a value, else the first."""
    return rows.sort_values("value", key=pd.Series.isna, kind="stable").drop_duplicates(ONE).sort_index()


def retitled(table: pd.DataFrame, named: Mapping[str, str]) -> pd.DataFrame:
    """A table whose titles are what they are `called`."""
    if all(title == name for title, name in named.items()):
        return table
    return table.assign(title=table["title"].astype(object).replace(dict(named)))


def renamed(protocol: Mapping[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    """A protocol whose lists of rows say what these are `called`."""

    def line(text: str) -> str:
        title = next((title for title in named if text.startswith(f"{title}: ")), None)
        return text if title is None else named[title] + text[len(title) :]

    return {**protocol} | {name: [line(text) for text in protocol.get(name) or []] for name in OF_ROWS}


def _of(titles: Collection[str], lines: Sequence[str]) -> list[str]:
    """The lines of `OF_ROWS` that are about these rows."""
    return [line for line in lines if any(line.startswith(f"{title}: ") for title in titles)]


def why(rows: pd.DataFrame, others: pd.DataFrame) -> str:
    """What the columns of two runs differ in."""
    both = pd.concat([rows, others], ignore_index=True)
    if found := differences(both):
        return "; ".join([line for line in found if not line.startswith("protocol")] or found)
    for name in ("dataset", "condition", "metric"):
        if not set(rows[name]) & set(others[name]):
            texts = (", ".join(dict.fromkeys(part[name])) for part in (rows, others))
            return f"they have no {name} in common: {' and '.join(texts)}"
    return "`protocol` of results.parquet tells which columns are the same"


def _missing(theirs: pd.DataFrame, ours: pd.DataFrame | None, rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """What belongs to the rows and ours does not have."""
    wanted = set(rows[keys].itertuples(index=False, name=None))
    if ours is not None:
        wanted -= set(ours[keys].itertuples(index=False, name=None))
    return theirs[[row in wanted for row in theirs[keys].itertuples(index=False, name=None)]]


def _together(*tables: pd.DataFrame | None) -> pd.DataFrame | None:
    there = [table for table in tables if table is not None]
    return pd.concat(there, ignore_index=True) if len(there) > 1 else next(iter(there), None)
