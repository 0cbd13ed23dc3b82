"""Makes a study of a finished run: its design, and a page for each person."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import registry, stored
from bench.condition import parse
from bench.data import guides
from bench.errors import BenchError
from bench.progress import track
from bench.store import derive_seed, digest, write_text
from bench.stored import Cell, Run
from bench.study.design import ORIGINAL, Contest, Design, Place, Question, contests, draw
from bench.study.files import FACTS, FORMAT, Study, names, read_assignment
from bench.study.pictures import FLATS, Album, Layers
from bench.suite import Study as Asked
from bench.suite import Suite

LARGEST = 20_000_000  # bytes of a page
Render = Callable[[dict[str, Any], str], str]


def asked(suite: Suite, options: Mapping[str, Any]) -> Asked:
    """The user study that a suite describes, changed by options of the command. BenchError names the option."""
    try:
        return Asked.model_validate({**suite.study.model_dump(), **options})
    except ValidationError as error:
        first = error.errors()[0]
        raise BenchError(f"--{first['loc'][0]}: {first['input']!r} does not fit: {first['msg'].lower()}") from error


def make(
    run: Run, cells: Sequence[Cell], asked: Asked, folder: Path, render: Render, consent: str, given: Path | None = None
) -> Study:
    """Write study.json, assignment.csv and pages/ into `folder`.

    `cells`: what of the run is judged; `render`: makes a page of what it shows; `consent`: what people agree to, "" for
    its own text; `given`: an assignment to take instead of drawing one. The same input gives the same files. Raises
    BenchError where there is nothing to compare, a page is too large, or the folder has votes of another study.
    """
    chosen = _one_each(cells)
    albums = _albums(run, chosen)
    compared = contests(list(albums), asked.kind, asked.against)
    design = Design(asked.kind, asked.questions, asked.repeated, asked.obvious, run.suite.seed)
    images = {place: _images(place, album, asked.images, run.suite.seed) for place, album in albums.items()}
    if given:
        questions = read_assignment(given)
        _check(questions, compared, albums, given)
    else:
        drawn = draw(design, compared, images, asked.people)
        questions = dict(zip(names(asked.people), drawn, strict=True))
    facts: dict[str, Any] = {
        "format": FORMAT,
        **asdict(design),
        "against": asked.against,
        "images": asked.images,
        "original": asked.original,
        "suite": run.suite.suite,
        "places": [
            {
                "dataset": place.dataset,
                "condition": place.condition,
                "methods": list(place.methods),
                "completions": {cell.row["title"]: cell.completion for cell in chosen[place]},
            }
            for place in albums
        ],
        "assignment": digest(given.read_bytes()) if given else "drawn",
    }
    study = Study(folder, facts | {"id": digest(facts)[:12]}, questions)
    study.write(_before(study))
    with track("study", len(questions)) as step:
        for person, sequence in questions.items():
            _page(study, person, sequence, albums, render, consent)
            step(1)
    return study


def _one_each(cells: Sequence[Cell]) -> dict[Place, list[Cell]]:
    """One cell for each method of a place: of several, the one with the most training images and the first seed."""
    order = sorted(cells, key=lambda cell: (-_shots(cell), cell.row["seed"]))
    found: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in cells:
        titles = found.setdefault((cell.row["dataset"], cell.row["condition"]), {})
        title = cell.row["title"]
        titles[title] = next(one for one in order if _same(one, cell))
    return {Place(*key, tuple(titles)): list(titles.values()) for key, titles in found.items()}


def _shots(cell: Cell) -> float:
    shots = cell.row["shots"]
    return float("inf") if shots == "all" else float(shots)


def _same(one: Cell, other: Cell) -> bool:
    return all(one.row[key] == other.row[key] for key in ("title", "dataset", "condition"))


def _albums(run: Run, chosen: Mapping[Place, Sequence[Cell]]) -> dict[Place, Album]:
    made = run.prepared()
    albums = {}
    for place, cells in chosen.items():
        archives, tasks = {}, []
        for cell in cells:
            archive, task = stored.opened(made.job_folder(cell.completion), made.named(place.dataset).images)
            archives[cell.row["title"]] = archive
            tasks.append(task)
        needs = {name for cell in cells for name in registry.get(cell.row["method"]).card.needs}
        needs = {name for name in needs if guides.get(name).apart}
        albums[place] = Album(replace(tasks[0], needs=tuple(sorted(needs))), archives)
    return albums


def _images(place: Place, album: Album, count: int, seed: int) -> list[str]:
    """The images that are judged: drawn once for a data set, whatever is done to them."""
    ids = [album.task.images.ids[i] for i in album.task.positions]
    drawn = random.Random(derive_seed("study", seed, place.dataset)).sample(range(len(ids)), min(count, len(ids)))
    return [ids[i] for i in sorted(drawn)]


def _check(
    questions: Mapping[str, Sequence[Question]], compared: Sequence[Contest], albums: Mapping[Place, Album], path: Path
) -> None:
    """BenchError where an assignment asks for what is not compared."""
    known = {(one.place.dataset, one.place.condition, frozenset(one.methods)) for one in compared}
    places = {(place.dataset, place.condition): album for place, album in albums.items()}
    for person, sequence in questions.items():
        for number, one in enumerate(sequence, 1):
            album = places.get((one.dataset, one.condition))
            plain = one.role == "obvious" and ORIGINAL in one.shown and set(one.shown) <= {ORIGINAL, *FLATS}
            if not plain and (one.dataset, one.condition, frozenset(one.shown)) not in known:
                raise BenchError(
                    f"{path}: question {number} of {person} compares {', '.join(one.shown)} on {one.dataset}, "
                    f"{one.condition}, which this study does not: see --kind, --methods, --conditions and --datasets"
                )
            if album is None or one.image not in album.task.images.ids:
                raise BenchError(f"{path}: question {number} of {person}: the run has no picture {one.image!r}")


def _before(study: Study) -> Study | None:
    """What stood in the folder. BenchError where it has votes that would no longer belong to what was asked."""
    if not (study.folder / FACTS).exists():
        return None
    try:
        before = Study.read(study.folder)
    except BenchError:  # it is damaged, and made anew unless there are votes
        if study.votes():
            raise
        return None
    same = before.id == study.id and all(
        before.questions.get(person, asked) == asked for person, asked in study.questions.items()
    )
    fewer = [person for person in before.questions if person not in study.questions]
    if study.votes() and same and fewer:
        raise BenchError(
            f"{study.folder} holds votes, and has pages for {len(before.questions)} people: with "
            f"{len(study.questions)}, those of {', '.join(fewer)} would be worth nothing. Say --people "
            f"{len(before.questions)} or more, choose another folder with --name, or move the votes away"
        )
    if study.votes() and not same:
        raise BenchError(
            f"{study.folder} holds votes of another study, which would be worth nothing with this one: choose another "
            "folder with --name, or move the votes away. More people can be added to the same study with --people"
        )
    return before


def _page(
    study: Study, person: str, sequence: Sequence[Question], albums: Mapping[Place, Album], render: Render, consent: str
) -> None:
    """Write the page of one person."""
    places = {(place.dataset, place.condition): album for place, album in albums.items()}
    known: dict[bytes, int] = {}

    def numbers(layers: Layers) -> list[int]:
        return [known.setdefault(layer, len(known)) for layer in layers]

    shown = []
    for one in sequence:
        album = places[one.dataset, one.condition]
        beside, text = album.beside(one.image)
        if study.facts["original"] and parse(one.condition).has_truth:
            beside.append(("Original", album.layers(one.image, ORIGINAL)))
        shown.append(
            {
                "shown": [numbers(album.layers(one.image, name)) for name in one.shown],
                "beside": [{"title": title, "layers": numbers(layers)} for title, layers in beside],
                "text": text,
            }
        )
    page = {
        "study": study.id,
        "person": person,
        "kind": study.kind,
        "questions": shown,
        "pictures": [base64.b64encode(layer).decode() for layer in known],
    }
    content, path = render(page, consent), study.page(person)
    if (size := len(content.encode())) > LARGEST:
        raise BenchError(
            f"{path} would have {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}: lower --questions, name fewer "
            "--methods, or ask with --kind 2afc"
        )
    write_text(path, content)
