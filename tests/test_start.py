"""Other packages of our packages' names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facebench_start import PACKAGES, hidden

ROOT = Path(__file__).parents[1]
START = "import sys; sys.argv = ['facebench', '--version']; from facebench_start import main; main()"


def test_nothing_hides_ours_here() -> None:
    assert hidden() == ""
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {*PACKAGES, "tests"}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_hides_ours_is_one_message_with_both_paths(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", START], cwd="/", env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / name} hides {ROOT / name}: ")
    assert done.stderr.count("\n") == 1


def test_the_library_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    done = subprocess.run([sys.executable, "-c", "import facebench"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {tmp_path / 'bench'} hides ")


def test_the_plugin_for_pytest_stays_away_from_the_tests_of_another_bench(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("TEN = 10\n")
    (tmp_path / "test_it.py").write_text("from bench import TEN\n\ndef test_it():\n    assert TEN == 10\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert f"stays away: {tmp_path / 'bench'} hides " in done.stdout + done.stderr


def test_a_folder_without_code_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for start in ("from facebench_start import main; main()", "import facebench; facebench.draw_mask"):
        program = f"import sys; sys.argv = ['facebench', '--version']; {start}"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_python_starts_the_command_by_either_name() -> None:
    for name in ("bench", "facebench"):
        command = [sys.executable, "-m", name, "--version"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.startswith("face-inpaint-bench "), done.stderr
