"""Why a job would run again: what differs between its identity and that of the nearest finished one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from bench import metrics, registry
from bench.errors import BenchError
from bench.jobs import BESIDE, Job, Plan
from bench.store import read_json

SHOWN = 3  # entries of a list that are named
JOBS = ("model", "priors", "completion")  # said by ids of jobs, which tell people nothing
NAMES = {  # of what an identity says, for people
    "source": "the code of the method",
    "data": "the content of the data set",
    "beside": "label maps, degraded copies, captions, landmarks or people",
    "images": "which images",
    "masks": "the test masks",
    "files": "files that options name",
    "weights": "the file of weights",
    "priors": "a prior",
    "model": "the trained weights",
    "completion": "the completed pictures",
    "metrics": "the metrics",
    "version": "the version of the harness",
    "config": "the option",
    "seed": "the seed",
    "size": "the size in pixels",
    "framing": "how pictures come into their size",
    "aspect": "the aspect ratio of pictures",
    "condition": "the condition",
}


@dataclass(frozen=True)
class Finished:
    """A job that has a result, of this plan or of another one."""

    id: str
    label: str
    identity: Mapping[str, Any]
    modules: Mapping[str, str]

    @property
    def of_before(self) -> bool:
        """Whether it was done by a release that counted every file of its source."""
        return isinstance(self.identity.get("version"), list)


Known = Mapping[str, Sequence[Finished]]  # by label


@dataclass(frozen=True)
class Difference:
    """A part of an identity that is another one."""

    key: str
    was: Any
    now: Any
    modules: tuple[str, ...] = ()
    """Of source: those that changed."""

    def __str__(self) -> str:
        top, _, rest = self.key.partition(".")
        name = " ".join(filter(None, (NAMES.get(top, top), rest)))
        if top == "source":
            listed = ", ".join(self.modules[:SHOWN]) + (", ..." if len(self.modules) > SHOWN else "")
            return f"{name} ({listed})" if listed else name
        if top == "metrics":
            was, now = ({one[0]: one for one in listed or []} for listed in (self.was, self.now))
            new = [f"{'+' * (one not in was)}{_again(one)}" for one in now if now[one] != was.get(one)]
            return f"{name} ({', '.join([*new, *(f'-{one}' for one in was if one not in now)])})"
        if top in JOBS:
            return name
        return f"{name} (was {_short(self.was)}, is {_short(self.now)})"


def finished(root: Path) -> Known:
    """All jobs of a folder of runs that have a result, by their labels; damaged ones are passed over."""
    found: dict[str, list[Finished]] = {}
    for path in sorted((root / "jobs").glob("*/job.json")):
        if (path.parent / "result.json").exists():
            try:
                told = dict(read_json(path))
            except (BenchError, TypeError, ValueError):
                continue
            label, modules = (told.pop(key, "") for key in BESIDE)
            found.setdefault(str(label), []).append(Finished(path.parent.name, str(label), told, modules or {}))
    return found


def alike(job: Job, known: Known) -> list[Finished]:
    """The finished jobs of the same label, the least different first."""
    return _least_different(job, known.get(job.label, ()))


def nearest(job: Job, known: Known) -> Finished | None:
    """The finished job of the same label, or else of the same kind and method, that differs least."""
    found = alike(job, known) or _least_different(job, chain.from_iterable(known.values()))
    return found[0] if found else None


def _least_different(job: Job, found: Iterable[Finished]) -> list[Finished]:
    same = [one for one in found if (one.identity.get("kind"), one.identity.get("method")) == (job.kind, job.method)]
    return sorted(same, key=lambda one: (len(differences(one, job)), one.id))


def differences(before: Finished, job: Job, modules: Mapping[str, str] | None = None) -> list[Difference]:
    """What differs; `modules`: of the job's method now, to name those that changed."""
    changed = []
    was, now = dict(_flat(before.identity)), dict(_flat(job.identity))
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            names: tuple[str, ...] = ()
            if key == "source" and modules and before.modules:
                names = tuple(
                    name
                    for name in sorted({*modules, *before.modules})
                    if modules.get(name) != before.modules.get(name)
                )
            changed.append(Difference(key, was.get(key), now.get(key), names))
    return changed


def reasons(made: Plan, known: Known) -> Iterator[tuple[Job, Finished | None, list[Difference]]]:
    """For each job that is not done: the nearest finished one, and what differs."""
    for job in made.jobs:
        if not made.done(job):
            before = nearest(job, known)
            modules = registry.get(job.method).source() if before else {}
            yield job, before, differences(before, job, modules) if before else []


def _again(metric: str) -> str:
    """A metric that is computed, and whether a network sees all pictures again: maps are too large to keep."""
    return f"{metric}: its network sees all pictures" if "maps" in metrics.get(metric).features else metric


def _flat(value: Mapping[str, Any], base: str = "") -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        if isinstance(one, Mapping) and one:
            yield from _flat(one, f"{base}{key}.")
        else:
            yield f"{base}{key}", one


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return ", ".join(map(_short, value[:SHOWN])) + ", ..." * (len(value) > SHOWN)
    text = "nothing" if value in (None, [], {}, "") else str(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
