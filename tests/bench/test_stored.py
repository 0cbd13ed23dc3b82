"""Finished runs: their pictures are scored again, with more metrics, elsewhere, and to check the tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import BenchError
from tests.bench.test_export import FACES, METRICS, call, run, table


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("finished"), data=[FACES])


@pytest.fixture
def small(finished: Path, tmp_path: Path) -> Path:
    """A copy of a run, to change."""
    return shutil.copytree(finished.parent, tmp_path / "runs") / finished.name


def test_score_adds_metrics_and_completes_nothing(small: Path) -> None:
    before = table(small, title="Telea", condition="center/25")
    made = {path: path.stat().st_mtime_ns for path in (small.parent / "jobs").glob("complete-*/*")}
    printed = call("score", small, "--metrics", "ssim@wang,psnr@y", "--workers", 0)
    assert "SSIM (Gaussian 11)" in printed
    rows = pd.read_parquet(small / "results.parquet")
    assert set(rows["metric"]) >= {*METRICS, "ssim@wang", "psnr@y"}
    assert rows["value"].notna().all()
    after = rows[(rows["title"] == "Telea") & (rows["condition"] == "center/25")].set_index("metric")
    pd.testing.assert_frame_equal(after.loc[before.index, before.columns], before, check_exact=True)
    assert made == {path: path.stat().st_mtime_ns for path in (small.parent / "jobs").glob("complete-*/*")}
    assert "4 of 4 scores are right" in call("verify", "run", small, "--share", 1)


def test_score_names_what_has_no_pictures_and_keeps_its_numbers(small: Path) -> None:
    before = table(small, title="Telea", condition="center/25")
    cells = json.loads((small / "run.json").read_text())["cells"]
    gone, never = (
        small.parent / "jobs" / cell["completion"]
        for title, condition in (("Telea", "center/25"), ("Mean colour", "irregular/20-30"))
        for cell in cells
        if (cell["row"]["title"], cell["row"]["condition"]) == (title, condition)
    )
    (gone / "completed.zip").unlink()
    shutil.rmtree(never)
    printed = call("score", small, "--metrics", "psnr@y", "--workers", 0, code=1)
    assert "2 of 4 could not be scored" in printed
    assert "score telea (paper) on synthfaces, center/25: its pictures are not kept" in printed
    assert "score mean (paper) on synthfaces, irregular/20-30: needs `complete mean" in printed
    assert not never.exists() or not (never / "completed.zip").exists()
    pd.testing.assert_frame_equal(table(small, title="Telea", condition="center/25"), before, check_exact=True)
    rows = pd.read_parquet(small / "results.parquet")
    assert len(rows[rows["metric"] == "psnr@y"]) == 2


def test_a_completion_is_scored_elsewhere(small: Path, tmp_path: Path) -> None:
    """Without its run and its method, with drawn images and with a folder of them; other images are refused."""
    cells = json.loads((small / "run.json").read_text())["cells"]
    cell = next(c for c in cells if c["row"]["title"] == "Telea" and c["row"]["condition"] == "center/25")
    handed = shutil.copytree(small.parent / "jobs" / cell["completion"], tmp_path / "handed")
    call("score", handed, "--metrics", ",".join(METRICS), "--out", tmp_path / "scores.csv")
    ours = table(small, title="Telea", condition="center/25")
    found = pd.read_csv(tmp_path / "scores.csv").set_index("metric")[list(ours)]
    pd.testing.assert_frame_equal(found, ours, check_exact=True)
    call("export", "images", handed, "--to", tmp_path / "pictures")
    faces = tmp_path / "pictures/synthfaces/center_25/originals"
    with pytest.raises(BenchError, match=r"was made of other images than synthfaces.*give the very same files"):
        call("score", handed, "--data", faces)
    with pytest.raises(BenchError, match=r"compares with other images"):
        call("score", handed, "--metrics", "fid@embedded/train")
    data = [{"name": "faces", "folder": str(faces)}]
    other = run(tmp_path, suite="other", data=data, methods=["telea"], conditions=["center/25"])
    (cell,) = json.loads((other / "run.json").read_text())["cells"]
    job = other.parent / "jobs" / cell["completion"]
    with pytest.raises(BenchError, match=r"holds completed pictures of faces: give its images with --data DIR"):
        call("score", job)
    call("score", job, "--data", faces, "--metrics", ",".join(METRICS), "--out", tmp_path / "scores.csv")
    found = pd.read_csv(tmp_path / "scores.csv").set_index("metric")[list(ours)]
    pd.testing.assert_frame_equal(found, table(other), check_exact=True)


def test_verify_finds_the_cell_whose_number_was_changed(small: Path) -> None:
    assert "4 of 4 scores are right (4 in all" in (printed := call("verify", "run", small, "--share", 1))
    assert "compared bit for bit" in printed
    rows = pd.read_parquet(small / "results.parquet")
    chosen = (rows["title"] == "Telea") & (rows["condition"] == "center/25") & (rows["metric"] == "psnr")
    assert chosen.sum() == 1
    rows.loc[chosen, "value"] += 1e-9
    rows.to_parquet(small / "results.parquet")
    printed = call("verify", "run", small, "--share", 1, code=1)
    assert "Telea on synthfaces, center/25" in printed
    assert "psnr: value is" in printed
    assert "3 of 4 scores are right" in printed


def test_verify_trusts_no_kept_value(small: Path) -> None:
    """Neither values in cache/scores nor features are taken; single images count, too."""
    for path in (small.parent / "cache/scores").rglob("*.json"):
        path.write_text("{}")
    for path in (small.parent / "cache/features").iterdir():
        path.write_bytes(b"")
    assert "1 of 1 scores are right (4 in all" in call("verify", "run", small)
    values = pd.read_parquet(small / "per_image.parquet")
    values.loc[values["metric"] == "l1", "value"] *= 2
    values.to_parquet(small / "per_image.parquet")
    assert f"l1: {FACES['test']} of {FACES['test']} images have other values" in call("verify", "run", small, code=1)


def test_elsewhere_the_last_digits_may_differ(small: Path) -> None:
    for path in (small.parent / "jobs").glob("score-*/result.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"processor": "another"}))
    rows = pd.read_parquet(small / "results.parquet")
    rows["value"] *= 1 + 1e-9
    rows.to_parquet(small / "results.parquet")
    printed = call("verify", "run", small, "--share", 1)
    assert "within 1e-06: scored elsewhere (processor another, here " in printed
    rows["value"] *= 1 + 1e-4
    rows.to_parquet(small / "results.parquet")
    assert "0 of 4 scores are right" in call("verify", "run", small, "--share", 1, code=1)
