"""A suite whose processes are killed again and again: no result is lost and none is changed.

Starting Python and importing torch takes longer than the suite, so runs are forked from a server that has done that.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.test_run import same, write_suite

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["matplotlib.pyplot", "bench.cli", "bench.results", "bench.runner.processes", "baselines.aot", "reports"]
)
KILLS = 50
PHASES = ("prepare", "train", "complete", "score", "report")


def _facebench(folder: Path, *arguments: str) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    os.chdir(folder)
    sys.argv = ["facebench", *arguments]
    from bench.cli import main

    main()


def start(folder: Path, workers: int = 0):
    """A run of the small suite in a process of its own."""
    process = SERVER.Process(target=_facebench, args=(folder, "run", "small.yaml", "--workers", str(workers)))
    process.start()
    return process


def new(folder: Path) -> Path:
    """A folder with a suite that trains a GAN, in seconds."""
    folder.mkdir()
    write_suite(
        folder,
        data=[{"name": "synthfaces", "train": 8, "test": 8}],
        methods=["mean", {"method": "aot", "steps": 6}],
        train={"features": "embedded", "batch": 2, "checkpoint": 1},
        metrics=["perceptual@embedded", "l1@hole"],
        report={"main": ["perceptual@embedded", "l1@hole"], "samples": 1},
    )
    return folder


def phase(runs: Path, since: float) -> str:
    """What the run that began at `since` was doing last, by the files that it wrote."""

    def latest(*patterns: str) -> tuple[float, str]:
        found = [path for pattern in patterns for path in runs.glob(pattern) if path.is_file()]
        return max(((path.stat().st_mtime, path.parent.name) for path in found), default=(0.0, ""))

    written, _ = latest("small/*.parquet", "small/protocol.json", "small/samples/**/*", "small/report/**/*")
    if written >= since:
        return "report"
    logged, job = latest("jobs/*/log.txt")
    return job.partition("-")[0] if logged >= since else "prepare"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A finished run, and the seconds that it took."""
    folder = new(tmp_path_factory.mktemp("killed") / "undisturbed")
    _finish(new(folder.with_name("warm")))  # starts the server
    begin = time.monotonic()
    _finish(folder)
    return folder / "runs", time.monotonic() - begin


def _finish(folder: Path, workers: int = 0) -> None:
    process = start(folder, workers)
    process.join()
    assert process.exitcode == 0


@pytest.mark.slow
def test_killed_at_fifty_random_moments_gives_the_same_bytes(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    """SIGKILL at random moments, and the same command again until it ends; then from the start, in a new folder."""
    expected, seconds = undisturbed
    rng = random.Random(8)
    hit: Counter[str] = Counter()
    finished = 0
    folder = new(tmp_path / "0")
    while hit.total() < KILLS:
        since, fresh = time.time(), not (folder / "runs").exists()
        process = start(folder)
        process.join(rng.uniform(0, seconds))
        if process.exitcode is None:
            process.kill()
            process.join()
            hit[phase(folder / "runs", since)] += 1
        else:
            assert process.exitcode == 0
            same(expected, folder / "runs")
            if fresh:  # the machine has become faster
                seconds = min(seconds, time.time() - since)
            finished += 1
            folder = new(tmp_path / str(finished))
    _finish(folder)
    same(expected, folder / "runs")
    print(f"{dict(hit)}, {finished + 1} runs finished, {seconds:.1f} s undisturbed")
    assert set(hit) == set(PHASES)


@pytest.mark.slow
def test_workers_are_killed_and_no_job_is_lost(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    """SIGKILL for a worker process while its runner goes on: the job is tried again."""
    expected, _ = undisturbed
    folder = new(tmp_path / "workers")
    process = start(folder, workers=2)
    killed: set[int] = set()
    while process.exitcode is None:
        for log in folder.glob("runs/jobs/train-*/log.txt"):
            worker = int((log.read_text().partition("process ")[2].partition(" ")[0]) or 0)
            if worker and worker not in killed and len(killed) < 2 and not log.with_name("result.json").exists():
                os.kill(worker, 9)
                killed.add(worker)
        process.join(0.02)
    assert process.exitcode == 0
    assert killed
    same(expected, folder / "runs")


@pytest.mark.slow
def test_two_runners_on_one_folder_end_with_the_same_tables(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    expected, _ = undisturbed
    folder = new(tmp_path / "shared")
    runners = [start(folder), start(folder)]
    for process in runners:
        process.join()
    assert [process.exitcode for process in runners] == [0, 0]
    same(expected, folder / "runs")
    logs = [path.read_text() for path in folder.glob("runs/jobs/*/log.txt")]
    assert len({line.partition("process ")[2].partition(" ")[0] for log in logs for line in log.splitlines()}) > 2
