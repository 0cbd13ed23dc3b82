"""Tables of user studies, in the shape of the thesis' tables 4.2 (methods x data sets) and 6.3 (pairs x conditions)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.study.design import Place
from reports import conditions
from reports.marks import marked
from reports.published import compare, load
from reports.study.results import Scored
from reports.study.scores import ALPHA, FIRST, PREFERENCE, RANK, STRENGTH
from reports.table import Block, Cell, Column, Row, Table

TITLES = {"ranking": "ranking", "2afc": "two-alternative forced choice", "best": "best of all"}
HEADS: dict[str, tuple[str, bool, int, float]] = {  # of a measure: head, higher is better, decimals, factor
    RANK: ("Average rank", False, 2, 1),
    FIRST: ("First ranks (%)", True, 2, 100),
    STRENGTH: ("Strength", True, 2, 1),
}
MARKS = (
    "Bold: the best, whose 95% interval lies apart from all others'; the second best is underlined. Where none does, "
    "the best is underlined, and all that its interval does not tell from it."
)
SURE = "Bold: people prefer one of the two beyond chance (the 95% interval is without 50%)."
INTERVALS = (
    "95% intervals over people and images, which are crossed: the variances of three bootstraps (2,000 draws each), "
    "over people plus over images minus over votes, and never less than one of these."
)
STRENGTHS = "Strength: Bradley-Terry, on the log scale, of mean 0: a is preferred to b with odds of exp(difference)."


def tables(scored: Scored) -> dict[str, Table]:
    """The tables of one study, by the stem of their files, plain and with intervals."""
    stem = f"study-{scored.name}"
    made = {stem: _pairs(scored) if scored.study.kind == "2afc" else _methods(scored)}
    if scored.study.kind == "2afc":
        made[f"{stem}-strengths"] = _methods(scored)
    return made | {f"{name}-intervals": replace(table, intervals=True) for name, table in made.items()}


def _methods(scored: Scored) -> Table:
    """A row a method; for each place a column for each measure, and the published numbers beside them."""
    rows = scored.scores
    names = list(dict.fromkeys(rows["method"][rows["method"] != ""]))
    columns: list[Column] = []
    lines: dict[str, list[Cell]] = {name: [] for name in names}
    for place, group in places(scored).items():
        for measure, (head, higher, decimals, factor) in HEADS.items():
            found = {r.method: r for r in _here(rows, place, measure).itertuples()}
            if not found:
                continue
            columns.append(Column(head, group, higher))
            for name in names:
                lines[name].append(_cell(found.get(name), decimals, factor))
            printed = {name: _published(place, measure, name) for name in names}
            if any(cell is not None for cell in printed.values()):
                columns.append(Column("published", group))
                for name in names:
                    lines[name].append(printed[name] or Cell())
    blocks = marked(
        [Block(tuple(Row(name, tuple(line)) for name, line in lines.items()))], columns, lambda b, c: _untested
    )
    notes = (MARKS, INTERVALS, STRENGTHS, *said(scored))
    return Table(titled(scored), "Method", tuple(columns), blocks, notes)


def _pairs(scored: Scored) -> Table:
    """A row a comparison; for each place the share of votes for the first of the two."""
    rows = scored.scores[scored.scores["measure"] == PREFERENCE]
    pairs = list(dict.fromkeys(zip(rows["method"], rows["against"], strict=True)))
    columns: list[Column] = []
    lines: dict[tuple[str, str], list[Cell]] = {pair: [] for pair in pairs}
    for place, group in places(scored).items():
        here = {(r.method, r.against): r for r in _here(rows, place, PREFERENCE).itertuples()}
        printed = {pair: _preferred(place, *pair) for pair in pairs if pair in here}
        columns.append(Column("For the first (%)", group))
        for pair in pairs:
            lines[pair].append(_sure(_cell(here.get(pair), 2, 100)))
        if any(cell is not None for cell in printed.values()):
            columns.append(Column("published", group))
            for pair in pairs:
                lines[pair].append(printed.get(pair) or Cell())
    block = Block(tuple(Row(f"{a} vs {b}", tuple(line)) for (a, b), line in lines.items()))
    notes = (SURE, INTERVALS, *said(scored))
    return Table(titled(scored), "Comparison", tuple(columns), (block,), notes)


def titled(scored: Scored) -> str:
    """What a study is called in reports."""
    return f"User study {scored.name}, {TITLES[scored.study.kind]}"


def said(scored: Scored) -> tuple[str, ...]:
    """How many people and votes stand behind the numbers, how far they agree, and who was left out, and why."""
    people, lines = scored.people, []
    for place, group in places(scored).items():
        for row in _here(scored.scores, place, ALPHA).itertuples():
            known = "" if math.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
            agreed = (
                "Krippendorff's alpha cannot be known"
                if math.isnan(row.value)
                else f"Krippendorff's alpha {row.value:.2f}{known}"
            )
            votes = f"{row.votes:,.0f} votes on {row.images:.0f} images"
            lines.append(f"{group}: {row.people:.0f} people, {votes}, {agreed}.")
    counted = people[people["reason"] == ""]
    if len(alike := counted["alike"].dropna()):
        chance = "one in as many as a question shows" if scored.study.kind == "best" else "50%"
        lines.append(
            f"Repeated questions: {alike.mean():.0%} of their pairs were judged as before (by chance: {chance})."
        )
    if len(counted) and counted["obvious"].max() == 0:
        lines.append("There were no obvious questions: nothing tells people who answered at random.")
    return (*lines, left_out(scored))


def left_out(scored: Scored) -> str:
    """Whose votes do not count, and why."""
    people = scored.people
    left = [f"{row.name} ({row.reason})" for row in people[people["reason"] != ""].itertuples(index=False)]
    return f"LEFT OUT, {len(left)} of {len(people)} people: {'; '.join(left)}." if left else "Nobody was left out."


def _untested(best: int, rivals: list[int]) -> dict[int, bool]:
    """No test beside the intervals, which then decide."""
    return {}


def _sure(cell: Cell) -> Cell:
    return replace(cell, mark="best") if cell.low > 50 or cell.high < 50 else cell


def places(scored: Scored) -> Mapping[Place, str]:
    """The places with scores, and how their columns are headed."""
    here = {(r.dataset, r.condition) for r in scored.scores.itertuples()}
    found = [place for place in scored.study.places if (place.dataset, place.condition) in here]
    several = len({place.condition for place in found}) > 1
    return {place: ", ".join([place.dataset, *[conditions.parse(place.condition).title] * several]) for place in found}


def _here(rows: pd.DataFrame, place: Place, measure: str) -> pd.DataFrame:
    there = (rows["dataset"] == place.dataset) & (rows["condition"] == place.condition)
    return rows[there & (rows["measure"] == measure)]


def _cell(row: Any, decimals: int, factor: float) -> Cell:
    if row is None:
        return Cell(note="not compared")
    return Cell(row.value * factor, decimals, row.low * factor, row.high * factor)


def _published(place: Place, measure: str, method: str) -> Cell | None:
    return next(_printed(place, measure, lambda name: compare.same_name(name) == compare.same_name(method)), None)


def _preferred(place: Place, first: str, second: str) -> Cell | None:
    wanted = [compare.same_name(first), compare.same_name(second)]
    found = _printed(
        place, f"preference for {first}", lambda name: [*map(compare.same_name, name.split(" vs "))] == wanted
    )
    return next(found, None)


def _printed(place: Place, measure: str, of_method: Callable[[str], bool]) -> Iterator[Cell]:
    """The published numbers of user studies; a condition that tells of people and votes alone fits every one."""
    for row in load().itertuples():
        if "user study" in row.task and row.metric == measure and of_method(row.method):
            condition = compare.condition(row)
            alike = compare.same_name(row.dataset) == compare.same_name(place.dataset)
            if alike and condition in ("", place.condition):
                yield Cell(row.value, len(row.printed.partition(".")[2]))
