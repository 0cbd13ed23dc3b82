"""The runner: failures, retries, workers that die, and runners that meet on one folder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import runner
from bench.errors import BenchError
from bench.jobs import Job
from bench.runner.attempt import attempt, explained, last_lines, passing
from bench.runner.order import longest_first
from bench.runner.processes import Processes
from bench.store import hold
from tests.bench import works

HERE = runner.Options(workers=0)


def error_of(made, job) -> str:
    return made.error_file(job).read_text()


def test_a_job_that_fails_is_tried_again(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, retries=1)
    outcome = runner.run(made, HERE, works.odd)
    assert (outcome.done, outcome.failed) == (6, {})
    assert not list(tmp_path.rglob("error.txt"))  # it went well in the end


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"),
        FileNotFoundError("no.txt"),
        BenchError("mend it"),
    ],
)
def test_what_would_fail_in_the_same_way_is_tried_once(tmp_path: Path, error: Exception) -> None:
    made, tried = works.small_plan(tmp_path, 1, retries=3), []

    def work(plan, job, options):
        tried.append(job)
        raise error

    outcome = runner.run(made, HERE, work)
    assert tried == [made.jobs[0]]
    assert list(outcome.failed) == [made.jobs[0].id]


def test_trouble_of_the_machine_may_pass() -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        OSError(5, "Input/output error"),
    ):
        assert passing(error), error
        wrapped = ValueError("no picture")
        wrapped.__cause__ = error
        assert passing(wrapped), error


def test_without_retries_it_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, retries=0)
    outcome = runner.run(made, HERE, works.odd)
    assert outcome.done == 3
    assert set(outcome.failed) == {job.id for job in made.jobs[1::2]}
    assert set(outcome.failed.values()) == {"ConnectionError: the first time goes wrong"}
    text = error_of(made, made.jobs[1])
    assert text.startswith("ConnectionError: the first time goes wrong\n")
    assert "Traceback" in text
    assert "works.py" in text
    assert "last lines of log.txt" in text
    assert made.missing(made.jobs[1]) == "ConnectionError: the first time goes wrong"


def test_a_job_that_ends_the_process_fails_and_the_others_go_on(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, retries=0)

    def work(plan, job, options):
        if job == made.jobs[0]:
            raise SystemExit(0)
        works.finish(plan, job)

    outcome = runner.run(made, HERE, work)
    assert outcome.done == len(made.jobs) - 1
    assert outcome.failed == {made.jobs[0].id: "a call of exit(0) would have ended the whole run"}
    assert "Traceback" in error_of(made, made.jobs[0])


def test_of_several_processes_one_may_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = works.small_plan(tmp_path)

    def work(plan, job, options):
        raise SystemExit("the others wait")

    for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="the others wait"):
        attempt(made, made.jobs[0], HERE, work)


def test_jobs_that_need_a_failed_one_are_skipped(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, 1, methods=["mean", "aot"], size=64, retries=0, train={"features": "embedded"})
    train = next(job for job in made.jobs if job.kind == "train")
    waits = next(job for job in made.jobs if job.needs)

    def work(plan, job, options):
        if job.kind == "train":
            raise MemoryError
        works.finish(plan, job)

    outcome = runner.run(made, HERE, work)
    assert outcome.failed == {train.id: "out of memory: MemoryError"}
    assert outcome.skipped == [waits.id]
    assert made.missing(waits) == f"needs `{train.label}`: out of memory: MemoryError"


def test_what_ends_the_run(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path)

    def full(plan, job, options):
        raise BenchError(f"cannot write {plan.root}/x: the disk is full")

    with pytest.raises(BenchError, match="disk is full"):
        runner.run(made, HERE, full)


def test_a_job_that_the_plan_has_not_means_that_the_source_changed(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"changed while the suite was running.*run the same command again"):
        works.small_plan(tmp_path).job("complete-mean-0000")


def test_out_of_memory_is_named() -> None:
    assert explained(torch.OutOfMemoryError("CUDA out of memory.\nTried")).startswith("out of memory: OutOfMemoryError")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert explained(caught.value).startswith("out of memory: RuntimeError")
    assert explained(ValueError("a\n  b")) == "ValueError: a b"
    assert explained(BenchError("plain")) == "plain"


def test_the_log_holds_warnings_and_records(tmp_path: Path) -> None:
    import logging
    import warnings

    made = works.small_plan(tmp_path, 1)

    def work(plan, job, options):
        warnings.warn("beware", stacklevel=1)
        logging.getLogger("anybody").warning("heard")
        works.finish(plan, job)

    assert attempt(made, made.jobs[0], HERE, work).state == "done"
    log = last_lines(made.job_folder(made.jobs[0].id) / "log.txt")
    for text in ("begins", "beware", "heard", "done after"):
        assert text in log


def test_a_held_job_is_left_alone_and_left_overs_are_swept(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, 1)
    job = made.jobs[0]
    folder = made.job_folder(job.id)
    with hold(folder / ".lock") as mine:
        assert mine
        (folder / ".rows.parquet.abc.part").touch()
        assert attempt(made, job, HERE, works.touch).state == "busy"
        assert (folder / ".rows.parquet.abc.part").exists()
    assert attempt(made, job, HERE, works.touch).state == "done"
    assert not list(folder.glob(".*.part"))
    assert attempt(made, job, HERE, works.touch).state == "done"
    assert works.times(made, job) == 1


def test_the_longest_chain_of_trainings_begins_first() -> None:
    """A prior of 100 steps, whose method trains 500 more, before 400 steps alone; scores as they stand."""

    def training(name: str, steps: int, *needs: Job) -> Job:
        return Job("train", name, {"method": name, "steps": steps, "batch": 2}, {}, tuple(need.id for need in needs))

    short, alone, prior = training("short", 50), training("alone", 400), training("prior", 100)
    above = training("above", 500, prior)
    complete = Job("complete", "c", {"method": "mean"}, {}, ())
    score = Job("score", "s", {"method": "mean"}, {}, (complete.id,))
    ordered = longest_first([complete, score, short, alone, prior, above])
    assert ordered == [prior, above, alone, short, complete, score]


def test_a_job_that_had_to_wait_keeps_its_place(tmp_path: Path) -> None:
    """One worker: what is first in the list and can run is what runs."""
    made, seen = works.small_plan(tmp_path), []

    def note(made, job, options) -> None:
        seen.append(number[job.id])
        works.finish(made, job)

    made.jobs[0] = replace(made.jobs[0], needs=(made.jobs[3].id,))
    number = {job.id: place for place, job in enumerate(made.jobs)}
    with runner.Here(made, HERE, note) as pool:
        runner.go_through(made, made.jobs, set(), pool, runner.Outcome())
    assert seen == [1, 2, 3, 0, 4, 5]


def test_two_runners_share_the_jobs(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, 12)
    outcomes = []
    runners = [threading.Thread(target=lambda: outcomes.append(runner.run(made, HERE, works.touch))) for _ in range(2)]
    for one in runners:
        one.start()
    for one in runners:
        one.join()
    assert len(outcomes) == 2
    assert all(not outcome.failed and not outcome.skipped for outcome in outcomes)
    assert all(made.done(job) for job in made.jobs)
    assert [works.times(made, job) for job in made.jobs] == [1] * 12


def _hold_for_ever(path: Path, ready) -> None:
    with hold(path):
        ready.set()
        time.sleep(600)


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, 1)
    lock = made.job_folder(made.jobs[0].id) / ".lock"
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=_hold_for_ever, args=(lock, ready))
    other.start()
    assert ready.wait(60)
    killer = threading.Timer(1, other.kill)
    killer.start()
    outcome = runner.run(made, HERE, works.touch)  # waits for the other one, and does its job
    assert outcome.done == 1
    assert not other.is_alive()


def test_a_worker_that_is_killed_loses_its_own_job_only(tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, retries=0)
    outcome = runner.run(made, runner.Options(device="cpu", workers=2), works.deadly)
    assert outcome.done == 5
    assert list(outcome.failed) == [made.jobs[0].id]
    assert "SIGKILL" in outcome.failed[made.jobs[0].id]
    assert "out of memory" in outcome.failed[made.jobs[0].id]
    assert "native code had something to say" in error_of(made, made.jobs[0])


def test_idle_workers_end_by_themselves(tmp_path: Path) -> None:
    """And clean up: one that is terminated leaves semaphores behind, of which Python warns."""
    made = works.small_plan(tmp_path, 2)
    with Processes(made, runner.Options(device="cpu", workers=2), works.sleep, 2) as pool:
        runner.go_through(made, made.jobs, set(), pool, runner.Outcome())
        workers = list(pool.idle)
    assert [worker.process.exitcode for worker in workers] == [0, 0]


def _runner(root: Path) -> None:
    runner.run(works.small_plan(root, 4), runner.Options(device="cpu", workers=1), works.sleep)


def test_workers_end_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    first = context.Process(target=_runner, args=(tmp_path,))
    first.start()
    deadline = time.monotonic() + 120
    said = ""
    while "process " not in said and time.monotonic() < deadline:  # a log is empty at first
        time.sleep(0.05)
        said = "".join(path.read_text() for path in tmp_path.glob("jobs/*/log.txt"))
    worker = int(said.partition("process ")[2].partition(" ")[0])
    os.kill(worker, 0)
    assert first.pid
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.slow
def test_scheduling_overhead_of_processes_is_under_five_percent(tmp_path: Path) -> None:
    """Four warm workers, 24 jobs of two seconds: ideally 12 s."""
    made = works.small_plan(tmp_path, 28)
    options = runner.Options(device="cpu", workers=4)
    with Processes(made, options, works.sleep, 4) as pool:
        outcome = runner.Outcome()
        runner.go_through(made, made.jobs[:4], set(), pool, outcome)  # starts the workers
        made.jobs = made.jobs[4:]
        runner.go_through(made, made.jobs, set(), pool, outcome)
    assert outcome.done == 28
    found = works.overhead(made, 4)
    print(f"overhead {found:.2%}")
    assert 0 <= found < 0.05
