"""What `tox run -e newest` finds on a machine."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "tools/newest.py"))


def test_a_machine_without_a_newer_python_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"old": (3, 9), "stand-in": (), "this": (3, 11)}
    monkeypatch.setitem(TOOL["main"].__globals__, "pythons", lambda: iter(known))
    monkeypatch.setitem(TOOL["main"].__globals__, "version", known.__getitem__)
    assert TOOL["main"]([]) == 0
    assert "there is no Python 3.12 or later on this machine: nothing was tested" in capsys.readouterr().out


def test_programs_are_asked_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "python3.99").write_text("#!/bin/sh\nexit 127\n")  # as pyenv's stand-ins
    (tmp_path / "python3.99").chmod(0o755)
    assert TOOL["version"](sys.executable) == sys.version_info[:2]
    assert TOOL["version"](str(tmp_path / "python3.99")) == TOOL["version"](str(tmp_path / "none")) == ()
