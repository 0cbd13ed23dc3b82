"""`facebench profile` as a user types it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from bench import cli
from bench.errors import BenchError
from bench.profile import cell
from bench.profile.cell import Setting, measure

FACEBENCH = str(Path(sys.executable).with_name("facebench"))
SMALL = ("--size", "64", "--device", "cpu", "--threads", "1")
FORK = multiprocessing.get_context("fork")
TINY = ("--preset", "tiny", *SMALL)


def counts(setting: Setting) -> dict:
    """A row without times, made in this process."""
    return cell._measure(replace(setting, seconds=0.0)) | {"seconds": setting.seconds}


def profile(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli.app, ["profile", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


BAD = {
    "a method": (("nobody",), "nobody"),
    "a variant": (("grig:no",), "has no variant 'no'"),
    "a preset": (("aot", "--preset", "huge"), "has no preset 'huge'"),
    "a size": (("aot", "--size", "64,x"), "--size: '64,x' is no list of positive whole numbers"),
    "a size for a method": (
        ("mean,grig", "--size", "64,100"),
        "grig (paper) takes images with sides that are multiples of 64, not 100 x 100: set --size 64 or 128",
    ),
    "a size for training": (("gl", "--size", "100", "--training"), "gl (paper) takes images of 256 x 256"),
    "a batch": (("aot", "--batch", "0"), "--batch: '0' is no list"),
    "a precision": (("aot", "--precision", "fp8"), "'fp8' is none of fp32, tf32, bf16, fp16"),
    "a mode": (("aot", "--mode", "lazy"), "'lazy' is neither eager nor compiled"),
    "a prior": (("stylegan2",), "stylegan2 completes no images: measure a method that requires it"),
    "finished pictures": (("external",), "external reads finished pictures: there is nothing to measure"),
    "a folder": (("controlnet", "--batch", "1,2"), "controlnet has the networks of a folder of yours"),
    "seconds": (("aot", "--seconds", "-1"), "--seconds"),
}


@pytest.mark.parametrize("wrong", BAD)
def test_bad_input_is_one_message(wrong: str, tmp_path: Path, monkeypatch, capsys) -> None:
    arguments, message = BAD[wrong]
    monkeypatch.setattr(sys, "argv", ["facebench", "profile", *arguments, "--out", str(tmp_path / "runs")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs/profile/profile.parquet").exists()


def test_of_all_methods_those_are_left_out_that_take_another_size(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bench.commands.profile._all", lambda: ["mean", "grig"])
    monkeypatch.setattr("bench.profile.cell.measure", counts)
    shown = profile("--size", "100", "--device", "cpu", "--threads", "1", "--out", tmp_path)
    assert "left out: grig (paper) takes images with sides that are multiples of 64, not 100 x 100" in shown
    assert list(pd.read_parquet(tmp_path / "profile/profile.parquet")["method"]) == ["mean"]


def test_of_all_methods_those_are_left_out_that_lack_the_preset(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bench.commands.profile._all", lambda: ["mean", "grig"])
    monkeypatch.setattr("bench.profile.cell.measure", counts)
    shown = profile("--preset", "tiny", "--size", "64", "--device", "cpu", "--threads", "1", "--out", tmp_path)
    assert "left out: mean has no preset 'tiny': choose from paper" in shown
    assert list(pd.read_parquet(tmp_path / "profile/profile.parquet")["method"]) == ["grig"]


def test_a_damaged_store_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/profile.parquet").write_bytes(b"PAR1 broken")
    monkeypatch.setattr(sys, "argv", ["facebench", "profile", "aot", *TINY, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "profile.parquet: " in (message := " ".join(capsys.readouterr().err.split()))
    assert "delete it" in message


def test_finished_settings_are_reused(tmp_path: Path, monkeypatch) -> None:
    """Rows stand in the store; a second call measures only what is new, and `--again` everything."""
    measured: list[Setting] = []

    def counted(setting: Setting) -> dict:
        measured.append(setting)
        return counts(setting)

    monkeypatch.setattr("bench.profile.cell.measure", counted)
    profile("mean", *SMALL, "--out", tmp_path)
    path = tmp_path / "profile/profile.parquet"
    first = pd.read_parquet(path)
    assert len(first) == len(measured) == 1
    assert first["macs"].isna().all()  # a classical fill has no network
    profile("mean", *SMALL, "--batch", "1,2", "--out", tmp_path)
    assert [setting.batch for setting in measured] == [1, 2]
    assert len(pd.read_parquet(path)) == 2
    profile("mean", *SMALL, "--again", "--out", tmp_path)
    assert [setting.batch for setting in measured] == [1, 2, 1]
    assert len(pd.read_parquet(path)) == 2


def test_a_setting_that_fails_is_told_and_the_others_go_on(tmp_path: Path, monkeypatch) -> None:
    def failing(setting: Setting) -> dict:
        if setting.batch == 1:
            raise BenchError(f"{setting.label}: its process ended with code -9")
        return counts(setting)

    monkeypatch.setattr("bench.profile.cell.measure", failing)
    arguments = ["profile", "mean", *SMALL, "--batch", "1,2", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1
    assert "failed: mean (paper), 64 px, batch 1" in " ".join(result.output.split())
    assert len(pd.read_parquet(tmp_path / "profile/profile.parquet")) == 1


def test_words_may_stand_apart(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bench.profile.cell.measure", counts)
    text = profile("mean, telea", *SMALL, "--precision", "fp32, bf16", "--mode", "eager, compiled", "--out", tmp_path)
    assert len(pd.read_parquet(tmp_path / "profile/profile.parquet")) == 8
    assert "1 thread," in " ".join(text.split())


def test_what_another_process_added_meanwhile_stays(tmp_path: Path, monkeypatch) -> None:
    """Two profiles into one folder: each measures what the other one has not."""
    measured: list[int] = []

    def counted(setting: Setting) -> dict:
        measured.append(setting.batch)
        if measured == [1]:
            profile("mean", *SMALL, "--batch", "2,4", "--out", tmp_path)
        return counts(setting)

    monkeypatch.setattr("bench.profile.cell.measure", counted)
    profile("mean", *SMALL, "--batch", "1,2,3", "--out", tmp_path)
    assert measured == [1, 2, 4, 3]
    assert sorted(pd.read_parquet(tmp_path / "profile/profile.parquet")["batch"]) == [1, 2, 3, 4]


def test_all_cores_are_those_of_this_process(tmp_path: Path, monkeypatch) -> None:
    """So a row that was measured on others is not taken for them."""
    monkeypatch.setattr("bench.profile.cell.measure", counts)
    for cores in (3, 2, 2):
        monkeypatch.setattr("bench.device.cores", lambda cores=cores: cores)
        shown = profile("mean", "--size", "64", "--device", "cpu", "--out", tmp_path)
        assert f"{cores} threads" in shown
    assert list(pd.read_parquet(tmp_path / "profile/profile.parquet")["threads"]) == [3, 2]


def test_rows_of_another_meaning_are_not_taken(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bench.profile.cell.measure", counts)
    profile("mean", *SMALL, "--out", tmp_path)
    path = tmp_path / "profile/profile.parquet"
    rows = pd.read_parquet(path)
    rows.assign(version=1).to_parquet(path)
    profile("mean", *SMALL, "--out", tmp_path)
    assert list(pd.read_parquet(path)["version"]) == [1, rows["version"][0]]
    rows.drop(columns="version").to_parquet(path)
    result = CliRunner().invoke(cli.app, ["profile", "mean", *SMALL, "--out", str(tmp_path)])
    assert "lacks the columns version: delete it, and measure again" in str(result.exception)


ENDS = {  # what a completion does -> what is told
    "nothing": (lambda *_: None, "mean gave a NoneType where one tensor of completed images is expected"),
    "exit": (lambda *_: sys.exit(3), "SystemExit: 3"),
    "code": (lambda *_: os._exit(3), "its process ended with code 3"),
    "signal": (lambda *_: os.kill(os.getpid(), signal.SIGTERM), "its process ended with code -15"),
    "memory": (lambda *_: os.kill(os.getpid(), 9), "its process ended with code -9; the memory may be too small"),
}


@pytest.mark.parametrize("name", ENDS)
def test_how_a_completion_ends_is_told(name: str, monkeypatch) -> None:
    """In a process that is forked, which knows the changed method."""
    complete, told = ENDS[name]
    monkeypatch.setattr("baselines.classical.MeanColour.complete", lambda self, batch, noise: complete())
    monkeypatch.setattr("multiprocessing.get_context", lambda _: FORK)
    with pytest.raises(BenchError) as raised:
        measure(Setting("mean", size=64, threads=1, seconds=0.0))
    assert str(raised.value).endswith(told) or told in str(raised.value)
    assert ("memory" in str(raised.value)) is (name == "memory")


def test_a_method_is_given_what_a_plain_condition_shows() -> None:
    """LaFIn finds the landmarks by itself; without an exemplar, FACEMUG has no pose to give it."""
    rows = {slug: counts(Setting(slug, "tiny", size=64, threads=1)) for slug in ("lafin", "facemug")}
    assert rows["lafin"]["calls of predictor"] == rows["lafin"]["calls of inpainter"] == 1
    assert rows["facemug"]["calls of style encoder"] == 1
    assert rows["facemug"]["calls of latent warping"] is None


@pytest.mark.slow
def test_what_is_printed(tmp_path: Path) -> None:
    """In processes of their own, with a training step and the networks of each method."""
    arguments = ("profile", "aot", *TINY, "--seconds", "0.05", "--training", "--modules", "--out", tmp_path)
    done = subprocess.run(
        [FACEBENCH, *map(str, arguments)], capture_output=True, text=True, env={"COLUMNS": "200", "PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for part in ("AOT-GAN, 64 px, batch 1, fp32", "of these FIR (G)", "Calls", "Training", "Wait for", "generator"):
        assert part in text
    aot = pd.read_parquet(tmp_path / "profile/profile.parquet").loc[0]
    assert 0 < aot["latency"] <= aot["latency p95"]
    assert aot["throughput"] == pytest.approx(1 / aot["latency"])
    assert aot["step"] > aot["latency"]
    assert 0 <= aot["step wait"] < 1
    assert aot["macs"] == sum(aot[f"macs {kind}"] for kind in ("convolution", "matrix", "attention", "fft", "fir"))


@pytest.mark.slow
@pytest.mark.skipif(os.getloadavg()[0] > (os.cpu_count() or 1), reason="other work keeps the machine busy")
def test_two_profiles_agree_within_their_spread() -> None:
    """The intervals median ± spread of two runs overlap: each spans the medians of its five rounds."""
    setting = Setting("aot", "tiny", size=64, device="cpu", threads=1, seconds=1.0)
    one, two = measure(setting), measure(setting)
    counts = [name for name in one if name.startswith(("macs", "parameters", "fir"))]
    assert {name: one[name] for name in counts} == {name: two[name] for name in counts}
    assert abs(one["latency"] - two["latency"]) <= one["latency spread"] + two["latency spread"]
