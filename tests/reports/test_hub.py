"""Results for model cards of the Hugging Face Hub, read by its own library."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench import metrics
from bench.errors import BenchError
from reports.hub import hub, task_id

from . import made_up


def test_their_library_reads_what_is_written(tmp_path: Path) -> None:
    theirs = pytest.importorskip("huggingface_hub")
    table = made_up.rows({"aot": "AOT-GAN", "grig": "GRIG"}, ("center/25", "irregular/10-20"), seeds=(0, 1))
    run = made_up.write_run(tmp_path / "run", table, pictures=0)
    made, left_out = hub(run, tmp_path / "hub", "org/faces", "https://example.org/results")
    assert left_out == []
    names = ["AOT-GAN/.eval_results/made-up.yaml", "GRIG/.eval_results/made-up.yaml", "eval.yaml"]
    assert [path.relative_to(tmp_path / "hub").as_posix() for path in made] == names
    entries = theirs.parse_eval_result_entries(yaml.safe_load(made[1].read_text()))
    assert len(entries) == 2 * 4  # U-IDS has no value
    tasks = {task["id"] for task in yaml.safe_load(made[2].read_text())["tasks"]}
    assert {entry.task_id for entry in entries} == tasks
    first = entries[0]
    rows = table[(table["title"] == "GRIG") & (table["condition"] == "center/25") & (table["metric"] == "psnr")]
    (psnr,) = (entry for entry in entries if entry.task_id == "made-up_faces.center_25.psnr")
    assert psnr.value == pytest.approx(rows["value"].mean())
    assert first.dataset_id == "org/faces" and first.source_url == "https://example.org/results"
    assert "2 seeds, preset tiny" in psnr.notes and "protocol 0123456789abcdef" in psnr.notes
    assert "training losses stand on embedded" in psnr.notes  # never printed as if it were the published method
    ours = [
        {k: v for k, v in one.items() if k != "evaluation_framework"} for one in yaml.safe_load(made[1].read_text())
    ]
    assert theirs.eval_result_entries_to_yaml(entries) == ours


def test_tasks_have_names_of_their_own(tmp_path: Path) -> None:
    names = [task_id(d, s, c, m) for d, s, c, m in product(("a b",), ("all", "10"), ("x/1", "x+y"), metrics.names())]
    assert len(set(names)) == len(names) and all("/" not in name and " " not in name for name in names)
    run = made_up.write_run(tmp_path / "run", made_up.rows(), pictures=0)
    with pytest.raises(BenchError, match="give the data set on the Hub as ORGANISATION/NAME"):
        hub(run, tmp_path, "faces")
    with pytest.raises(BenchError, match="--methods: the run has no row 'X': it has Mean colour"):
        hub(run, tmp_path, "org/faces", titles=["X"])


def test_names_that_lose_letters_keep_tasks_apart() -> None:
    places = ("all", "center/25", "psnr")
    names = [task_id(name, *places) for name in ("数据", "بيانات", "Gesichter", "Gesichtér", "数据 1", "资料 1", "_")]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and "/" not in name and not name.startswith((".", "-")) for name in names)
    assert names[2] == "Gesichter.center_25.psnr" and names[4].startswith("1-")  # plain names stay as they were


def test_infinite_values_are_left_out_aloud(tmp_path: Path) -> None:
    table = made_up.rows({"aot": "AOT-GAN", "grig": "GRIG"}, ("center/25",), metrics=("psnr", "l1@hole"))
    run = made_up.write_run(tmp_path / "run", table, pictures=0)
    table.loc[(table["title"] == "GRIG") & (table["metric"] == "psnr"), ["value", "low", "high"]] = np.inf
    table.to_parquet(run / "results.parquet")
    made, left_out = hub(run, tmp_path / "hub", "org/faces")
    assert left_out == ["GRIG, made-up_faces.center_25.psnr: inf"]
    entries = yaml.safe_load(made[1].read_text())
    assert [entry["dataset"]["task_id"] for entry in entries] == ["made-up_faces.center_25.l1_hole"]
    assert hub(run, tmp_path / "hub", "org/faces", titles=["AOT-GAN"])[1] == []


def test_files_of_somebody_else_are_kept(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path / "run", made_up.rows(conditions=("center/25",)), pictures=0)
    theirs = tmp_path / "hub" / "eval.yaml"
    theirs.parent.mkdir()
    theirs.write_text("name: mine")
    with pytest.raises(BenchError, match=r"eval\.yaml is there already, and this command did not write it"):
        hub(run, theirs.parent, "org/faces")
    assert [*theirs.parent.iterdir()] == [theirs] and theirs.read_text() == "name: mine"
    theirs.unlink()
    assert hub(run, theirs.parent, "org/faces") == hub(run, theirs.parent, "org/faces")
