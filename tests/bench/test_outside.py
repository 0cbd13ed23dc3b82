"""Rows of programs that are no methods here: a suite holds them, one option takes those whose pictures are there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from bench import cli, outside, suite
from bench.errors import BenchError
from bench.store import file_slug

SMALL = {
    "suite": "small",
    "size": 32,
    "data": [{"name": "synthfaces", "train": 8, "test": 8}],
    "methods": ["mean"],
    "outside": [
        {"title": "A (tuned)", "paste": False, "conditions": ["center/25"], "expect": ["A (tuned) l1 center/25 < 2"]},
        {"title": "B"},
    ],
    "conditions": ["irregular/20-30", "center/25"],
    "metrics": ["l1"],
}


def call(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_rows_whose_pictures_are_there_are_measured(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    call("export", "inputs", path, tmp_path / "in", "--out", tmp_path / "runs")
    readme = (tmp_path / "in/README.txt").read_text()
    assert "DATASET/results/A_tuned/CONDITION/" in readme
    results = tmp_path / "in/synthfaces/results"
    (results / "A_tuned").mkdir()
    (tmp_path / "in/synthfaces/center_25/masked").rename(results / "A_tuned/center_25")
    shown = call("run", path, "--outside", results, "--out", tmp_path / "runs")
    assert "expected: 1 of 1 hold" in shown
    rows = pd.read_parquet(tmp_path / "runs/small/results.parquet")
    assert set(zip(rows["title"], rows["condition"], strict=True)) == {
        ("Mean colour", "irregular/20-30"),
        ("Mean colour", "center/25"),
        ("A (tuned)", "center/25"),
    }


def test_without_pictures_the_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no row has pictures there: .* looks for folders A_tuned, B"):
        outside.added(SMALL, tmp_path)
    with pytest.raises(BenchError, match=r"has no rows of outside programs"):
        outside.added(SMALL | {"outside": []}, tmp_path)
    (tmp_path / "B").mkdir()
    two = SMALL | {"data": [*SMALL["data"], {"name": "faces", "folder": str(tmp_path)}]}
    with pytest.raises(BenchError, match=r"pictures of one data set: give --data for one of synthfaces, faces"):
        outside.check(suite.parse(outside.added(two, tmp_path), "two"), tmp_path)


@pytest.mark.parametrize("name", [name for name in suite.shipped() if suite.content(name).get("outside")])
def test_the_rows_of_shipped_suites_are_valid(name: str, tmp_path: Path) -> None:
    content = suite.content(name)
    for row in content["outside"]:
        (tmp_path / file_slug(row["title"])).mkdir()
    parsed = suite.parse(outside.added(content, tmp_path), name)
    assert [entry.method for entry in parsed.methods[-len(content["outside"]) :]] == ["external"] * len(
        content["outside"]
    )


def test_a_condition_that_the_suite_has_not(tmp_path: Path) -> None:
    wrong = SMALL | {"outside": [{"title": "A", "conditions": ["center/30"]}]}
    with pytest.raises(BenchError, match=r"outside.0: conditions: 'center/30' is none of the suite's"):
        suite.parse(wrong, "wrong")
