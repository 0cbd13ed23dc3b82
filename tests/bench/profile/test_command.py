"""`facebench profile` as a user types it."""

from __future__ import annotations

import os
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
TINY = ("--preset", "tiny", *SMALL)


def counts(setting: Setting) -> dict:
    """A row without times, made in this process."""
    return cell._measure(replace(setting, seconds=0.0), 1) | {"seconds": setting.seconds}


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
