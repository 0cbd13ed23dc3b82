"""The votes that came back, and whose count: people who fail the controls are named and left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.store import read_json
from bench.study.design import ORIGINAL, Question
from bench.study.files import Study

FORMAT = "votes 1"


@dataclass(frozen=True)
class Vote:
    """One answer: what was shown, and what was chosen of it, from the best on (one name, but for rankings)."""

    person: str
    question: Question
    order: tuple[str, ...]

    @property
    def wins(self) -> Iterable[tuple[str, str]]:
        """Every (better, worse) that it says."""
        rest = [name for name in self.question.shown if name not in self.order]
        return [*combinations(self.order, 2), *((name, other) for name in self.order for other in rest)]


@dataclass(frozen=True)
class Person:
    """What one file of votes says of who filled it."""

    name: str
    answered: int
    asked: int
    wrong: int
    """Obvious questions whose right answer, the original, was not chosen first."""
    obvious: int
    alike: float
    """Share of the pairs of repeated questions that were judged as before; NaN without any."""
    reason: str
    """Why the votes do not count; "" where they do."""


@dataclass(frozen=True)
class Votes:
    """All that came back for a study."""

    study: Study
    people: list[Person]
    counted: list[Vote]
    """Of people whose votes count: first answers, without controls."""


def read(study: Study, mistakes: int = 0) -> Votes:
    """Read every file of votes in the study's folder.

    Who has not finished, or answers more than `mistakes` obvious questions wrong, is left out. Raises BenchError for
    votes of another study, damaged files, different files of one person, and where nobody's votes count.
    """
    files: dict[str, tuple[Path, Any]] = {}
    for path in study.votes():
        person, answers = _read(path, study)
        before = files.setdefault(person, (path, answers))
        if before[1] != answers:
            raise BenchError(f"{before[0]} and {path} are both of person {person}, and differ: keep one of them")
    if not files:
        raise BenchError(f"{study.folder} has no votes-ID.json: put the files that people send back into it")
    people, counted = [], []
    for name in (one for one in study.questions if one in files):
        votes = _votes(name, study.questions[name], files[name][1])
        people.append(_person(name, votes, study.questions[name], mistakes))
        if not people[-1].reason:
            counted += [vote for vote in votes if vote.question.role == "asked"]
    if not counted:
        reasons = "; ".join(f"{person.name}: {person.reason}" for person in people)
        raise BenchError(f"{study.folder}: nobody's votes count ({reasons}): wait for more, or allow --mistakes")
    return Votes(study, people, counted)


def _read(path: Path, study: Study) -> tuple[str, list[list[int] | None]]:
    """The person and the answers of a file."""
    try:
        found = read_json(path)
    except BenchError as error:
        raise BenchError(f"{path} is damaged: ask for the file again, or move it away") from error
    try:
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}")
        if found["study"] != study.id:
            raise BenchError(f"{path} holds votes of the study {found['study']}, and this is {study.id}: move it away")
        person, answers = found["person"], found["answers"]
        if person not in study.questions:
            raise BenchError(
                f"{path}: page {person} is not part of this study, whose pages are {', '.join(study.questions)}: move "
                "the file away, or make the page again with a larger --people"
            )
        asked = study.questions[person]
        for answer, question in zip(answers, asked, strict=True):
            if answer is not None:
                places, wanted = range(len(question.shown)), len(question.shown) if study.kind == "ranking" else 1
                if (
                    len(answer) != wanted
                    or len({*answer}) < wanted
                    or any(type(one) is not int or one not in places for one in answer)
                ):
                    raise ValueError(f"{answer} is no answer")
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{path} is damaged ({error!r}): ask for the file again, or move it away") from error
    return person, answers


def _votes(person: str, asked: Sequence[Question], answers: Sequence[list[int] | None]) -> list[Vote]:
    return [
        Vote(person, question, tuple(question.shown[i] for i in answer))
        for question, answer in zip(asked, answers, strict=True)
        if answer is not None
    ]


def _person(name: str, votes: Sequence[Vote], asked: Sequence[Question], mistakes: int) -> Person:
    obvious = [vote for vote in votes if vote.question.role == "obvious"]
    wrong = sum(vote.order[0] != ORIGINAL for vote in obvious)
    first = {_topic(vote.question): {*vote.wins} for vote in votes if vote.question.role == "asked"}
    alike = [
        pair in first[_topic(vote.question)]
        for vote in votes
        if vote.question.role == "repeated" and _topic(vote.question) in first
        for pair in vote.wins
    ]
    reason = f"{wrong} of {len(obvious)} obvious questions wrong" if wrong > mistakes else ""
    if len(votes) < len(asked):
        reason = f"not finished: {len(votes)} of {len(asked)} answers"
    share = sum(alike) / len(alike) if alike else float("nan")
    return Person(name, len(votes), len(asked), wrong, len(obvious), share, reason)


def _topic(question: Question) -> tuple[str, str, str, frozenset[str]]:
    """What a question is about, whatever the positions."""
    return question.dataset, question.condition, question.image, frozenset(question.shown)
