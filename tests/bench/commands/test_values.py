"""What the tab key offers, asked as bash asks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import cli
from bench.store import write_json


def offered(words: str) -> list[str]:
    asked = {"_FACEBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = CliRunner().invoke(cli.app, [], env=asked, prog_name="facebench", catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("facebench run quick", ["quickstart"]),
        ("facebench suite show hier", ["hierinv-1", "hierinv-2"]),
        ("facebench info gri", ["grig"]),
        ("facebench run quickstart --methods mean,tel", ["mean,telea"]),
        ("facebench run quickstart --methods telea,tel", []),  # it stands there already
        ("facebench profile gm", ["gmcnn"]),
        ("facebench evaluate a b --metrics psnr,ssim@rgb5", ["psnr,ssim@rgb51"]),
        ("facebench score runs/x --metrics niq", ["niqe"]),
        ("facebench masks make irregular/10", ["irregular/10-20"]),
        ("facebench weights fetch alex", ["alexnet"]),
        ("facebench data check ffh", ["ffhq"]),
        ("facebench published thesis-5.1", ["thesis-5.1"]),
        ("facebench info nothing", []),
        ("facebench jobs remove --out nowhere train", []),  # an error is no answer
    ],
)
def test_values_are_completed(words: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered(words) == expected


def test_files_of_suites_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suites").mkdir()
    for name in ("quiet.yaml", "suites/mine.yml", "suites/notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert offered("facebench run qui") == ["quickstart", "quiet.yaml"]
    assert offered("facebench run sui") == ["suites/"]
    assert offered("facebench run suites/") == ["suites/mine.yml"]


def test_jobs_are_completed(tmp_path: Path) -> None:
    write_json(tmp_path / "jobs/train-aot-12/job.json", {})
    assert offered(f"facebench jobs remove --out {tmp_path} tr") == ["train-aot-12"]
