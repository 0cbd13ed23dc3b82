"""`facebench jobs` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import cli
from bench.errors import BenchError
from bench.store import write_json


def call(*arguments: str, answer: str = "", code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, ["jobs", *arguments], input=answer, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def out(tmp_path: Path) -> list[str]:
    for name in ("train-a-1", "train-b-2"):
        write_json(tmp_path / "jobs" / name / "job.json", {"label": f"train {name}"})
        write_json(tmp_path / "jobs" / name / "result.json", {})
    write_json(tmp_path / "mine/jobs.json", ["train-a-1"])
    return ["--out", str(tmp_path)]


def left(out: list[str]) -> list[str]:
    return sorted(path.name for path in Path(out[1], "jobs").iterdir())


def test_list_shows_and_filters(out: list[str]) -> None:
    shown = call("list", *out)
    assert "train-a-1" in shown and "train-b-2" in shown and "mine" in shown and "2 jobs" in shown
    assert "train-b-2" not in call("list", "--suite", "mine", *out)
    assert "0 jobs" in call("list", "--state", "failed", *out)
    with pytest.raises(BenchError, match="--state: 'dead' is none of done, failed, stopped, running"):
        call("list", "--state", "dead", *out)
    with pytest.raises(BenchError, match="--suite: 'yours' is none of mine"):
        call("list", "--suite", "yours", *out)


def test_clean_asks_and_takes_what_no_suite_names(out: list[str]) -> None:
    shown = call("clean", *out, answer="n\n", code=1)
    assert "train-b-2" in shown and "train-a-1" not in shown
    assert left(out) == ["train-a-1", "train-b-2"]
    assert "deleted 1 jobs" in call("clean", *out, answer="y\n")
    assert left(out) == ["train-a-1"]
    assert "nothing to delete" in call("clean", *out)


def test_remove_takes_the_named(out: list[str]) -> None:
    call("remove", "train-a", "--yes", *out)
    assert left(out) == ["train-b-2"]


def test_disk_tells_what_takes_how_much(out: list[str]) -> None:
    shown = call("disk", *out)
    assert "jobs: train" in shown and "free on this disk" in shown
    assert "named by no suite: " in shown and "named by no suite: 0 B" not in shown
