"""Jobs on a Ray cluster: a task of Ray for each attempt.

All machines see the folder of runs, and the data, under the same paths; or finished jobs travel through an object
store (`bench.runner.remote`). A job starts where its CPUs, GPUs and memory are free.

Where its data is decides which machine is asked first. The machine that starts the run prepares the data sets; every
machine that works on one has it in its own cache from then on: in memory or, with an object store, on its own disk.
Of the machines with room, a job goes to the one that trained what it measures, or else to one that has worked on its
data set. This saves reading only: every machine gives the same result.

A machine that is lost loses nothing but time: Ray starts its jobs elsewhere, and there they go on from their last
checkpoint.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch

from bench import progress
from bench.errors import BenchError
from bench.jobs import Job, Plan, plan
from bench.progress import console
from bench.runner.attempt import Ended, Work, attempt
from bench.runner.execute import Options
from bench.store import MARK, check_folder
from bench.suite import Suite

LOST = 5  # machines that a job may lose before it counts as failed
AUTHENTICATION = "RAY_AUTH_MODE"  # in the environment: Ray's mode, `token` or `disabled`
GLANCE = 2.0  # seconds between two looks at which machines there are


@dataclass(frozen=True)
class Task:
    """What a worker of the cluster must know to attempt a job."""

    suite: str  # as JSON
    root: Path
    cwd: Path
    options: Options
    work: Work

    def run(self, job_id: str) -> tuple[Ended, str]:
        """Attempt the job; the second value is the machine that did it."""
        import ray

        progress.remote = _unseen
        context = ray.get_runtime_context()
        cpus = context.get_assigned_resources().get("CPU", 1)
        # Ray sets them once, by the first task of a worker, and gives the worker to tasks that ask for something else.
        torch.set_num_threads(max(1, int(cpus)) if self.options.on_gpu else 1)
        try:
            made = _plan(self.suite, self.root, self.cwd, bool(self.options.url))
            ended = attempt(made, made.job(job_id), self.options, self.work, own_streams=True)
        except BenchError as error:  # of the plan: the same for every job
            ended = Ended("fatal", str(error))
        return ended, context.get_node_id()


def _unseen(title: str, done: int, total: int) -> None:
    """Progress within a job is in its log, not on the screen."""


@cache
def _plan(suite: str, root: Path, cwd: Path, mirrored: bool) -> Plan:
    """The plan, made once in each worker process: a check too that this machine has the same source and data."""
    if cwd.is_dir():
        os.chdir(cwd)  # paths in the suite are relative to where the run was started
    if not mirrored and not (root / MARK).exists():
        raise BenchError(
            f"{platform.node()} does not see {root}: --out must be a folder that all machines share, or an object "
            "store such as s3://bucket/runs"
        )
    return plan(Suite.model_validate_json(suite), root)


class Cluster:
    """A Ray cluster as a pool. Use it as a context."""

    def __init__(self, made: Plan, options: Options, work: Work):
        try:
            import ray
            from ray.exceptions import RayError
        except ImportError as error:
            raise BenchError("--on ray: Ray is not installed: pip install face-inpaint-bench[ray]") from error
        self.ray, self.error, self.made, self.options = ray, RayError, made, options
        self.task = Task(made.suite.model_dump_json(), made.root.resolve(), Path.cwd(), options, work)
        self.last = made.jobs[0]  # the job that was sent last: the next one asks for about as much
        self.tasks: dict[Any, Job] = {}
        self.asked: dict[str, str] = {}  # job -> machine that it was sent to
        self.trained: dict[str, str] = {}  # job -> machine that did it
        self.homes: dict[str, set[str]] = defaultdict(set)  # data set -> machines that have it
        self.seen = -math.inf
        self.warned: set[str] = set()  # requests that no machine can meet

    def __enter__(self) -> Self:
        ray = self.ray
        check_folder(self.made.root)  # leaves the mark that the machines look for
        self.own = not ray.is_initialized()
        address = self.options.address or os.environ.get("RAY_ADDRESS")
        alone = False  # whether the cluster is this machine alone, and stays so
        if self.own:
            try:
                alone = not address and not self._joined("auto")
                if alone or address:
                    self._join(address or "local")
            except (ConnectionError, RuntimeError, ValueError, TimeoutError, self.error) as error:
                where = address or "this machine"
                raise BenchError(f"--on ray: no cluster at {where}: {error}{_hint()}") from error
        self.remote = ray.remote(max_retries=LOST)(_run)
        here = ray.get_runtime_context().get_node_id()
        for name in self.made.data:
            self.homes[name].add(here)
        machines = self.machines()
        cpus, gpus = (sum(machine.get(what, 0) for machine in machines.values()) for what in ("CPU", "GPU"))
        text = f"Ray cluster: {len(machines)} machine(s), {cpus:g} CPUs, {gpus:g} GPUs"
        text += "; it asks for Ray's token, see docs/many-machines.md" if _asks_for_token() else ""
        console.print(text, highlight=False, markup=False)
        hopeless = next((job for job in self.made.jobs if alone and not self.made.done(job) and self.lacks(job)), None)
        if hopeless:
            ray.shutdown()
            raise BenchError(
                f"--on ray: this machine alone is the cluster, and it has no {self.asked_by(hopeless)}: "
                "ask for less, or give --address"
            )
        return self

    def _join(self, address: str) -> None:
        self.ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)

    def _joined(self, address: str) -> bool:
        """Whether there is a cluster at that address, which is joined then."""
        try:
            self._join(address)
        except ConnectionError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        for reference in self.tasks:
            self.ray.cancel(reference, force=True)
        if self.own:
            self.ray.shutdown()

    def machines(self) -> dict[str, dict[str, float]]:
        """The machines that are alive, with all that they have."""
        if time.monotonic() - self.seen > GLANCE:
            self.alive = {node["NodeID"]: node["Resources"] for node in self.ray.nodes() if node["Alive"]}
            self.seen = time.monotonic()
        return self.alive

    def needed(self, job: Job) -> dict[str, float]:
        """What Ray must keep free for a job, by Ray's names."""
        asked, device = job.resources, self.options.device
        gpus = 0 if device == "cpu" else asked.gpus
        if gpus is None:
            gpus = int(device != "auto" or any(machine.get("GPU") for machine in self.machines().values()))
        needed = {"CPU": asked.cpus, "GPU": gpus, "memory": (asked.memory or 0) * 1e9}
        return {name: value for name, value in needed.items() if value}

    def lacks(self, job: Job) -> bool:
        """Whether no machine can take a job."""
        return not any(self.slots(machine, self.needed(job)) for machine in self.machines())

    def asked_by(self, job: Job) -> str:
        """What a job asks for, with the key of the suite that says so."""
        needed = self.needed(job)
        asked = [f"{needed[name]:g} {name}s" for name in ("CPU", "GPU") if name in needed]
        if "memory" in needed:
            asked.append(f"{needed['memory'] / 1e9:g} GB of memory")
        return f"{', '.join(asked)} (`resources` of {job.row['title']})"

    def slots(self, machine: str, needed: dict[str, float]) -> int:
        """How many jobs like this one a machine has room for."""
        has = self.machines().get(machine, {})
        return min((int(has.get(name, 0) // value) for name, value in needed.items()), default=0)

    @property
    def free(self) -> bool:
        """Whether there is room for another job. Where no machine can take any, one job waits for such a machine."""
        needed = self.needed(self.last)
        room = max(1, sum(self.slots(machine, needed) for machine in self.machines()))
        return len(self.tasks) < min(self.options.workers or room, room)

    @property
    def running(self) -> bool:
        return bool(self.tasks)

    def start(self, job: Job) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        needed, asked = self.needed(job), self.asked_by(job)
        if asked not in self.warned and self.lacks(job):
            self.warned.add(asked)
            console.print(f"no machine has {asked}: waiting for one", style="yellow", highlight=False, markup=False)
        machine = self.nearest(job, needed)
        strategy = NodeAffinitySchedulingStrategy(machine, soft=True) if machine else "DEFAULT"
        reference = self.remote.options(
            name=job.label,
            num_cpus=needed.get("CPU", 0),
            num_gpus=needed.get("GPU", 0),
            memory=int(needed.get("memory", 0)) or None,
            scheduling_strategy=strategy,
        ).remote(self.task, job.id)
        self.tasks[reference] = self.last = job
        self.asked[job.id] = machine

    def nearest(self, job: Job, needed: dict[str, float]) -> str:
        """The machine with room that has most of what the job reads; empty where none has room."""
        load = Counter(self.asked[other.id] for other in self.tasks.values())
        trained = {self.trained[need] for need in job.needs if need in self.trained}
        homes = self.homes[job.row["dataset"]]
        with_room = [machine for machine in self.machines() if load[machine] < self.slots(machine, needed)]
        return min(with_room, key=lambda m: (m not in trained, m not in homes, load[m], m), default="")

    def wait(self, seconds: float) -> Iterator[tuple[Job, Ended]]:
        if not self.tasks:
            time.sleep(seconds)
            return
        ready, _ = self.ray.wait(list(self.tasks), timeout=seconds)
        for reference in ready:
            job = self.tasks.pop(reference)
            try:
                ended, machine = self.ray.get(reference)
            except self.error as error:
                reason = " ".join(str(error).split())[:300]
                ended = Ended("lost", f"Ray gave it up: {reason}")
            else:
                self.trained[job.id] = machine
                self.homes[job.row["dataset"]].add(machine)
            yield job, ended


def _asks_for_token() -> bool:
    """Whether Ray works with token authentication here: it says so in the environment when it turns it on by itself."""
    return os.environ.get(AUTHENTICATION, "").lower() == "token"


def _hint() -> str:
    """Ray joins a cluster at an address without a token unless it is told to: what it says then names no reason."""
    if _asks_for_token():
        return ""
    return (
        f". If the cluster was started with token authentication: {AUTHENTICATION}=token, and its token on this machine"
    )


def _run(task: Task, job_id: str) -> tuple[Ended, str]:
    return task.run(job_id)
