"""User studies: the page that people open (`study_page`), the scores of their votes, and what reports show."""

from __future__ import annotations

from dataclasses import dataclass
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
    left_out: str
    """Whose votes do not count, and why."""
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
    return Said(shown, left_out(scored), run if inside else None)
