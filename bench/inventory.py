"""What lies in a folder of runs: its jobs with state, age and size, which suites name them, what else takes space."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.errors import BenchError
from bench.store import RUN, hold, read_json, write_json

if TYPE_CHECKING:
    from bench.jobs import Plan

NAMED = "jobs.json"  # in a suite's folder: the ids of all its jobs
State = Literal["done", "failed", "stopped", "running"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Kept:
    """The folder of a job."""

    path: Path
    label: str  # for people; its id where the folder does not say what it is
    state: State
    size: int  # bytes
    changed: float  # when a file was written last, in seconds since 1970
    suites: tuple[str, ...]  # that name it, or a job that stands on it

    @property
    def id(self) -> str:
        return self.path.name


def name(made: Plan) -> None:
    """Write into the suite's folder which jobs it has, done or not: those of a run that was stopped are named, too."""
    write_json(made.folder / NAMED, made.ids)


def kept(root: Path) -> list[Kept]:
    """The jobs in a folder of runs, the oldest first. BenchError where it is none."""
    if not (root / "jobs").is_dir():
        raise BenchError(f"{root} holds no jobs: give the folder of all runs with --out, by default runs")
    folders = {path.name: path for path in (root / "jobs").iterdir() if path.is_dir()}
    told = {job: _told(path) for job, path in folders.items()}
    needs = {job: {text for text in _texts(said) if text in folders} - {job} for job, said in told.items()}
    suites: dict[str, list[str]] = {job: [] for job in folders}
    for suite, ids in _suites(root):
        for job in _reached(ids, needs):
            suites[job].append(suite)
    found = [
        Kept(path, str(told[job].get("label", job)), _state(path), *_measured(path), tuple(suites[job]))
        for job, path in folders.items()
    ]
    return sorted(found, key=lambda one: (one.changed, one.id))


def chosen(jobs: Iterable[Kept], ids: Iterable[str]) -> list[Kept]:
    """The jobs of these ids, or of the beginnings of ids that tell one from all others."""
    found = {}
    listed = list(jobs)
    for text in ids:
        alike = [job for job in listed if job.id == text] or [job for job in listed if job.id.startswith(text)]
        if len(alike) != 1:
            what = f"{len(alike)} jobs begin so: write more of it" if alike else "see `facebench jobs list`"
            raise BenchError(f"there is no single job {text!r}: {what}")
        found[alike[0].id] = alike[0]
    return list(found.values())


def remove(job: Kept) -> None:
    """Delete the folder of a job; BenchError while a runner works on it."""
    with hold(job.path / ".lock") as ours:
        if not ours:
            raise BenchError(f"{job.id} is running: stop that run first")
        (job.path / "result.json").unlink(missing_ok=True)  # first of all: what is left of it is not done
        try:
            shutil.rmtree(job.path)
        except OSError as error:
            raise BenchError(f"cannot delete {job.path}: {error.strerror or error}") from error


def space(root: Path) -> dict[str, int]:
    """Bytes by what takes them: jobs by kind, each suite's tables and report, the caches. Linked files count once."""
    found: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    for place in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(path for path in place.iterdir() if path.is_dir()) if place.name == "jobs" else [place]:
            title = f"jobs: {path.name.partition('-')[0]}" if place.name == "jobs" else place.name
            found[title] = found.get(title, 0) + sum(_new(status, seen) for status in _files(path))
    return found


def _told(folder: Path) -> Mapping[str, Any]:
    """What a job says of itself; nothing where that is damaged or was never written."""
    try:
        found = read_json(folder / "job.json")
    except BenchError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)


def _suites(root: Path) -> Iterator[tuple[str, set[str]]]:
    """Each suite and the jobs that its files name: those of its last run, and those behind its tables."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = [path for path in (folder / NAMED, folder / RUN) if path.exists()]
        if files:
            yield folder.name, {text for path in files for text in _texts(read_json(path))}


def _reached(ids: Collection[str], needs: Mapping[str, set[str]]) -> set[str]:
    """The jobs of these ids that are there, and all that they stand on."""
    found: set[str] = set()
    waiting = [job for job in ids if job in needs]
    while waiting:
        job = waiting.pop()
        if job not in found:
            found.add(job)
            waiting += needs[job]
    return found


def _state(folder: Path) -> State:
    if (folder / "result.json").exists():
        return "done"
    if (folder / ".lock").exists():
        with suppress(BenchError), hold(folder / ".lock") as free:  # a folder that cannot be written has no runner here
            if not free:
                return "running"
    return "failed" if (folder / "error.txt").exists() else "stopped"


def _measured(folder: Path) -> tuple[int, float]:
    """Bytes, and when a file was written last."""
    files = list(_files(folder))
    return sum(one.st_size for one in files), max((one.st_mtime for one in files), default=folder.stat().st_mtime)


def _files(folder: Path) -> Iterator[os.stat_result]:
    for path in folder.rglob("*"):
        try:
            if not path.is_symlink() and path.is_file():
                yield path.stat()
        except FileNotFoundError:  # a run at work renames its files
            continue


def _new(status: os.stat_result, seen: set[tuple[int, int]]) -> int:
    key = status.st_dev, status.st_ino
    if key in seen:
        return 0
    seen.add(key)
    return status.st_size
