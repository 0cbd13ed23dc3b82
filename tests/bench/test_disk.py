"""What a run keeps of its pictures, and how much that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import disk, jobs, results, runner, suite
from bench.archive import FILE
from bench.jobs import Plan

CONTENT: dict[str, Any] = {
    "suite": "kept",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 20}],
    "methods": ["telea", {"method": "mean", "paste": False}],
    "conditions": ["center/25", "irregular/40-50"],
    "metrics": ["l1@hole"],
    "report": {"main": ["l1@hole"], "samples": 3},
}


def plan(root: Path, **changes: Any) -> Plan:
    return jobs.plan(suite.parse(CONTENT | changes, "here"), root)


def run(made: Plan) -> runner.Outcome:
    outcome = runner.run(made, runner.Options(device="cpu", workers=0))
    assert not outcome.failed
    results.collect(made)
    return outcome


def archives(made: Plan) -> list[Path]:
    return sorted((made.root / "jobs").glob(f"*/{FILE}"))


def shown(made: Plan) -> list[Path]:
    return sorted(path for title in ("Telea", "Mean_colour") for path in made.folder.glob(f"samples/*/*/{title}/*.png"))


@pytest.mark.parametrize(("keep", "pictures"), [("samples", 12), ("none", 0)])
def test_pictures_go_when_they_are_scored(tmp_path: Path, keep: str, pictures: int) -> None:
    made = plan(tmp_path, keep=keep)
    assert run(made).done == 8
    assert archives(made) == [] and len(shown(made)) == pictures
    assert run(plan(tmp_path, keep=keep)).done == 0  # nothing is to do
    assert len(shown(made)) == pictures
    more = plan(tmp_path, keep=keep, metrics=["l1@hole", "psnr"])
    assert run(more).done == 8  # a further metric needs the pictures again
    assert archives(made) == []


@pytest.mark.parametrize("keep", ["samples", "none"])
def test_pictures_that_another_suite_keeps_stay(tmp_path: Path, keep: str) -> None:
    every = plan(tmp_path)
    run(every)
    few = plan(tmp_path, suite="few", keep=keep, metrics=["psnr", "l1@hole"])
    assert run(few).done == 4  # the scores
    assert len(archives(every)) == 4


def test_pictures_that_are_gone_are_made_again_for_a_suite_that_keeps_them(tmp_path: Path) -> None:
    run(plan(tmp_path, suite="few", keep="none"))
    every = plan(tmp_path)
    (first, *_) = (job for job in every.jobs if job.kind == "complete")
    assert every.missing(first) == "its pictures are gone"
    assert run(every).done == 4 and len(archives(every)) == 4
    assert run(plan(tmp_path)).done == 0
    run(plan(tmp_path, suite="few", keep="none", metrics=["psnr", "l1@hole"]))
    assert len(archives(every)) == 4


def test_samples_are_the_first_pictures_whatever_is_kept(tmp_path: Path) -> None:
    every, few = plan(tmp_path / "all"), plan(tmp_path / "few", keep="samples")
    run(every), run(few)
    assert len(archives(every)) == 4
    left, right = ([path.read_bytes() for path in shown(made)] for made in (every, few))
    assert left == right and len(left) == 12


def test_what_was_not_pasted_is_named_and_kept_whole(tmp_path: Path) -> None:
    made = plan(tmp_path)
    run(made)
    rows = results.rows(made, made.scores)
    assert dict(zip(rows["method"], rows["note"], strict=True)) == {
        "telea": "",
        "mean": "known pixels are the method's own, not the original's",
    }


def test_the_space_is_told_before(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert disk.told(made) == ""  # less than a megabyte
    expected = disk.needed(made)
    run(made)
    assert disk.needed(made) == 0
    assert 0.2 * expected < sum(path.stat().st_size for path in archives(made)) < expected
    large = plan(tmp_path / "large", size=512)
    expected = sum(masks.ratios.mean() + 1 for masks in large.data["synthfaces"].masks.values()) * 20 * 512**2 * 1.7
    assert disk.needed(large) == pytest.approx(expected)
    assert disk.told(large) == f"completed pictures will take about {expected / 1e6:.0f} MB in {large.root / 'jobs'}"
