"""Leaderboards: the first page, and a table for each board and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from reports import conditions, markup, numbers
from reports import tables as made
from reports.page import Blocks, table_html
from reports.report import write_table
from reports.site.gather import Board, Source
from reports.site.methods import Entrant
from reports.site.pages import Pages
from reports.table import Table

Tables = dict[str, Table]  # by metric


def tables(board: Board) -> Tables:
    """Methods × conditions with marks and intervals, of each metric that has a value; the main ones first."""
    cells = board.cells
    known = list(dict.fromkeys(cells["metric"][cells["value"].notna()])) or list(dict.fromkeys(cells["metric"]))
    leading = made.main_metrics(known, board.found.protocol)
    order = [*leading, *(metric for metric in known if metric not in leading)]
    return {
        metric: replace(made.by_condition(cells, [metric], board.per_image, board.found.protocol), intervals=True)
        for metric in order
    }


def write(
    pages: Pages,
    boards: Sequence[Board],
    tables: Mapping[str, Tables],
    entrants: Sequence[Entrant],
    sources: Sequence[Source],
    cards: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write the first page, whose first table stands in it, and the tables that it loads."""
    listed, first = [], ""
    for board in boards:
        links = {entrant.labels[board.slug]: entrant.page for entrant in entrants if board.slug in entrant.labels}
        metrics = []
        for metric, stem in markup.slugs(tables[board.slug]).items():
            table, stem = tables[board.slug][metric], f"{board.slug}-{stem}"
            rows = board.cells[board.cells["metric"] == metric]
            text = table_html(stem, table, Blocks([board.dataset], rows["metric_title"]), links)
            pages.data(stem, text)
            write_table(table, pages.folder / "tables" / stem)
            first = first or text
            title = numbers.head(rows["metric_title"].iloc[0], bool(rows["higher_is_better"].iloc[0]))
            metrics.append({"title": title, "stem": stem})
        columns = [{"title": c.title, "name": c.name} for c in conditions.ordered(board.cells["condition"])]
        listed.append({"title": board.title, "metrics": metrics, "conditions": columns})
    every = [board.found for board in boards]
    counts = {
        "methods": len(entrants),
        "data sets": len({board.dataset for board in boards}),
        "conditions": len({name for run in every for name in run.rows["condition"]}),
        "metrics": len({name for run in every for name in run.rows["metric"]}),
        "results": sum(len(run.rows) for run in every),
    }
    missing = list(dict.fromkeys(line for run in every for line in run.protocol.get("missing") or []))
    pages.write(
        "index.html",
        "Leaderboards",
        "boards.html",
        data={"boards": listed},
        first=Markup(first),
        counts=counts,
        missing=missing,
        withdrawn=[(source.name, what, why) for source in sources for what, why in source.withdrawn],
        entrants=[(entrant, cards.get(entrant.method, {})) for entrant in entrants],
    )
