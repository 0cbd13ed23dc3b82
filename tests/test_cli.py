"""The commands as a user types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import cli, registry
from bench.errors import BenchError

FACEBENCH = str(Path(sys.executable).with_name("facebench"))


def call(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


COMMANDS = [
    [], ["list"], ["info"], ["run"], ["report"], ["data"], ["data", "check"], ["data", "list"], ["data", "faces"],
    ["masks"], ["masks", "make"], ["masks", "show"], ["masks", "check"], ["verify"], ["verify", "golden"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches(command: list[str]) -> None:
    """Every command, option and argument says what it is."""
    output = call(*command, "--help")
    assert "Usage" in output
    group = cli.typer.main.get_command(cli.app)
    for name in command:
        group = group.commands[name]
    assert group.help
    assert all(
        getattr(p, "help", None) for p in group.params if p.name not in ("install_completion", "show_completion")
    )


def test_list_shows_every_method_metric_and_generator() -> None:
    shown = call("list")
    assert all(entry.card.name in shown for entry in registry.entries().values())
    assert "perceptual@embedded" in call("list", "--metrics")
    assert "freeform" in call("list", "--masks")
    with pytest.raises(BenchError, match="no method has the task"):
        call("list", "--task", "nothing")


@pytest.mark.parametrize("slug", registry.entries())
def test_info_shows_the_card(slug: str) -> None:
    shown = call("info", slug)
    assert registry.get(slug).card.name in shown
    assert "preset paper" in shown


def test_version() -> None:
    assert call("--version").startswith("face-inpaint-bench ")


def test_masks_are_made_shown_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    call("masks", "make", "irregular/20-30", str(path), "--size", "64", "-n", "5")
    assert "sound" in call("masks", "check", str(path))
    call("masks", "show", str(path), str(tmp_path / "sheet.png"))
    assert Image.open(tmp_path / "sheet.png").width > 64
    call("masks", "show", "irregular", str(tmp_path / "plot.png"), "--buckets", "10-20", "--size", "32")
    assert Image.open(tmp_path / "plot.png").width > 64
    folder = tmp_path / "folder"
    folder.mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[:16] = 255
    Image.fromarray(mask).save(folder / "a.png")
    assert "20-30 %" in call("masks", "check", str(folder))


def test_faces_are_drawn(tmp_path: Path) -> None:
    call("data", "faces", str(tmp_path / "faces.png"), "--size", "32")
    assert Image.open(tmp_path / "faces.png").size == (8 * 32, 4 * 32)


def test_data_check_counts(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(np.full((40, 40, 3), i * 20, np.uint8)).save(tmp_path / f"{i}.png")
    result = CliRunner().invoke(cli.app, ["data", "check", "anime", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 1
    assert "12" in result.output
    assert "chase" in call("data", "list")


def test_errors_are_one_message_and_exit_code_two(tmp_path: Path) -> None:
    for arguments, text in (
        (["run", "quikstart"], "did you mean quickstart"),
        (["info", "tela"], "did you mean telea"),
        (["masks", "make", "irregular/30-30", str(tmp_path / "x.npz")], "30-30"),
        (["verify", "golden", str(tmp_path), "--keys", str(tmp_path)], "no golden files"),
        (["report", str(tmp_path)], str(tmp_path)),
    ):
        done = subprocess.run([FACEBENCH, *arguments], capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert text in done.stderr
