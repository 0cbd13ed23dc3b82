"""What a result row says of its origin, deterministic runs, and rows that must not stand in one table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import bench
from bench import jobs, metrics, results, runner, suite
from bench.errors import BenchError
from bench.provenance import FACTS, commit
from reports import build
from reports.results import ORIGIN, differences, load, tidy
from tests.reports import made_up

SUITE = {
    "suite": "origin",
    "version": 3,
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 3}],
    "methods": ["mean", "aot"],
    "conditions": ["center/25", "irregular/20-30"],
    "seeds": [0, 7],
    "train": {"features": "embedded", "batch": 2, "steps": 2},
    "metrics": ["psnr", "l1@hole"],
    "report": {"main": ["psnr"], "samples": 0},
}


def ran(root: Path, deterministic: bool) -> tuple[jobs.Plan, pd.DataFrame]:
    made = jobs.plan(suite.parse(SUITE, "origin.yaml"), root)
    outcome = runner.run(made, runner.Options(device="cpu", workers=0, deterministic=deterministic))
    assert not outcome.failed
    return made, pd.read_parquet(results.collect(made) / "results.parquet")


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> tuple[jobs.Plan, pd.DataFrame]:
    """A deterministic run."""
    return ran(tmp_path_factory.mktemp("exact"), True)


def test_every_row_tells_its_origin(exact: tuple[jobs.Plan, pd.DataFrame]) -> None:
    made, rows = exact
    assert {*FACTS, *ORIGIN, "seed", "extractor"} <= set(rows)
    one = {
        "facebench": bench.__version__,
        "commit": commit(),
        "device": "CPU",
        "precision": "32-true",
        "deterministic": True,
        "size": 64,
        "suite_version": 3,
        "data_fingerprint": made.data["synthfaces"].images.fingerprint,
    }
    for column, value in one.items():
        assert set(rows[column]) == {value}, column
    assert set(rows["seed"]) == {0, 7}
    for condition, frozen in made.data["synthfaces"].masks.items():
        assert set(rows[rows["condition"] == condition]["masks_fingerprint"]) == {frozen.fingerprint}
    assert (rows["metric_version"] == rows["metric"].map(lambda name: metrics.get(name).version)).all()
    assert results.could_not(made) == []


def test_deterministic_runs_give_the_same_bits_and_say_so(
    exact: tuple[jobs.Plan, pd.DataFrame], tmp_path: Path
) -> None:
    """How a job runs is no part of what it is: its folder has the same name, and on a CPU its numbers are the same."""
    made, rows = exact
    again, usual = ran(tmp_path, False)
    assert usual["deterministic"].all()  # a CPU always is
    assert [job.id for job in made.jobs] == [job.id for job in again.jobs]
    pd.testing.assert_frame_equal(rows, usual)
    for job in made.jobs:
        if job.kind == "train":
            weights = [plan.job_folder(job.id) / "weights.safetensors" for plan in (made, again)]
            assert weights[0].read_bytes() == weights[1].read_bytes()


def test_damaged_results_of_a_job_are_named(exact: tuple[jobs.Plan, pd.DataFrame]) -> None:
    made, _ = exact
    *_, completion, score = made.jobs
    for name, job in (("rows.parquet", score), ("result.json", completion), ("completed.zip", completion)):
        path = made.job_folder(job.id) / name
        kept = path.read_bytes()
        path.write_bytes(b"[]")
        with pytest.raises(BenchError, match=rf"{name}.*run the same command again"):
            results.collect(made)
        path.write_bytes(kept)


def origin(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        facebench="0.1.0", size=64, suite_version=1, data_fingerprint="aa", images_fingerprint="bb",
        masks_fingerprint="cc" + rows["condition"], metric_version=1, torch="2.13", device="CPU",
    )  # fmt: skip


SMALL = {"conditions": ("center/25", "irregular/10-20"), "metrics": ("psnr", "fid@embedded")}
OTHER = {
    "size": (128, "size is 64 and 128"),
    "suite_version": (2, "suite version of made-up is 1 and 2"),
    "data_fingerprint": ("xx", "data fingerprint of made-up faces is aa and xx"),
    "images_fingerprint": ("xx", "images fingerprint of made-up faces is bb and xx"),
    "masks_fingerprint": ("xx", "masks fingerprint of made-up faces, center/25 is cccenter/25 and xx"),
    "metric_version": (2, "metric version of psnr is 1 and 2"),
    "extractor": ("another", "extractor of psnr is  and another"),
    "protocol": ("xx", "protocol of made-up faces, center/25, psnr is  and xx"),
}


@pytest.mark.parametrize("column", OTHER)
def test_rows_of_different_protocols_are_refused(column: str, tmp_path: Path) -> None:
    value, text = OTHER[column]
    rows = origin(made_up.rows(**SMALL))  # type: ignore[arg-type]
    rows.loc[rows["method"] == "grig", column] = value
    run = made_up.write_run(tmp_path / "run", rows, pictures=0)
    with pytest.raises(BenchError, match=rf"results\.parquet holds rows of different protocols.*{text}.*--mix"):
        load(run)
    mixed = load(run, mix=True).protocol["mixed"]
    assert len(mixed) == 1
    assert text in mixed[0]


def test_mixed_rows_say_so_below_every_table(tmp_path: Path) -> None:
    rows = origin(made_up.rows(**SMALL))  # type: ignore[arg-type]
    rows.loc[rows["method"] == "grig", "size"] = 128
    run = made_up.write_run(tmp_path / "run", rows, pictures=0)
    build(run, mix=True)
    tables = list((run / "report" / "tables").glob("*.md"))
    assert tables
    for path in tables:
        assert "NOT COMPARABLE, rows of different protocols: size is 64 and 128" in path.read_text(), path


def test_rows_of_one_protocol_may_differ_in_what_decides_nothing() -> None:
    rows = origin(made_up.rows(**SMALL, datasets=("a", "b"), seeds=(0, 1)))  # type: ignore[arg-type]
    rows.loc[rows["method"] == "grig", ["torch", "device", "facebench"]] = "2.14", "NVIDIA H100", "0.2.0"
    rows.loc[rows["dataset"] == "b", ["data_fingerprint", "images_fingerprint"]] = "dd", "ee"
    rows.loc[(rows["method"] == "mean") & (rows["metric"] == "fid@embedded"), ["value", "extractor"]] = (
        float("nan"),
        "absent",
    )
    assert differences(tidy(rows)) == []
    assert differences(tidy(made_up.rows())) == []  # older results
