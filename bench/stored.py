"""Completed pictures that a run keeps, with the images and masks that they are scored against.

No method is loaded and no file of weights is read: only what lies in the folder of runs, and the data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import jobs
from bench.archive import FILE, Archive
from bench.complete import MASKS
from bench.data import dataset
from bench.data.dataset import RENDERED, ImageData
from bench.errors import BenchError
from bench.framing import Framing, normal
from bench.jobs import Plan
from bench.progress import many
from bench.store import RUN, read_json, write_json
from bench.suite import Suite, assigned, parse
from bench.task import Task
from masks import MaskSet

FACTS = {"title", "dataset", "condition", "data", "count", "filter", "size", "seed", "masks"}  # in a manifest


@dataclass(frozen=True)
class Cell:
    """One row, data set and condition of a run."""

    row: dict[str, Any]  # title, method, preset, dataset, shots, seed, condition: as in results.parquet
    completion: str  # ids of the jobs that made it
    score: str
    trained: bool  # else its numbers stand in the table once for each number of shots

    @property
    def label(self) -> str:
        shots = f", {self.row['shots']} shots" if self.trained and self.row["shots"] != "all" else ""
        seed = f", seed {self.row['seed']}" if self.trained and self.row["seed"] else ""
        return f"{self.row['title']} on {self.row['dataset']}{shots}{seed}, {self.row['condition']}"


@dataclass(frozen=True)
class Run:
    """A suite's folder."""

    folder: Path
    suite: Suite
    cells: list[Cell]
    """Those that are completed; some may have no score yet."""

    @classmethod
    def open(cls, folder: Path, data: Sequence[str] = (), metrics: Sequence[str] = ()) -> Run:
        """Read what `record` wrote. `data`: where data sets are now, DIR or NAME=DIR; `metrics`: more of them.

        Raises BenchError for a folder that is none of a suite.
        """
        path = folder.resolve() / RUN
        if not path.exists():
            raise BenchError(
                f"{path} is missing: give the folder of a suite that was run, for example runs/quickstart, or one of a "
                "completion, runs/jobs/complete-...; a run that was stopped or is of an older release, writes the file "
                "when its command is given again"
            )
        found = read_json(path)
        try:
            content, cells = dict(found["suite"]), [Cell(**cell) for cell in found["cells"]]
            wanted = list(dict.fromkeys([*content["metrics"], *metrics]))
        except (KeyError, TypeError) as error:
            raise BenchError(f"{path} is damaged: run the suite again, so that it is written anew") from error
        suite = parse(content | _placed(content, data) | {"metrics": wanted}, str(path))
        if path.parent.name != suite.suite:
            raise BenchError(f"{folder} holds the suite {suite.suite}: give the folder that name again")
        return cls(path.parent, suite, cells)

    def prepared(self) -> Plan:
        """The suite with its data sets, and without jobs."""
        root = self.folder.parent
        with many() as report:
            return Plan(self.suite, root, jobs.prepare(self.suite, root, report))


def titles(folder: Path) -> set[str]:
    """The rows of which a suite's folder holds completed pictures; none where it holds no run."""
    path = folder / RUN
    if not path.exists():
        return set()
    try:
        return {str(cell["row"]["title"]) for cell in read_json(path)["cells"]}
    except (BenchError, KeyError, TypeError):
        return set()  # damaged: it is written anew


def record(made: Plan) -> None:
    """Write the whole suite, and which jobs made what is there, into the suite's folder."""
    cells = [
        {"row": job.row, "completion": job.needs[0], "score": job.id, "trained": bool(made.completion(job).needs)}
        for job in made.scores
        if made.done(made.completion(job))
    ]
    write_json(made.folder / RUN, {"suite": made.suite.model_dump(mode="json"), "cells": cells})


def opened(folder: Path, images: ImageData) -> tuple[Archive, Task]:
    """The pictures in the folder of a completion, and what they are scored against.

    Raises BenchError where they were made of other images than these, or their masks are others.
    """
    archive = _told(folder)
    if archive.manifest["data"] != images.fingerprint:
        raise BenchError(
            f"{archive.path} was made of other images than {images.name}: its data set has the fingerprint "
            f"{archive.manifest['data'][:16]}, and this one {images.fingerprint[:16]}: give the very same files"
        )
    condition, positions = archive.manifest["condition"], images.indices(archive.ids)
    masks = holes(folder, archive)
    return archive, Task(images, positions, masks, condition, archive.manifest["seed"], pasted=not archive.whole)


def holes(folder: Path, archive: Archive) -> MaskSet:
    """The masks of the pictures in the folder of a completion. Raises BenchError where they are others."""
    found = MaskSet.load(folder / MASKS)
    if found.fingerprint != archive.manifest.get("masks"):
        raise BenchError(f"{folder / MASKS} holds other masks than {archive.path} was made with: copy both again")
    numbers = archive.manifest.get("numbers", range(len(archive.ids)))  # of a part of the pictures: see `Archive.part`
    if len(numbers) != len(archive.ids) or not set(numbers) <= {*range(len(found))}:
        raise BenchError(f"{archive.path} says other numbers of test images than it has pictures or masks")
    return found.only(numbers) if "numbers" in archive.manifest else found


def handed(folder: Path, data: Sequence[str], cache: Path) -> tuple[Archive, Task]:
    """`opened` for the folder of a completion without its run. `data`: the folder of its images, if it has one."""
    facts = _told(folder).manifest
    if len(data) > 1:
        raise BenchError(f"--data: {folder} has one data set, {facts['dataset']}: give one folder")
    if data:
        framing = Framing(facts.get("framing", "crop"))  # older files were made of cropped pictures
        size = normal(facts["size"])
        return opened(folder, dataset.prepare_folder(data[0], size, cache, facts["dataset"], framing=framing))
    if facts["filter"] != RENDERED:
        raise BenchError(f"{folder} holds completed pictures of {facts['dataset']}: give its images with --data DIR")
    return opened(folder, dataset.prepare_synthfaces(facts["count"], facts["size"], facts["seed"], cache))


def _told(folder: Path) -> Archive:
    """The pictures in the folder of a completion; BenchError where their manifest does not say what they are."""
    archive = Archive.open(folder / FILE)
    if missing := FACTS - archive.manifest.keys():
        raise BenchError(f"{archive.path} does not say its {', '.join(sorted(missing))}: run the suite again")
    return archive


def is_handed(folder: Path) -> bool:
    """Whether a folder is that of a completion, not of a suite."""
    return (folder / FILE).exists()


def _placed(content: dict[str, Any], data: Sequence[str]) -> dict[str, Any]:
    """The data sets of a suite, in the folders where they are now."""
    sections = {key: [dict(entry) for entry in content[key]] for key in ("data", "training")}
    known = {entry["name"]: entry for section in sections.values() for entry in section if entry["folder"]}
    for name, folder in assigned("--data", data, list(known), "run").items():
        known[name]["folder"] = folder
    return sections
