"""Fixtures that several tests share."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"

torch.set_num_threads(1)  # the tests run side by side, one process a core
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def no_backbones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without the extra `backbones`, and with an empty folder of pretrained files."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if "efficientnet" in name else find(name, *rest)
    )
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path / "no weights"))


@pytest.fixture
def shared() -> Path:
    """The fact sheets and real pictures beside the project; a test that needs them is skipped where they are not."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared is not here")
    return SHARED
