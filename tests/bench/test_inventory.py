"""What lies in a folder of runs, and what may be deleted of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import inventory, runner
from bench.errors import BenchError
from bench.jobs import Job, Plan
from bench.runner import Options
from bench.store import hold, write_json
from tests.bench.works import small_plan, touch


def job(root: Path, name: str, done: bool = True, **identity: object) -> Path:
    folder = root / "jobs" / name
    write_json(folder / "job.json", identity | {"label": f"what {name} does"})
    (folder / ".lock").touch()
    if done:
        write_json(folder / "result.json", {})
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A finished suite, one that was stopped, and jobs that none of them has."""
    job(tmp_path, "train-a-1")
    job(tmp_path, "complete-a-1", model=["train-a-1"])
    job(tmp_path, "score-a-1", completion="complete-a-1")
    write_json(tmp_path / "one/run.json", {"cells": [{"completion": "complete-a-1", "score": "score-a-1"}]})
    job(tmp_path, "train-prior-1", done=False)
    job(tmp_path, "train-b-1", done=False, priors={"prior": "train-prior-1"})
    write_json(tmp_path / "two/jobs.json", ["train-b-1", "complete-b-1"])
    (job(tmp_path, "train-old-1") / "weights.safetensors").write_bytes(bytes(5000))
    (job(tmp_path, "train-old-2", done=False) / "error.txt").write_text("out of memory")
    (tmp_path / "jobs/complete-torn").mkdir()
    return tmp_path


def test_jobs_tell_state_size_and_who_names_them(root: Path) -> None:
    os.utime(root / "jobs/train-old-1/weights.safetensors", (2e9, 2e9))
    with hold(root / "jobs/train-b-1/.lock"):
        found = {one.id: one for one in inventory.kept(root)}
    assert list(found)[-1] == "train-old-1"  # the newest
    assert {name: one.state for name, one in found.items() if one.state != "done"} == {
        "train-b-1": "running", "train-prior-1": "stopped", "train-old-2": "failed", "complete-torn": "stopped",
    }  # fmt: skip
    assert {name: one.suites for name, one in found.items() if one.suites} == {
        **dict.fromkeys(["train-a-1", "complete-a-1", "score-a-1"], ("one",)),
        **dict.fromkeys(["train-b-1", "train-prior-1"], ("two",)),
    }
    assert found["score-a-1"].label == "what score-a-1 does"
    assert found["complete-torn"].label == "complete-torn"
    assert found["train-old-1"].size > 5000 > found["train-a-1"].size > 0


def test_a_run_names_its_jobs_before_it_does_them(tmp_path: Path) -> None:
    def broken(made: Plan, job: Job, options: Options) -> None:
        raise RuntimeError

    made = small_plan(tmp_path, 2)
    made.jobs = made.jobs[:1]
    assert runner.run(made, Options(workers=0), broken).failed
    assert [(one.state, one.suites) for one in inventory.kept(tmp_path)] == [("failed", ("small",))]
    again = small_plan(tmp_path, 2)
    runner.run(again, Options(workers=0), touch)
    assert {one.suites for one in inventory.kept(tmp_path)} == {("small",)}
    other = small_plan(tmp_path, 1)  # the suite as it is today has one of them
    runner.run(other, Options(workers=0), touch)
    assert sorted(one.suites for one in inventory.kept(tmp_path)) == [(), ("small",)]


def test_what_is_removed_is_gone_and_what_runs_is_not(root: Path) -> None:
    jobs = inventory.kept(root)
    (old,) = inventory.chosen(jobs, ["train-old-1"])
    inventory.remove(old)
    assert not old.path.exists()
    assert len(inventory.kept(root)) == len(jobs) - 1
    (busy,) = inventory.chosen(jobs, ["train-b"])
    with hold(busy.path / ".lock"), pytest.raises(BenchError, match="train-b-1 is running"):
        inventory.remove(busy)
    assert busy.path.exists()


def test_jobs_are_named_by_beginnings_of_their_ids(root: Path) -> None:
    jobs = inventory.kept(root)
    assert [one.id for one in inventory.chosen(jobs, ["score", "train-a-1", "train-a"])] == ["score-a-1", "train-a-1"]
    with pytest.raises(BenchError, match="'train': 5 jobs begin so"):
        inventory.chosen(jobs, ["train"])
    with pytest.raises(BenchError, match="'nothing': see `facebench jobs list`"):
        inventory.chosen(jobs, ["nothing"])


def test_space_counts_linked_files_once(root: Path) -> None:
    before = inventory.space(root)
    assert before["jobs: train"] > 5000
    assert {"jobs: complete", "jobs: score", "one", "two"} <= {*before}
    os.link(root / "jobs/train-old-1/weights.safetensors", root / "jobs/train-a-1/weights.safetensors")
    assert inventory.space(root) == before


def test_a_folder_without_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no jobs: give the folder of all runs with --out"):
        inventory.kept(tmp_path)


def test_a_damaged_suite_is_named_before_anything_is_deleted(root: Path) -> None:
    (root / "two/jobs.json").write_text("[")
    with pytest.raises(BenchError, match=r"two/jobs\.json"):
        inventory.kept(root)
