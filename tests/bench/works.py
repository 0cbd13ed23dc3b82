"""What tests let the runner do in the place of training and measuring, and a plan of small jobs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from bench import jobs, suite
from bench.jobs import Job, Plan
from bench.runner.execute import Options, execute
from bench.store import write_json


def small_plan(root: Path, jobs_wanted: int = 6, **changes) -> Plan:
    """Jobs that complete four images with the mean colour, each under another mask; nothing is scored."""
    content = {
        "suite": "small",
        "size": 32,
        "data": [{"name": "synthfaces", "train": 8, "test": 4}],
        "methods": ["mean"],
        "conditions": [f"center/{ratio}" for ratio in range(2, 2 + jobs_wanted)],
        "metrics": ["l1@hole", "psnr"],
        "report": {"main": ["l1@hole"], "samples": 0},
    }
    made = jobs.plan(suite.parse(content | changes, "small"), root)
    made.jobs = [job for job in made.jobs if job.kind != "score"]
    return made


def finish(made: Plan, job: Job) -> None:
    write_json(made.job_folder(job.id) / "result.json", {})


def touch(made: Plan, job: Job, options: Options) -> None:
    """Leave one file for each time that the job ran."""
    folder = made.job_folder(job.id) / "ran"
    folder.mkdir(exist_ok=True)
    (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(0.05)
    finish(made, job)


def times(made: Plan, job: Job) -> int:
    """How often `touch` ran the job."""
    return len(list((made.job_folder(job.id) / "ran").iterdir()))


def number(made: Plan, job: Job) -> int:
    """The place of a job among those of its kind: a worker's own plan has more kinds."""
    return [one.id for one in made.jobs if one.kind == job.kind].index(job.id)


def odd(made: Plan, job: Job, options: Options) -> None:
    """Every second job fails the first time it runs."""
    tried = made.job_folder(job.id) / "tried"
    if number(made, job) % 2 and not tried.exists():
        tried.touch()
        raise ConnectionError("the first time goes wrong")
    finish(made, job)


def deadly(made: Plan, job: Job, options: Options) -> None:
    """The first job kills its process, as the kernel does when memory runs out; before, it says so."""
    if job == made.jobs[0]:
        os.write(2, b"native code had something to say\n")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    finish(made, job)


def process(made: Plan, job: Job) -> int:
    """The process that began the job last, as its log says."""
    log = (made.job_folder(job.id) / "log.txt").read_text()
    return int(log.rpartition(": process ")[2].partition(" ")[0])


SLEEP = 2.0


def sleep(made: Plan, job: Job, options: Options) -> None:
    """A job of known length; it notes when it ran."""
    start = time.time()
    time.sleep(SLEEP)
    write_json(made.job_folder(job.id) / "result.json", {"start": start, "end": time.time()})


def overhead(made: Plan, workers: int) -> float:
    """Wall clock that `sleep` took on warm workers, more than the ideal, as a fraction of the ideal."""
    from bench.store import read_json

    noted = [read_json(made.job_folder(job.id) / "result.json") for job in made.jobs]
    took = max(one["end"] for one in noted) - min(one["start"] for one in noted)
    return took / (len(made.jobs) * SLEEP / workers) - 1


EARLY = 8  # jobs before the machine is lost


def until_killed(made: Plan, job: Job, options: Options) -> None:
    """The real work on a Ray cluster; all but the first jobs wait until the test has killed a machine."""
    import ray

    (made.job_folder(job.id) / "machine").write_text(ray.get_runtime_context().get_node_id())
    deadline = time.monotonic() + 120
    while number(made, job) >= EARLY and not (made.root / "killed").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    execute(made, job, options)
