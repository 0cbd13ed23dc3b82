"""The tests of metrics, data and reports on the newest Python of this machine, in an environment of its own.

    tox run -e newest [-- arguments of pytest]

From Python 3.12 on, NumPy, SciPy and pandas have releases that 3.11 does not get. Says where there is no such Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".tox" / "newest-python"
TESTS = ("tests/bench/metrics", "tests/bench/data", "tests/reports")
PACKAGES = ("numpy", "scipy", "pandas", "torch")
OLDEST = (3, 12)
ASK = "import sys; print(*sys.version_info[:2])"
SHOW = "import sys; from importlib.metadata import version as of; print(*(f'{p} {of(p)}' for p in sys.argv[1:]))"


def pythons() -> Iterator[str]:
    """Programs that may be a Python, on the path and where pyenv keeps them."""
    for minor in range(OLDEST[1], 40):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from map(str, kept.glob("3.*/bin/python"))
    yield sys.executable


def version(program: str) -> tuple[int, ...]:
    """What a program says that it is; () where it does not run, as pyenv's stand-ins of what is not chosen."""
    try:
        said = subprocess.run([program, "-c", ASK], capture_output=True, text=True, check=True).stdout
        return tuple(map(int, said.split()))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return ()


def main(arguments: list[str]) -> int:
    """The exit code of pytest; 0 where there is no newer Python."""
    known = {program: version(program) for program in pythons()}
    newest = max(known, key=known.__getitem__)
    if known[newest] < OLDEST:
        print(f"newest: there is no Python {'.'.join(map(str, OLDEST))} or later on this machine: nothing was tested")
        return 0
    python = PLACE / "bin" / "python"
    if version(str(python)) != known[newest]:
        subprocess.run(["uv", "venv", "-q", "--clear", "--python", newest, str(PLACE)], check=True)
    subprocess.run(["uv", "pip", "install", "-q", "--python", str(python), "-e", f"{ROOT}[test]"], check=True)
    print(f"newest: Python {'.'.join(map(str, known[newest]))}", flush=True)
    subprocess.run([str(python), "-c", SHOW, *PACKAGES], check=True)
    return subprocess.run([str(python), "-m", "pytest", *(arguments or TESTS)], cwd=ROOT).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
