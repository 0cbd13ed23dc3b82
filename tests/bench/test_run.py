"""A suite from end to end: what a user types and finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

SUITE = {
    "suite": "small",
    "size": 64,
    "data": [{"name": "synthfaces", "train": 16, "test": 12}],
    "methods": ["mean", "telea", {"method": "aot", "steps": 4}, {"method": "grig", "steps": 2}],
    "conditions": ["irregular/20-30", "center/25"],
    "train": {"features": "embedded", "batch": 4, "checkpoint": 1},
    "metrics": ["perceptual@embedded", "l1@hole", "psnr", "fid@embedded", "kid@embedded", "u-ids@embedded"],
    "report": {"main": ["perceptual@embedded", "l1@hole"], "samples": 2},
}
RESULTS = ("small/results.parquet", "small/per_image.parquet", "small/protocol.json", "small/report/report.md")


FACEBENCH = str(Path(sys.executable).with_name("facebench"))


def facebench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if arguments[0] == "run" and "--workers" not in arguments:
        arguments += ("--workers", "0")  # the tests themselves run side by side
    return subprocess.run([FACEBENCH, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def write_suite(folder: Path, **changes) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(SUITE | changes))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small suite has been run."""
    folder = tmp_path_factory.mktemp("run")
    write_suite(folder, expect=["each l1@hole > 0", "mean l1@hole < 0.001"])
    done = facebench("run", "small.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def faces(folder: Path, count: int, size: int = 40) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (size, size + 3, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def test_the_run_ends_with_the_main_table_and_the_report(finished: Path) -> None:
    printed = (finished / "stdout.txt").read_text()
    for text in ("Mean colour", "Telea", "AOT-GAN", "GRIG", "20-30", "report: ", "report.html"):
        assert text in printed
    assert "embedded-training" in printed  # the stand-in is named
    assert "VGG" in printed
    assert "expected: 4 of 5 hold\n  fails mean l1@hole < 0.001: Mean colour is " in printed


def test_results_by_group(tmp_path: Path) -> None:
    """Attributes of the user's own pictures, from the command line to the table."""
    faces(tmp_path / "faces", 30)
    rows = "".join(f"{i},{'dark' if i % 2 else 'light'}\n" for i in range(30))
    (tmp_path / "groups.csv").write_text(f"name,skin\n{rows}")
    data = [{"name": "mine", "folder": "faces", "train": 4, "test": 26}]
    write_suite(tmp_path, data=data, methods=["mean", "telea"], conditions=["center/25"], metrics=["l1@hole"],
                report={"main": ["l1@hole"]})  # fmt: skip
    done = facebench("run", "small.yaml", "--attributes", "groups.csv", "--groups", "skin", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = tmp_path / "runs/small/report"
    found = pd.read_csv(report / "tables/groups-mine.csv", index_col="Method")
    each = (
        pd.read_parquet(tmp_path / "runs/small/per_image.parquet").query("method == 'telea'").set_index("id")["value"]
    )
    for kind, odd in (("dark", 1), ("light", 0)):
        wanted = each[[name for name in each.index if int(Path(name).stem) % 2 == odd]]
        assert found.loc["Telea", f"skin {kind} (n = {len(wanted)})"] == pytest.approx(wanted.mean(), abs=1e-4)


def test_losses_costs_and_steps_are_collected(finished: Path) -> None:
    folder = finished / "runs/small"
    losses = pd.read_parquet(folder / "losses.parquet")
    assert losses.groupby("title")["step"].max().to_dict() == {"AOT-GAN": 4, "GRIG": 2}
    logged = pd.concat([pd.read_csv(path) for path in (finished / "runs/jobs").glob("train-*/losses.csv")])
    assert np.array_equal(np.sort(losses["value"]), np.sort(logged["value"]))
    assert set(losses.columns) >= {"preset", "dataset", "shots", "seed", "stage", "loss"}
    costs = pd.read_parquet(folder / "costs.parquet")
    assert set(costs["title"]) == {"AOT-GAN", "GRIG"}
    assert (costs[["params", "macs"]] > 0).all(axis=None)
    kept = sorted(str(path.relative_to(folder / "samples")) for path in folder.glob("samples/*/*/*/steps/*/*.png"))
    assert len(kept) == 2 * 3 * 2  # conditions, steps of GRIG, completion and residual
    assert all("/GRIG/steps/" in path for path in kept)
    assert (folder / "report/figures/losses-synthfaces.svg").exists()
    assert (folder / "report/figures/cost-synthfaces.svg").exists()
    assert (folder / "report/figures/steps-synthfaces-grig.png").exists()


def test_results_are_tidy_and_complete(finished: Path) -> None:
    rows = pd.read_parquet(finished / "runs/small/results.parquet")
    assert set(rows.method) == {"mean", "telea", "aot", "grig"}
    assert set(rows.condition) == {"irregular/20-30", "center/25"}
    for column in ("suite", "preset", "dataset", "shots", "seed", "metric", "extractor", "value", "low", "high", "n"):
        assert column in rows
    scored = rows[rows.metric.isin(["perceptual@embedded", "l1@hole", "psnr", "fid@embedded"])]
    assert scored.value.notna().all()
    assert (rows[rows.metric == "fid@embedded"].extractor.str.startswith("embedded-metrics-")).all()
    ids = rows[rows.metric == "u-ids@embedded"]
    assert ids.value.isna().all()
    assert ids.note.str.contains("n/a").all()
    images = pd.read_parquet(finished / "runs/small/per_image.parquet")
    counts = images[images.metric == "psnr"].groupby(["method", "condition"]).size()
    assert (counts == 12).all()


def test_the_report_has_tables_figures_and_pictures(finished: Path) -> None:
    report = finished / "runs/small/report"
    text = (report / "report.md").read_text()
    assert "embedded-training" in text
    assert "embedded-metrics" in text
    for suffix in ("md", "csv", "tex"):
        assert list((report / "tables").glob(f"*.{suffix}"))
    for suffix in ("png", "pdf", "svg"):
        assert list((report / "figures").glob(f"*.{suffix}"))


def test_known_pixels_of_the_samples_are_the_originals(finished: Path) -> None:
    folder = finished / "runs/small/samples/synthfaces/center_25"
    for method in ("AOT-GAN", "GRIG", "Telea"):
        pictures = sorted((folder / method).glob("*.png"))
        assert len(pictures) == 2
        for path in pictures:
            difference = np.abs(np.asarray(Image.open(path)).astype(int) - Image.open(folder / "original" / path.name))
            assert difference[:16].max() == 0
            assert difference[16:48, 16:48].max() > 0


def same(a: Path, b: Path) -> None:
    for name in RESULTS:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    tables = sorted(p.relative_to(a) for p in (a / "small/report/tables").iterdir())
    for table in tables:
        assert (a / table).read_bytes() == (b / table).read_bytes(), table


def test_run_twice_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    write_suite(tmp_path)
    assert facebench("run", "small.yaml", "--workers", "2", cwd=tmp_path).returncode == 0
    same(finished / "runs", tmp_path / "runs")


def test_a_second_run_does_nothing_again(finished: Path) -> None:
    stamps = {p: p.stat().st_mtime_ns for p in (finished / "runs/jobs").rglob("result.json")}
    again = facebench("run", "small.yaml", cwd=finished)
    assert "18 of 18 jobs are done already" in again.stderr
    assert stamps == {p: p.stat().st_mtime_ns for p in (finished / "runs/jobs").rglob("result.json")}


@pytest.mark.parametrize("after", ["prepare", "train", "complete", "score"])
def test_killed_and_run_again_gives_the_same_bytes(finished: Path, tmp_path: Path, after: str) -> None:
    """SIGKILL in the middle of a phase; the same command again finishes with the tables of an undisturbed run."""
    write_suite(tmp_path)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    sign = {
        "prepare": "cache/*",
        "train": "jobs/train-*/checkpoint.pt",
        "complete": "jobs/complete-*/completed.zip",
        "score": "jobs/score-*/rows.parquet",
    }
    process = subprocess.Popen(
        [FACEBENCH, "run", "small.yaml", "--workers", "0"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs").glob(sign[after])) and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert facebench("run", "small.yaml", cwd=tmp_path).returncode == 0
    same(finished / "runs", tmp_path / "runs")


def test_plan_shows_jobs_and_runs_nothing(tmp_path: Path) -> None:
    write_suite(tmp_path, expect=["each l1@hole > 0"])
    shown = facebench("run", "small.yaml", "--plan", cwd=tmp_path)
    assert "\nexpect each l1@hole > 0\n" in shown.stdout
    assert shown.stdout.count("to do") == 18
    assert "train aot (tiny) on synthfaces" in shown.stdout
    assert not (tmp_path / "runs/jobs").exists()


def test_a_folder_of_images_with_masks_and_few_shots(tmp_path: Path) -> None:
    faces(tmp_path / "faces", 30)
    (tmp_path / "masks").mkdir()
    for i in range(3):
        mask = np.zeros((64, 64), np.uint8)
        mask[10 : 30 + 5 * i, 10:50] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    write_suite(tmp_path, methods=["mean", {"method": "aot", "steps": 2}])
    done = facebench(
        "run", "small.yaml", "--data", "faces", "--masks", "masks", "--shots", "5,10", cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "runs/small/results.parquet")
    assert set(rows.shots) == {"5", "10"}
    assert set(rows[rows.method == "mean"].shots) == {"5", "10"}  # measured once, shown beside both
    assert any("masks" in condition for condition in rows.condition)
    assert set(rows.dataset) == {"faces"}


def test_a_failing_method_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    faces(tmp_path / "finished", 2, size=29)
    rows = ["mean", {"method": "external", "options": {"folder": str(tmp_path / "finished")}}]
    write_suite(tmp_path, methods=rows)
    done = facebench("run", "small.yaml", cwd=tmp_path)
    assert done.returncode == 2  # the user can mend it
    assert "images have no result in " in done.stderr
    assert "trying again" not in done.stderr
    assert list((tmp_path / "runs/jobs").glob("complete-external-*/error.txt"))
    rows = pd.read_parquet(tmp_path / "runs/small/results.parquet")
    failed = rows[rows.method == "external"]
    assert failed.value.isna().all() and len(failed) == len(rows) / 2  # the row stays, and says why it has no numbers
    assert failed.note.str.fullmatch(r"failed: external: \d+ of \d+ images have no result in .*: \d+.*").all()
    assert "External" in done.stdout and "failed: external: " in " ".join(done.stdout.split())


def test_external_images_are_measured_like_every_other_method(finished: Path, tmp_path: Path) -> None:
    """The originals handed in as finished images are perfect."""
    from bench.data import dataset
    from bench.samples import save_png

    write_suite(tmp_path, methods=["mean"])
    facebench("run", "small.yaml", "--plan", cwd=tmp_path)
    images = dataset.prepare_synthfaces(28, 64, 0, tmp_path / "runs/cache")
    for i, name in enumerate(images.ids):
        save_png(tmp_path / "theirs" / f"{Path(name).stem}_pred.png", images.images([i])[0])
    options = {"folder": str(tmp_path / "theirs")}
    write_suite(tmp_path, methods=[{"method": "external", "title": "Theirs", "options": options}])
    done = facebench("run", "small.yaml", cwd=tmp_path)
    assert done.returncode == 2 and 'they match with the option match: "{name}_pred"' in done.stderr
    options["match"] = "{name}_pred"
    write_suite(tmp_path, methods=[{"method": "external", "title": "Theirs", "options": options}])
    done = facebench("run", "small.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "hold the original under the hole: 100% of its pixels" in done.stderr
    results = pd.read_parquet(tmp_path / "runs/small/results.parquet")
    assert results[results.metric == "l1@hole"].value.max() == 0
    assert set(results.title) == {"Theirs"}


def break_jpeg(folder: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(folder / "cut.jpg")
    data = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])


def flat_mask(folder: Path, value: int) -> None:
    folder.mkdir()
    Image.new("L", (32, 32), value).save(folder / "flat.png")


CASES = {
    "no images": (lambda d: (d / "faces").mkdir(), ["--data", "faces"], ["faces has no images", "PNG"]),
    "no folder": (lambda d: None, ["--data", "absent"], ["absent does not exist"]),
    "truncated jpeg": (lambda d: break_jpeg(faces(d / "faces", 15)), ["--data", "faces"], ["cut.jpg", "damaged"]),
    "text as png": (
        lambda d: (faces(d / "faces", 15) / "x.png").write_text("hello"), ["--data", "faces"], ["x.png", "not a PNG"]
    ),
    "too few for shots": (
        lambda d: faces(d / "faces", 15), ["--data", "faces", "--shots", "50"], ["50", "shots"]
    ),
    "empty mask": (lambda d: flat_mask(d / "m", 0), ["--masks", "m"], ["flat.png"]),
    "all-hole mask": (lambda d: flat_mask(d / "m", 255), ["--masks", "m"], ["flat.png"]),
    "no masks": (lambda d: (d / "m").mkdir(), ["--masks", "m"], ["m"]),
    "unknown suite row": (lambda d: None, ["--methods", "nope"], ["no row 'nope'"]),
    "output is a file": (lambda d: (d / "runs").write_text(""), [], ["runs", "choose another place"]),
    "shots not a number": (lambda d: None, ["--shots", "ten"], ["--shots", "'ten'"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_message_and_exit_code_two(tmp_path: Path, case: str) -> None:
    make, arguments, expected = CASES[case]
    write_suite(tmp_path, methods=["mean", {"method": "aot", "steps": 1}])
    make(tmp_path)
    done = facebench("run", "small.yaml", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for text in expected:
        assert text in done.stderr


def test_masks_of_another_size_are_resized(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    mask = np.zeros((80, 80), np.uint8)
    mask[:40] = 255
    Image.fromarray(mask).save(tmp_path / "m/half.png")
    write_suite(tmp_path, methods=["mean"])
    assert facebench("run", "small.yaml", "--masks", "m", cwd=tmp_path).returncode == 0


@pytest.fixture
def tiny_disk(tmp_path: Path):
    """A disk of one megabyte; skipped where the tests may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing(finished: Path, tmp_path: Path, tiny_disk: Path) -> None:
    """The run stops with the remedy; with space again, the same command finishes with the same tables."""
    write_suite(tmp_path)
    done = facebench("run", "small.yaml", "--out", "disk/runs", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr
    assert str(tiny_disk.name) in done.stderr
    subprocess.run(["mount", "-o", "remount,size=64m", str(tiny_disk)], check=True)
    assert facebench("run", "small.yaml", "--out", "disk/runs", cwd=tmp_path).returncode == 0
    same(finished / "runs", tiny_disk / "runs")


def test_a_folder_that_cannot_be_written(tmp_path: Path, tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    write_suite(tmp_path)
    done = facebench("run", "small.yaml", "--out", "disk/runs", cwd=tmp_path)
    assert done.returncode == 2
    assert "disk/runs" in done.stderr
    assert "choose another place" in done.stderr
