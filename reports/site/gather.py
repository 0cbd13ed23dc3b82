"""Rows of many runs and packs -> boards: all that was measured on a data set by columns that mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from reports import markup, results
from reports.joined import called, first_valued, renamed, retitled
from reports.marks import PerImage
from reports.results import CELL, METHOD, OF_ROWS, Results

Column = tuple[str, str]  # condition, metric
UNION = ("framed", "missing")  # lists of a protocol that are joined as they are


@dataclass(frozen=True)
class Source:
    """A run or a pack, as it is shown."""

    name: str
    folder: Path
    """Where its tables lie."""
    pack: Path | None = None
    """The file, to be offered."""
    identity: str = ""
    """SHA-256 of the file."""
    system: Mapping[str, Any] = field(default_factory=dict)
    """What it says of who ran it on what."""
    withdrawn: Sequence[tuple[str, str]] = ()
    """What was taken back, and why."""
    division: str = ""
    """closed, or open and what differs; "" where nobody looked."""


@dataclass(frozen=True)
class Board:
    """One data set, and rows that may be compared.

    `origin`: title -> numbers of the sources of its rows, and its title in each. `came_from`: the source of each row.
    """

    title: str
    slug: str
    dataset: str
    found: Results
    sources: tuple[int, ...]
    origin: dict[str, dict[int, str]]
    came_from: list[int]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The means over seeds."""
        return results.over_seeds(self.found.rows)

    @cached_property
    def per_image(self) -> PerImage:
        """The values of single images."""
        return PerImage(self.found.per_image, self.cells)


@dataclass
class _Open:
    """A board that takes rows."""

    dataset: str
    columns: dict[Column, str] = field(default_factory=dict)
    parts: dict[int, pd.DataFrame] = field(default_factory=dict)

    def takes(self, columns: Mapping[Column, str]) -> bool:
        """Whether some of these columns are known here, and all that are mean the same."""
        shared = [column for column in columns if column in self.columns]
        return bool(shared) and all(columns[column] == self.columns[column] for column in shared)


def gather(sources: Sequence[Source], found: Sequence[Results]) -> list[Board]:
    """The boards of all sources, in their order.

    Rows of equal `protocol` hashes share a board; older results, which have none, have a board of their own. A row that
    a board has already is shown once. Another one of the same title is `called` by its source.
    """
    opened: list[_Open] = []
    for number, run in enumerate(found):
        for dataset, rows in run.rows.groupby("dataset", sort=False):
            columns = _columns(rows, number)
            board = next((b for b in opened if b.dataset == dataset and b.takes(columns)), None)
            if board is None:
                opened.append(board := _Open(str(dataset)))
            board.columns |= columns
            board.parts[number] = rows
    titles = [_title(board, opened, sources, found) for board in opened]
    slugs = markup.slugs(titles)
    return [_board(board, title, slugs[title], sources, found) for board, title in zip(opened, titles, strict=True)]


def _columns(rows: pd.DataFrame, number: int) -> dict[Column, str]:
    """What the columns of a source mean."""
    hashes = rows["protocol"] if "protocol" in rows else pd.Series("", index=rows.index)
    keys = zip(rows["condition"], rows["metric"], strict=True)
    return {key: said or f"of source {number}" for key, said in zip(keys, hashes, strict=True)}


def _title(board: _Open, opened: Sequence[_Open], sources: Sequence[Source], found: Sequence[Results]) -> str:
    """The data set, and whose protocol it is where there are several."""
    alike = [other for other in opened if other.dataset == board.dataset]
    if len(alike) == 1:
        return board.dataset
    first = next(iter(board.parts))
    suites = [_suite(found[next(iter(other.parts))]) for other in alike]
    name = _suite(found[first])
    return f"{board.dataset}, {name if name and suites.count(name) == 1 else sources[first].name}"


def _suite(run: Results) -> str:
    suite = run.protocol.get("suite", "")
    return str(suite.get("suite", "") if isinstance(suite, dict) else suite)


def _board(board: _Open, title: str, slug: str, sources: Sequence[Source], found: Sequence[Results]) -> Board:
    every = pd.DataFrame()
    origin: dict[str, dict[int, str]] = {}
    frames: dict[str, list[pd.DataFrame]] = {"per_image": [], "losses": [], "costs": []}
    protocols = []
    for number, part in board.parts.items():
        named = called(part, every, sources[number].name) if len(every) else {name: name for name in part["title"]}
        every = first_valued(pd.concat([every, retitled(part, named).assign(source=number)], ignore_index=True))
        new = every[every["source"] == number]
        if new.empty:
            continue
        for theirs, mine in named.items():
            if mine in set(new["title"]):
                origin.setdefault(mine, {})[number] = theirs
        for name, made in frames.items():
            table = getattr(found[number], name)
            if table is not None:
                made.append(_of(table, new, named, board.dataset))
        protocols.append(renamed(found[number].protocol, named))
    tables = {name: pd.concat(made, ignore_index=True) if made else None for name, made in frames.items()}
    came_from = [int(number) for number in every["source"]]
    every = results.tidy(every.drop(columns=["label", "source"]))
    if (losses := tables["losses"]) is not None:
        labels = every.drop_duplicates(METHOD)[[*METHOD, "label"]]
        tables["losses"] = losses.drop(columns="label").merge(labels, on=METHOD)
    numbers = tuple(dict.fromkeys(number for theirs in origin.values() for number in theirs))
    per_image, losses, costs = (tables[name] for name in ("per_image", "losses", "costs"))
    run = Results(every, per_image, losses, costs, _together(protocols), samples=Path())
    return Board(title, slug, board.dataset, run, numbers, origin, came_from)


def _of(table: pd.DataFrame, rows: pd.DataFrame, named: Mapping[str, str], dataset: str) -> pd.DataFrame:
    """What belongs to rows that are shown, under the titles that they have there."""
    theirs = {name: title for title, name in named.items()}
    shared = [column for column in (*CELL, "seed") if column in table]
    kept = rows.assign(title=rows["title"].map(theirs))[shared].drop_duplicates()
    here = table["title"].isin(set(kept["title"]))
    if "dataset" in table:
        here &= table["dataset"] == dataset
    table = table[here]
    if "condition" in table and len(kept) < len(table[shared].drop_duplicates()):
        wanted = set(kept.itertuples(index=False, name=None))
        table = table[[key in wanted for key in table[shared].itertuples(index=False, name=None)]]
    return retitled(table, named)


def _together(protocols: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is said below tables of rows of several protocols, which agree in their columns."""
    made = {name: list(dict.fromkeys(x for p in protocols for x in p.get(name) or [])) for name in (*OF_ROWS, *UNION)}
    hashes = {protocol.get("hash") for protocol in protocols}
    return {"suite": protocols[0].get("suite", ""), **made} | ({"hash": hashes.pop()} if len(hashes) == 1 else {})
