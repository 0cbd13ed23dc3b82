"""The build that ratios of speed are told against, beside today's tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

COMMIT = "677bf6f"
TODAY = Path(__file__).parents[2]


@cache
def _kept() -> tempfile.TemporaryDirectory[str] | None:
    """The tree of COMMIT, which goes when this process ends; none where git does not have it."""
    try:
        archive = subprocess.run(["git", "archive", COMMIT], cwd=TODAY, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    kept = tempfile.TemporaryDirectory(prefix="facebench-before-")
    with tarfile.open(fileobj=BytesIO(archive)) as tree:
        tree.extractall(kept.name, filter="data")
    return kept


def folder() -> Path:
    """A folder that holds the tree of COMMIT (made once a session, outside of the checkout).

    Skips the test aloud where git does not have it.
    """
    kept = _kept()
    if kept is None:
        pytest.skip(f"git does not have {COMMIT} here, with which speed is compared: fetch the whole history")
    return Path(kept.name)


def ratio(code: str, *, rounds: int = 3, code_before: str | None = None) -> float:
    """CPU seconds of today's build over those of COMMIT.

    `code` runs in fresh processes of both in alternation, one thread; it prints the CPU seconds that count as its last
    line. The smallest of each side count. `code_before`: what the build of COMMIT runs in its place.
    """
    sides = (folder(), code if code_before is None else code_before), (TODAY, code)
    seconds = [[_seconds(tree, run) for tree, run in sides] for _ in range(rounds)]
    before, today = (min(side) for side in zip(*seconds, strict=True))
    return today / before


def _seconds(tree: Path, code: str) -> float:
    # one thread: so CPU seconds do not depend on what else the machine does
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each import compiles again
    with tempfile.TemporaryDirectory() as elsewhere:  # else the checkout comes before PYTHONPATH
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True
        )
    if run.returncode:
        raise RuntimeError(f"the build in {tree} failed:\n{run.stderr[-2000:]}")
    return float(run.stdout.split()[-1])
