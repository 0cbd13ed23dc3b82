"""People that do not exist, whose preferences are known: they vote as Bradley, Terry and Luce say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.study.design import ORIGINAL, Design, Place, Question, contests, draw
from bench.study.files import FORMAT, Study, names
from reports.study.votes import FORMAT as VOTES

STRENGTHS = {"Lama": 0.0, "MAT": -0.4, "TFill": -0.2, "ZITS": 0.1, "GRIG": 0.5}


def study(
    folder: Path,
    kind: str = "ranking",
    methods: Sequence[str] = tuple(STRENGTHS),
    people: int = 52,
    images: int = 100,
    seed: int = 0,
    datasets: Sequence[str] = ("FFHQ",),
    condition: str = "irregular/10-60",
    against: str | None = None,
    **design: int,
) -> Study:
    """A study without pictures."""
    places = [Place(dataset, condition, tuple(methods)) for dataset in datasets]
    asked = Design(kind=kind, seed=seed, **design)  # type: ignore[arg-type]
    listed = {place: [f"{i:03}" for i in range(images)] for place in places}
    drawn = draw(asked, contests(places, asked.kind, against), listed, people)
    facts = {
        "format": FORMAT,
        "id": "0123456789ab",
        "kind": kind,
        "suite": "made-up",
        "places": [{"dataset": p.dataset, "condition": p.condition, "methods": list(p.methods)} for p in places],
    }
    made = Study(folder, facts, dict(zip(names(people), drawn, strict=True)))
    made.write()
    return made


def answer(
    kind: str,
    question: Question,
    strengths: Mapping[str, float],
    rng: np.random.Generator,
    careless: bool = False,
    beside: Mapping[str, float] | None = None,
) -> list[int]:
    """Positions from the best on: Luce's choice, one after another; a careless person takes any.

    `beside` is added to the strengths: what this person, or this image, is partial to.
    """
    utility = {name: 0.0 if name.startswith("(") else strengths[name] for name in question.shown} | {ORIGINAL: 25.0}
    value = np.array([utility[name] + (beside or {}).get(name, 0.0) for name in question.shown])
    order = np.argsort(-((0 if careless else value) + rng.gumbel(size=len(value)))).tolist()
    return order if kind == "ranking" else order[:1]


def vote(
    made: Study,
    strengths: Mapping[str, float] = STRENGTHS,
    seed: int = 0,
    careless: Sequence[str] = (),
    of_people: float = 0.0,
    of_images: float = 0.0,
) -> None:
    """Everybody's votes-ID.json. `of_people`, `of_images`: how far (standard deviation) people and images differ."""
    rng = np.random.default_rng(seed)
    images = sorted({question.image for asked in made.questions.values() for question in asked})
    liked = {image: {name: of_images * rng.normal() for name in strengths} for image in images}
    for person, asked in made.questions.items():
        own = {name: of_people * rng.normal() for name in strengths}
        answers = [
            answer(
                made.kind,
                question,
                strengths,
                rng,
                person in careless,
                {name: own[name] + liked[question.image][name] for name in strengths},
            )
            for question in asked
        ]
        write(made, person, answers)


def write(made: Study, person: str, answers: Sequence[list[int] | None], name: str | None = None) -> Path:
    """One file of votes."""
    path = made.folder / (name or f"votes-{person}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": VOTES, "study": made.id, "person": person, "answers": answers}))
    return path
