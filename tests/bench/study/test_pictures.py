"""Layers of a study's pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import dataset
from bench.study.design import FLAT, ORIGINAL
from bench.study.pictures import INPUT, Album
from bench.task import Task
from masks import MaskSet


@pytest.mark.parametrize(("condition", "count"), [("center/25", 2), ("whole", 1)])
def test_an_original_of_which_nothing_is_seen_is_not_there(condition: str, count: int, tmp_path: Path) -> None:
    faces = dataset.prepare_synthfaces(2, 32, 0, tmp_path)
    album = Album(Task(faces, [0, 1], MaskSet.make(condition, 32, 2, 0), condition, 0), {})
    first = faces.ids[0]
    (original,) = album.layers(first, ORIGINAL)
    assert (np.asarray(Image.open(io.BytesIO(original))) == faces.images([0])[0].permute(1, 2, 0).numpy()).all()
    for name in (INPUT, FLAT.format(1)):
        layers = album.layers(first, name)
        assert len(layers) == count and (original in layers) == (count == 2)
