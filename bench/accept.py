"""Take finished jobs of an older identity as they are: weights of a release before, and what a user accepts by name.

Only the source of a method and the versions of the harness may differ, and what stands on jobs that are accepted
themselves. What is taken says so in its result, in every row and under every table.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.jobs import Job, Plan
from bench.store import atomic_write, hold, read_json, write_json
from bench.why import Difference, Finished, Known, alike, differences

LEFT = ("result.json", "error.txt", "log.txt", ".lock")  # of a job's folder, which belongs to the run that made it
UPGRADE = "a release that counted source otherwise"
DONE = {"train": "trained", "complete": "completed"}


def accept(made: Plan, known: Known, names: Sequence[str] = ()) -> Iterator[tuple[Job, Finished, str]]:
    """Take over what can be: each job that is done now, the finished one, and why it was not done before.

    `names`: methods, or ids of finished jobs. Trained weights of a release that counted source by its text are taken
    without being named, for what they were trained with is the same but for that. Raises BenchError where a name is
    none of a finished job, or where more differs than source and versions.
    """
    taken: dict[str, str] = {}  # id of a job -> id of the finished one
    used: set[str] = set()
    refused: dict[str, str] = {}
    for job in made.jobs:
        if made.done(job) or job.kind == "score":  # numbers are made again of the pictures
            continue
        for before in alike(job, known):
            named = {job.method, before.id} & {*names}
            upgrade = before.of_before and job.kind == "train"
            if not named and not upgrade:
                continue
            other = [one for one in differences(before, job) if not _allowed(one, taken)]
            if other:
                for name in named:
                    refused.setdefault(name, f"{job.label}: {'; '.join(map(str, other))}")
                continue
            used |= named
            changed = " and ".join(str(one).partition(" (")[0] for one in differences(before, job))
            why = f"by {UPGRADE}" if upgrade else f"before {changed} changed"
            _take(made, job, before, why)
            taken[job.id] = before.id
            yield job, before, why
            break
    for name in names:
        if name in refused and name not in used:
            raise BenchError(
                f"--accept {name}: more differs than source and versions, so it is another experiment: {refused[name]}"
            )
        if name not in used:
            raise BenchError(
                f"--accept {name}: no job that is to do has a finished one of that name: see `facebench why`"
            )


def accepted(made: Plan, job: Job) -> list[str]:
    """What was accepted of a job, and of those that it stands on."""
    found = [text for need in job.needs for text in accepted(made, made.job(need))]
    told = read_json(made.job_folder(job.id) / "result.json").get("accepted")
    return list(dict.fromkeys([*found, f"{DONE[job.kind]} {told}"] if told else found))


def _allowed(one: Difference, taken: dict[str, str]) -> bool:
    top = one.key.partition(".")[0]
    if top == "priors":
        return taken.get(str(one.now)) == one.was
    if top == "model":
        return [taken.get(str(job)) for job in one.now or []] == list(one.was or [])
    return top in ("source", "version")


def _take(made: Plan, job: Job, before: Finished, why: str) -> None:
    """Make a finished job's files those of this one: no byte is copied where the disk can link."""
    source, target = made.job_folder(before.id), made.job_folder(job.id)
    with hold(target / ".lock", wait=True):
        for path in sorted(source.rglob("*")):
            copy = target / path.relative_to(source)
            if path.is_file() and path.name not in LEFT and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                _link(path, copy)
        write_json(target / "result.json", read_json(source / "result.json") | {"accepted": why, "from": before.id})


def _link(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except OSError:  # another disk, or one without links
        with path.open("rb") as source, atomic_write(copy) as target:
            shutil.copyfileobj(source, target)
