"""Runs the jobs of a plan that are not done, in an order in which each can run: here, in processes, or on Ray.

Any process may be killed at any moment: what is finished stays, and the same plan run again does the rest. Several
runners may work on one folder: each job is done by one of them, under the lock in the job's folder.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, Self

import torch

from bench import inventory
from bench.device import cores
from bench.errors import BenchError
from bench.jobs import Job, Plan
from bench.progress import console
from bench.runner.attempt import Ended, Work, attempt, record
from bench.runner.execute import Options, execute, follow, light
from bench.runner.order import longest_first
from bench.runner.remote import Remote

__all__ = ["Options", "Outcome", "Remote", "follow", "run"]

MOST_WORKERS = 8  # processes on a machine without a GPU, unless the user asks for more
PAUSE = 0.5  # seconds between two looks at a job that another runner holds


@dataclass
class Outcome:
    """What a run did."""

    done: int = 0
    reused: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # job id -> message
    skipped: list[str] = field(default_factory=list)  # jobs whose needs failed
    mendable: set[str] = field(default_factory=set)  # failed jobs whose message says what the user can do


class Pool(Protocol):
    """A place where jobs run. A context; `wait` yields the jobs that have ended since the last call."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    @property
    def free(self) -> bool: ...
    @property
    def running(self) -> bool: ...
    def start(self, job: Job) -> None: ...
    def wait(self, seconds: float) -> Iterator[tuple[Job, Ended]]: ...


def run(made: Plan, options: Options, work: Work = execute) -> Outcome:
    """Run what is not done. A job that fails is recorded, and the others go on.

    One that failed by what may pass, such as want of memory, is tried again `suite.retries` times.

    `work` does one job. BenchError about the run's own folder (a full disk, say), or about source that changed
    meanwhile, ends the run: whatever is finished stays.
    """
    store = Remote(options.url, made.root) if options.url else None
    inventory.name(made)
    if store:
        store.meet(made)
    done = {job.id for job in made.jobs if made.done(job)}
    outcome = Outcome(reused=len(done))
    if done:
        console.print(f"{len(done)} of {len(made.jobs)} jobs are done already", highlight=False)
    if not options.on_gpu:
        torch.set_num_threads(1)
    waiting = [job for job in made.jobs if job.id not in done]
    if not waiting:
        return outcome
    with _pool(made, options, work, waiting) as pool:
        go_through(made, longest_first(waiting), done, pool, outcome, store)
    return outcome


def _pool(made: Plan, options: Options, work: Work, jobs: list[Job]) -> Pool:
    if options.on == "ray":
        from bench.runner.cluster import Cluster

        return Cluster(made, options, work)
    if options.workers == 0 or (options.workers is None and light(made, jobs)):
        return Here(made, options, work)
    from bench.runner.processes import Processes

    default = 1 if options.on_gpu else min(cores(), MOST_WORKERS)
    return Processes(made, options, work, min(options.workers or default, len(jobs)))


def go_through(
    made: Plan, jobs: list[Job], done: set[str], pool: Pool, outcome: Outcome, store: Remote | None = None
) -> None:
    """Give jobs to the pool as their needs are done, until none is left."""
    waiting, total = jobs, len(jobs)
    attempts: Counter[str] = Counter()
    held: dict[str, float] = {}  # job of another runner -> when to look again
    while waiting or pool.running:
        looked, waiting = waiting, []
        for place, job in enumerate(looked):  # the first ones first, also when they had to wait
            if not pool.free:
                waiting += looked[place:]
                break
            if any(need in outcome.failed or need in outcome.skipped for need in job.needs):
                outcome.skipped.append(job.id)
            elif held.get(job.id, 0) <= time.monotonic() and done.issuperset(job.needs):
                pool.start(job)
            else:
                waiting.append(job)
        for job, ended in pool.wait(PAUSE):
            if ended.state == "fatal":
                raise BenchError(ended.message)
            if ended.state == "busy":
                if not held:
                    console.print("another runner is at work in this folder: its jobs are left to it", highlight=False)
                held[job.id] = time.monotonic() + PAUSE
                waiting.append(job)
                continue
            if ended.state == "done":
                if store:
                    store.pull_job(job.id)
                done.add(job.id)
                outcome.done += 1
                console.print(f"[{len(done) - outcome.reused}/{total}] {job.label}", highlight=False, markup=False)
                for remark in made.remarks(job):
                    text = f"  note: {remark}"
                    console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
                continue
            if ended.state == "lost":
                record(made, job, ended.message)
            attempts[job.id] += 1
            again = attempts[job.id] <= made.suite.retries and ended.passing
            what = "; trying again" if again else ""
            text = f"  failed: {job.label}: {ended.message}{what}"
            console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
            if again:
                waiting.append(job)
            else:
                outcome.failed[job.id] = ended.message
                outcome.mendable |= {job.id} if ended.mendable else set()


class Here:
    """Jobs in this process, one after another: for debuggers, and where starting a process takes too long."""

    def __init__(self, made: Plan, options: Options, work: Work):
        self.made, self.options, self.work = made, options, work
        self.ended: list[tuple[Job, Ended]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def free(self) -> bool:
        return not self.ended

    @property
    def running(self) -> bool:
        return bool(self.ended)

    def start(self, job: Job) -> None:
        self.ended.append((job, attempt(self.made, job, self.options, self.work)))

    def wait(self, seconds: float) -> Iterator[tuple[Job, Ended]]:
        if not self.ended:
            time.sleep(seconds)
        while self.ended:
            yield self.ended.pop(0)
