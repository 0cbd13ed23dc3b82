"""A study's folder: what was asked of whom, and the votes that came back.

study.json        kind, places, numbers of the design, what the pictures are
assignment.csv    a line a question: person, number, role, data set, condition, image, what stood in which position
pages/            person-01.html, ...: what people are given
votes-01.json     what they give back, here or in any folder below
scores.csv        what `reports.study` makes of it, with people.csv
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.store import read_json, write_json, write_text
from bench.study.design import KINDS, Place, Question

FOLDER = "studies"  # in a run's folder
FACTS, ASSIGNMENT, PAGES = "study.json", "assignment.csv", "pages"
SCORES, PEOPLE = "scores.csv", "people.csv"
FORMAT = "user study 1"
MADE = "run `facebench study make` again"  # what writes a study's folder anew
VOTES = "votes-*.json"
HEAD = ["person", "number", "role", "dataset", "condition", "image"]


@dataclass(frozen=True)
class Study:
    """What stands in a study's folder."""

    folder: Path
    facts: dict[str, Any]
    """study.json."""
    questions: dict[str, list[Question]]
    """Of each person, by number: "01"."""

    @property
    def id(self) -> str:
        """Names the study in pages and votes: a hash of design and pictures, not of how many people there are."""
        return str(self.facts["id"])

    @property
    def kind(self) -> str:
        return str(self.facts["kind"])

    @property
    def places(self) -> list[Place]:
        return [Place(one["dataset"], one["condition"], tuple(one["methods"])) for one in self.facts["places"]]

    @classmethod
    def read(cls, folder: Path) -> Study:
        """The study of a folder. Raises BenchError for a folder that is none, and names a damaged file."""
        path = folder / FACTS
        if not path.exists():
            below = sorted(str(found.parent) for found in folder.glob(f"**/{FACTS}"))
            hint = f"did you mean {' or '.join(below)}?" if below else "`facebench study make RUN` makes one"
            raise BenchError(f"{folder} is not the folder of a study ({FACTS} is missing): {hint}")
        facts = read_json(path, MADE)
        study = cls(folder, facts, {})
        try:
            if facts["format"] != FORMAT or facts["kind"] not in KINDS or not study.places:
                raise ValueError(f"its format is {facts['format']!r}")
            study.questions.update(read_assignment(folder / ASSIGNMENT))
        except (KeyError, TypeError, ValueError) as error:
            raise BenchError(f"{path} is damaged ({error!r}): {MADE}") from error
        return study

    def page(self, person: str) -> Path:
        """What a person is given."""
        return self.folder / PAGES / f"person-{person}.html"

    def write(self, before: Study | None = None) -> None:
        """Write study.json and assignment.csv. Pages and scores of what stood there `before`, of no part of it, go."""
        if before is None or before.id != self.id:
            for name in (SCORES, PEOPLE):
                (self.folder / name).unlink(missing_ok=True)
        kept = set(map(self.page, self.questions))
        for page in (self.folder / PAGES).glob("person-*.html"):
            if page not in kept:
                page.unlink()
        write_assignment(self.folder / ASSIGNMENT, self.questions)
        write_json(self.folder / FACTS, self.facts)

    def votes(self) -> list[Path]:
        """The files of votes in the folder and below it."""
        return sorted(self.folder.rglob(VOTES))


def names(people: int) -> list[str]:
    """What people are called: 01, 02, ..., 99, 100, ...; nobody is renamed when there are more."""
    return [f"{i:02}" for i in range(1, people + 1)]


def write_assignment(path: Path, questions: Mapping[str, Sequence[Question]]) -> Path:
    """Write who is asked what; `shown 1`, `shown 2`, ... are the positions."""
    rows = [
        {"person": person, "number": number, "role": one.role, "dataset": one.dataset, "condition": one.condition}
        | {"image": one.image}
        | {f"shown {i}": name for i, name in enumerate(one.shown, 1)}
        for person, asked in questions.items()
        for number, one in enumerate(asked, 1)
    ]
    return write_text(path, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def read_assignment(path: Path) -> dict[str, list[Question]]:
    """What `write_assignment` wrote, or somebody in the same form. BenchError names the file and the line."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {path}: {error}; give the file that `facebench study make` wrote") from error
    shown = [column for column in table if str(column).startswith("shown ")]
    if missing := [column for column in HEAD if column not in table] or (
        [] if len(shown) > 1 else ["shown 1, shown 2"]
    ):
        raise BenchError(f"{path} lacks the columns {', '.join(missing)}: write them as `facebench study make` does")
    found: dict[str, list[Question]] = {}
    for line, row in enumerate(table.to_dict("records"), 2):
        asked = found.setdefault(row["person"], [])
        names = tuple(row[column] for column in shown if row[column])
        if row["role"] not in ("asked", "repeated", "obvious") or not row["person"].isalnum():
            raise BenchError(f"{path}, line {line}: person is a number or letters, role is asked, repeated or obvious")
        if row["number"] != str(len(asked) + 1) or len(names) < 2 or len(set(names)) < len(names):
            raise BenchError(
                f"{path}, line {line}: questions of a person are numbered 1, 2, ... in order, and each shows two "
                "different pictures or more"
            )
        asked.append(Question(row["role"], row["dataset"], row["condition"], row["image"], names))
    if not found:
        raise BenchError(f"{path} asks nothing of anybody: make it again")
    return found
