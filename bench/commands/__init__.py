"""Commands of `facebench` that have more than a few options, one group a file; `bench.cli` collects them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.errors import BenchError
from bench.terminal import Terminal

if TYPE_CHECKING:
    from bench.stored import Cell

out = Terminal(width=None if sys.stdout.isatty() else 160)

RUN = "A suite's folder, such as runs/quickstart, or that of one completion, runs/jobs/complete-..."
Moved = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR or NAME=DIR", help="Where the images of a data set are, if not where they were."),
]


def is_frozen(masks: Path, options: Mapping[str, Any]) -> bool:
    """Whether `--masks` names a frozen set, not a folder; BenchError where options of mask files stand beside it."""
    if masks.suffix != ".npz":
        return False
    if given := [name for name, value in options.items() if value is not None and value is not False]:
        raise BenchError(f"{given[0]} is for folders of mask files, and {masks} is a frozen set: leave it out")
    return True


def chosen(cells: Iterable[Cell], methods: str | None, conditions: str | None, datasets: str | None) -> list[Cell]:
    """The cells that the options name; BenchError says what a run has where one names nothing of it."""
    kept = list(cells)
    for option, given, keys in (
        ("--methods", methods, ("method", "title")),
        ("--conditions", conditions, ("condition",)),
        ("--datasets", datasets, ("dataset",)),
    ):
        wanted = given.split(",") if given else []
        there = {cell.row[key] for cell in kept for key in keys}
        if unknown := [name for name in wanted if name not in there]:
            raise BenchError(f"{option}: the run has no pictures of {unknown[0]!r}: it has {', '.join(sorted(there))}")
        kept = [cell for cell in kept if not wanted or any(cell.row[key] in wanted for key in keys)]
    return kept
