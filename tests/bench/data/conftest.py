from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder of 44 different small pictures of several sizes and formats, some in sub-folders."""
    folder = tmp_path / "faces"
    random = np.random.default_rng(0)
    for index in range(44):
        pixels = random.integers(0, 256, (20 + index % 3, 24, 3), dtype=np.uint8)
        path = folder / ("a" if index % 2 else "b") / f"{index:03d}.{('png', 'jpg', 'webp')[index % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder
