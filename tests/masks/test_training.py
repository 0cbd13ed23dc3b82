"""Training draws: every paper's recipe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import masks
from masks import MaskError
from masks.training import Draw


@pytest.mark.parametrize("name", masks.TRAINING)
def test_every_recipe_draws_masks(name: str) -> None:
    for size in (64, 256, (48, 64)):
        shape = (size, size) if isinstance(size, int) else size
        drawn = [masks.training(name, size, 0, i) for i in range(4)]
        for mask in drawn:
            assert mask.shape == shape and mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 1} and mask.any()
        np.testing.assert_array_equal(drawn[2], masks.training(name, size, 0, 2))
        assert len({mask.tobytes() for mask in drawn}) > 1
    assert masks.TRAINING[name].description


def test_names_of_the_project_are_there() -> None:
    asked = {"aot", "grig", "exegan", "comodgan", "lama", "gconv", "pconv", "ca", "gl", "mat", "edgeconnect", "lafin"}
    assert asked <= set(masks.TRAINING)


def test_a_condition_trains_too() -> None:
    np.testing.assert_array_equal(masks.training("irregular/10-20", 64, 0, 1), masks.draw("irregular/10-20", 64, 0, 1))
    with pytest.raises(MaskError, match="no mask generator 'nobody'"):
        masks.training("nobody", 64, 0, 0)


def test_pixel_constants_stay_at_the_authors_sizes() -> None:
    """CoModGAN's brush is 12 to 48 pixels wide at 256 and at 512; elsewhere it scales."""

    def mean(size: int) -> float:
        return float(np.mean([masks.ratio(masks.training("comodgan", size, 0, i)) for i in range(60)]))

    assert mean(512) < mean(256) - 0.05
    assert abs(mean(128) - mean(256)) < 0.06


def test_mat_draws_more_at_512() -> None:
    drawn = [masks.ratio(masks.training("mat", 512, 0, i)) for i in range(150)]
    assert 0.33 < np.mean(drawn) < 0.47


def test_a_folder_replaces_the_stand_in(tmp_path: Path) -> None:
    corner = np.zeros((64, 64), np.uint8)
    corner[:8, :8] = 255
    Image.fromarray(corner).save(tmp_path / "corner.png")
    np.testing.assert_array_equal(masks.training(f"rgtsi:{tmp_path}", 64, 0, 5), corner // 255)
    np.testing.assert_array_equal(masks.training(f"rgtsi:{tmp_path}/inverted", 64, 0, 5), 1 - corner // 255)
    turned = [masks.training(f"aot:{tmp_path}", 64, 0, i) for i in range(8)]
    assert max(mask.sum() for mask in turned) < 90 and len({mask.tobytes() for mask in turned}) > 1
    assert masks.recipe_of(f"aot:{tmp_path}") == (masks.TRAINING["aot"], f"folder:{tmp_path}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskError, match="holds no mask files"):
        masks.training(f"rgtsi:{tmp_path / 'empty'}", 64, 0, 5)
    with pytest.raises(MaskError, match="the masks 'comodgan' are drawn, not read: write comodgan, or folder:"):
        masks.training(f"comodgan:{tmp_path}", 64, 0, 5)


@pytest.mark.parametrize("name", [name for name, recipe in masks.TRAINING.items() if not recipe.files])
def test_recipes_without_files_read_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Draw, "file", lambda given: pytest.fail("it reads a file"))
    for i in range(8):
        masks.training(name, 64, 0, i)
