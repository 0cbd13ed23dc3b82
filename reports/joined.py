"""Several runs in one report: rows of another run, where their columns mean the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from reports.results import CELL, METHOD, OF_ROWS, Results, differences, load, tidy

ONE = [*CELL, "seed"]  # columns that tell one row from all others


def joined(run: Path, others: Sequence[Path], mix: bool = False) -> Results:
    """The results of `run`, with the rows of the others whose columns it has: equal `protocol` hashes.

    Of a row that both have, that of `run` stays, unless it alone has no value: it failed there, say. The protocol says
    under `joined` what came from where. Raises BenchError for a run that shares no column, and as `load`.
    """
    found = load(run, mix)
    for folder in others:
        found = _with(found, load(folder, mix), folder)
    return found


def _with(found: Results, other: Results, folder: Path) -> Results:
    asked = set(found.rows.get("protocol", ())) - {""}
    theirs = other.rows["protocol"] if "protocol" in other.rows else pd.Series("", index=other.rows.index)
    same = theirs.isin(asked)
    ours = found.rows[found.rows["value"].notna() | ~_known(found.rows, other.rows[same & other.rows["value"].notna()])]
    new = same & ~_known(other.rows, ours)
    if not same.any():
        raise BenchError(
            f"{folder} shares no column with the run, so its rows stay away: {why(found.rows, other.rows)}"
        )
    rows = tidy(pd.concat([ours, other.rows[new].assign(suite=found.rows["suite"].iloc[0])]).drop(columns="label"))
    titles = dict.fromkeys(other.rows["title"][new])
    columns = other.rows["protocol"][new].nunique()
    text = f"{', '.join(titles) or 'no further row'} of {folder}: {columns} of {theirs.nunique()} columns"
    if columns < theirs.nunique():
        text += f"; of the others, {why(found.rows, other.rows[~same])}"
    told = {name: [*(found.protocol.get(name) or []), *_of(titles, other.protocol.get(name) or [])] for name in OF_ROWS}
    return replace(
        found,
        rows=rows,
        per_image=_beside(found.per_image, other.per_image, rows, ONE),
        losses=_beside(found.losses, other.losses, rows, [*METHOD, "dataset", "shots", "seed"]),
        costs=_beside(found.costs, other.costs, rows, METHOD),
        protocol=found.protocol
        | {name: list(dict.fromkeys(lines)) for name, lines in told.items()}
        | {"joined": [*found.protocol.get("joined", []), text]},
    )


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


def _known(rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Which rows stand among others, by what tells one from all others."""
    there = set(others[ONE].itertuples(index=False, name=None))
    return pd.Series(
        [row in there for row in rows[ONE].itertuples(index=False, name=None)], index=rows.index, dtype=bool
    )


def _beside(
    ours: pd.DataFrame | None, theirs: pd.DataFrame | None, rows: pd.DataFrame, keys: list[str]
) -> pd.DataFrame | None:
    """What belongs to the rows, of both runs; ours where both have it."""
    if theirs is None:
        return ours
    wanted = set(rows[keys].itertuples(index=False, name=None))
    if ours is not None:
        wanted -= set(ours[keys].itertuples(index=False, name=None))
    kept = [row in wanted for row in theirs[keys].itertuples(index=False, name=None)]
    return theirs[kept] if ours is None else pd.concat([ours, theirs[kept]], ignore_index=True)
