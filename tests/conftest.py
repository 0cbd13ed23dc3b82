"""Fixtures that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"

torch.set_num_threads(1)  # the tests run side by side, one process a core
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def shared() -> Path:
    """The fact sheets and real pictures beside the project; a test that needs them is skipped where they are not."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared is not here")
    return SHARED
