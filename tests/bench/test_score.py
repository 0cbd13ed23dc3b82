"""Pictures are completed once and scored any number of times."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from bench import cli, jobs, registry, results, runner, suite
from bench.archive import FILE, Archive
from bench.errors import BenchError
from bench.jobs import Plan
from bench.metrics import expanded, extractors, get, measure
from bench.score import pictures
from bench.task import Task

CONTENT: dict[str, Any] = {
    "suite": "scored",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 4, "test": 20}],
    "methods": ["telea"],
    "conditions": ["center/25"],
    "metrics": ["psnr", "fid@embedded"],
    "report": {"main": ["psnr"], "samples": 0},
}


def plan(root: Path, **changes: Any) -> Plan:
    return jobs.plan(suite.parse(CONTENT | changes, "here"), root)


def run(made: Plan) -> runner.Outcome:
    return runner.run(made, runner.Options(device="cpu", workers=0))


def rows(made: Plan) -> pd.DataFrame:
    return results.rows(made, made.scores).set_index("metric")


@pytest.fixture
def before(tmp_path: Path) -> pd.DataFrame:
    made = plan(tmp_path)
    assert run(made).done == 2
    return rows(made)


def test_a_further_metric_loads_no_method_and_computes_itself_alone(
    before: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity vectors came with the features of FID, so that no network sees a picture again."""
    made = plan(tmp_path, metrics=["l1", "identity@embedded", "fid@embedded", "psnr"])
    asked: list[str] = []

    def refused(*_: Any) -> Any:
        raise AssertionError("a method is made, or a network is run")

    monkeypatch.setattr(registry.Entry, "load", refused)
    monkeypatch.setattr(extractors, "extract", refused)
    monkeypatch.setattr("bench.metrics.pixel.psnr", lambda *_: asked.append("psnr"))
    assert run(made).done == 1
    after = rows(made)
    assert list(after.index) == ["l1", "identity@embedded", "fid@embedded", "fid-infinity@embedded", "psnr"]
    assert after.loc["identity@embedded", "caution"].startswith("knows pictures, not persons")
    assert asked == []
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_what_is_known_is_computed_again_where_it_is_damaged(before: pd.DataFrame, tmp_path: Path) -> None:
    files = list((tmp_path / "cache/scores").rglob("*.json"))
    assert len(files) == len(before) == 3  # fid-infinity stands beside FID
    for path, text in zip(files, ("", "{}", '{"row": 1, "values": []}'), strict=True):
        path.write_text(text)
    made = plan(tmp_path, metrics=["psnr", "l1", "fid@embedded"])
    assert run(made).done == 1
    pd.testing.assert_frame_equal(rows(made).loc[before.index], before)


def test_what_too_few_images_cannot_give_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks no network either when a metric is added; and few numbers are not worth the start of processes."""
    assert run(plan(tmp_path, metrics=["psnr", "u-ids@embedded"])).done == 2
    made = plan(tmp_path, metrics=["psnr", "u-ids@embedded", "l1"])
    monkeypatch.setattr(extractors, "extract", None)
    monkeypatch.setattr("bench.runner.processes.Worker", None)
    assert runner.run(made, runner.Options("cpu")).done == 1
    after = rows(made)
    assert after.loc["u-ids@embedded", "note"] == "n/a below n = 625"
    assert 0 < after.loc["l1", "value"] < 0.5


def test_pictures_of_other_images_are_refused(before: pd.DataFrame, tmp_path: Path) -> None:
    other = plan(tmp_path / "other", data=[{"name": "synthfaces", "train": 4, "test": 21}])
    run(other)
    made = plan(tmp_path, metrics=["psnr", "l1"])
    path = made.job_folder(made.completion(made.scores[0]).id) / FILE
    path.write_bytes((other.job_folder(other.completion(other.scores[0]).id) / FILE).read_bytes())
    assert "holds other images than the test set" in str(run(made).failed)
    path.write_bytes(b"")
    assert "completed.zip is damaged" in str(run(made).failed)


def test_what_stands_beside_a_metric_for_few_images() -> None:
    assert expanded(["fid@embedded", "psnr", "psnr"], 20) == ["fid@embedded", "fid-infinity@embedded", "psnr"]
    assert expanded(["fid@embedded"], 10_000) == ["fid@embedded"]


def test_a_finished_suite_keeps_its_rows_when_some_are_run_again(tmp_path: Path) -> None:
    def table(*options: str, **changes: Any) -> list[str]:
        (tmp_path / "suite.yaml").write_text(yaml.safe_dump(CONTENT | {"methods": ["mean", "telea"]} | changes))
        arguments = ["run", str(tmp_path / "suite.yaml"), "--out", str(tmp_path / "runs"), "--workers", "0", *options]
        done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return list(pd.read_parquet(tmp_path / "runs/scored/results.parquet")["method"].unique())

    assert table("--methods", "telea") == ["telea"]
    assert table() == ["mean", "telea"]
    assert table("--methods", "telea") == ["mean", "telea"]
    assert table("--methods", "telea", methods=["mean", "telea", "navier-stokes"]) == ["mean", "telea"]
    assert table("--methods", "telea", metrics=["psnr", "l1"]) == ["telea"]  # the other row has no such number


def test_pictures_are_compared_with_their_exemplars(tmp_path: Path) -> None:
    names = ["identity@embedded", "identity@embedded/exemplar", "identity@embedded/other"]
    made = plan(tmp_path, conditions=["center/25+exemplar", "center/25"], metrics=[*names, "psnr"])
    assert run(made).done == 4
    (guided,) = (job for job in made.scores if "exemplar" in job.label)
    faces = made.data["synthfaces"]
    task = Task(faces.images, faces.test, faces.masks["center/25"], "center/25+exemplar", made.suite.seed)
    archive = Archive.open(made.job_folder(made.completion(guided).id) / FILE)
    completed, ids = torch.cat(list(pictures(archive, task))), archive.ids
    table = results.rows(made, made.scores).set_index(["condition", "metric"])["value"]
    for name, source in zip(names, (task.originals, task.exemplars, partial(task.exemplars, True)), strict=True):
        alone = measure(completed, torch.cat(list(source())), None, ["identity@embedded"], ids=ids)
        assert table["center/25+exemplar", name] == pytest.approx(alone.value("identity@embedded"), rel=1e-6)
    assert table["center/25+exemplar", names[0]] < table["center/25+exemplar", names[1]]
    notes = results.rows(made, made.scores).set_index(["condition", "metric"])["note"]
    assert notes["center/25", names[1]] == "n/a: no exemplar guides this condition"
    with pytest.raises(BenchError, match="of a run, which knows the exemplar of each image"):
        measure(completed, completed, None, names[1])
    for wrong in ("psnr/exemplar", "fid@embedded/other", "diversity@embedded/exemplar"):
        with pytest.raises(BenchError, match="only what a network tells of a pair of pictures"):
            get(wrong)
