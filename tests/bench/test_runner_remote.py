"""Finished jobs in an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import runner
from bench.errors import BenchError
from bench.runner.remote import Remote, mirror
from tests.bench import works

pytest.importorskip("fsspec")


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/store"
    return f"memory://{tmp_path.name}/runs"


def options(url: str) -> runner.Options:
    return runner.Options(workers=0, url=url)


def test_another_machine_finds_what_is_done(url: str, tmp_path: Path) -> None:
    here, there = works.small_plan(tmp_path / "here"), works.small_plan(tmp_path / "there")
    assert runner.run(here, options(url), works.touch).done == 6
    again = runner.run(there, options(url), works.touch)
    assert (again.done, again.reused) == (0, 6)
    assert all(works.times(there, job) == 1 for job in there.jobs)


def test_weights_travel_to_the_job_that_needs_them_and_not_to_the_report(url: str, tmp_path: Path) -> None:
    changes = {"methods": ["aot"], "size": 64, "train": {"features": "embedded"}}

    def work(made, job, options):
        folder = made.job_folder(job.id)
        if job.kind == "train":
            (folder / "weights.safetensors").write_text("large")
            (folder / "checkpoint.pt").write_text("local")
        else:
            assert (made.job_folder(job.needs[0]) / "weights.safetensors").read_text() == "large"
        works.finish(made, job)

    first = works.small_plan(tmp_path / "first", 2, **changes)
    train, *measure = first.jobs
    first.jobs = [train]
    assert runner.run(first, options(url), work).done == 1

    second = works.small_plan(tmp_path / "second", 2, **changes)
    Remote(url, second.root).meet(second)
    folder = second.job_folder(train.id)
    assert second.done(train)
    assert not (folder / "weights.safetensors").exists()
    assert runner.run(second, options(url), work).done == len(measure) == 2
    assert not (folder / "checkpoint.pt").exists()


def test_a_failure_is_copied_up(url: str, tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, 2, retries=0)
    assert len(runner.run(made, options(url), works.odd).failed) == 1
    files, base = Remote(url, made.root).place
    assert files.exists(f"{base}/jobs/{made.jobs[1].id}/error.txt")


def test_an_unknown_store_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"--out nowhere://x"):
        Remote("nowhere://x", tmp_path).pull("jobs")


def test_every_store_has_its_own_mirror() -> None:
    assert mirror("s3://a/runs") != mirror("s3://b/runs")


def test_what_was_done_while_the_store_was_away_is_copied_up(url: str, tmp_path: Path) -> None:
    made = works.small_plan(tmp_path, 3)
    runner.run(made, runner.Options(workers=0), works.touch)
    store = Remote(url, made.root)
    store.meet(made)
    files, base = store.place
    assert len(files.glob(f"{base}/jobs/*/result.json")) == 3
    assert not files.glob(f"{base}/jobs/*/.lock")


def test_a_file_that_would_lie_outside_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Remote(f"memory://{tmp_path.name}", tmp_path / "a/b")
    files, base = store.place
    monkeypatch.setattr(type(files), "exists", lambda *_: True)
    monkeypatch.setattr(type(files), "find", lambda *_: [f"{base}/jobs/x/../../../evil", f"{base}/jobs/x/good"])
    monkeypatch.setattr(type(files), "cat_file", lambda *_: b"text")
    store.pull("jobs/x")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["good"]
