"""`facebench metrics probe`: what people type, and what they read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import cli
from bench.data.dataset import prepare_synthfaces


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli.app, ["metrics", "probe", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    faces = prepare_synthfaces(10, 64, 0, tmp_path / "cache").images(range(10))
    place = tmp_path / "faces"
    place.mkdir()
    for i, face in enumerate(faces):
        Image.fromarray(face.permute(1, 2, 0).numpy()).save(place / f"{i}.png")
    return place


def test_a_folder_of_faces(folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("out.md", "out.csv", "out.json")]
    output = call(
        folder, "--size", "64", "--metrics", "psnr, seam,lpips@alex", "--faults", "jpeg,telea",
        *(text for file in files for text in ("--out", file)),
    )  # fmt: skip
    assert "holes: center/25" in output and "holes: irregular/20-30" in output
    assert "not computed (lpips@alex)" in output and "facebench weights fetch alexnet" in output
    page, values, blind = (file.read_text("utf-8") for file in files)
    assert page.startswith("10 faces at 64 px.") and page.count("| psnr |") == 2
    assert values.count("psnr") == 2 * (2 + 3 + 3)
    assert json.loads(blind) == {"faces": 10, "size": 64, "blind": {"seam": ["telea"]}}


def test_drawn_faces_need_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    call("synthfaces", "--size", "32", "--metrics", "l1@hole", "--faults", "mean", "--out", "faces.md")
    assert Path("faces.md").read_text("utf-8").startswith("44 faces at 32 px.")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls the command as a user does; the value is its one message, the exit code is 2."""

    def run(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["facebench", "metrics", "probe", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        message = capsys.readouterr().err
        assert stopped.value.code == 2 and message.count("error:") == 1, message
        return message

    return run


def test_bad_folders_are_one_message(refused: Callable[..., str], folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{empty} has no images" in refused(empty)
    (folder / "0.png").unlink()
    message = refused(folder, "--size", "64")
    assert f"{folder} has 9 faces: put 10 or more there" in message


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--metrics", "psnrr", "did you mean psnr"),
        ("--metrics", ",", "--metrics names nothing"),
        ("--faults", "fog", "--faults: 'fog' is none of blur"),
        ("--out", "table.tex", "must end in .md or .csv or .json"),
    ],
)
def test_bad_options_are_one_message(
    refused: Callable[..., str], folder: Path, option: str, value: str, message: str
) -> None:
    assert message in refused(folder, "--size", "64", option, value)


def test_the_list_of_metrics_warns_of_blind_ones() -> None:
    output = CliRunner().invoke(cli.app, ["list", "--metrics"], catch_exceptions=False).output
    line = next(line for line in output.splitlines() if line.startswith("warning: fid@embedded"))
    assert "blur up to 4 px" in line and "jpeg" in line and "44 aligned real faces" in line
    assert not any(line.startswith("warning: fid@lite0") and "blur" in line for line in output.splitlines())
