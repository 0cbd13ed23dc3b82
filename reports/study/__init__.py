"""User studies: the page that people open (`study_page`), the scores of their votes, and what reports show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bench.study.files import FOLDER, Study
from reports.study import results, votes
from reports.study.figure import draw
from reports.study.page import study_page
from reports.study.results import of_run
from reports.study.tables import left_out, tables
from reports.table import Table

__all__ = ["Said", "draw", "of_run", "score", "study_page", "tables"]


@dataclass(frozen=True)
class Said:
    """What scoring a study tells."""

    tables: list[Table]
    """Without their notes."""
    notes: list[str]
    """What is said of the tables, and whose votes do not count, and why: each once."""
    run: Path | None
    """The run whose report shows the study's tables and figure; None where the folder is in no run."""


def score(folder: Path, mistakes: int = 0) -> Said:
    """Score the votes in a study's folder, and write DIR/scores.csv and DIR/people.csv.

    People with more than `mistakes` wrong answers to obvious questions do not count. BenchError as of `votes.read`.
    """
    scored = results.keep(votes.read(Study.read(folder), mistakes))
    place = folder.resolve()
    run = place.parents[1]
    inside = place.parent.name == FOLDER and (run / "results.parquet").exists()
    shown = [table for table in tables(scored).values() if table.intervals]
    notes = dict.fromkeys(note for table in shown for note in table.notes)
    last = left_out(scored)
    return Said(
        [replace(table, notes=()) for table in shown],
        [*(note for note in notes if note != last), last],
        run if inside else None,
    )
