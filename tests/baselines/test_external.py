"""Finished images of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.external import External, ExternalConfig
from bench.batch import Batch, Noise
from bench.errors import BenchError


def test_masks_in_the_place_of_results_are_refused(tmp_path: Path) -> None:
    """But not a few results that are black and white."""
    ids = [f"{i}.png" for i in range(4)]
    for i, name in enumerate(ids):
        picture = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 4:12] = 255
        Image.fromarray(picture if i else mask).save(tmp_path / name)
        Image.fromarray(mask).save(tmp_path / f"{i}_mask.png")
    batch = Batch(torch.zeros(4, 3, 16, 16), torch.zeros(4, 1, 16, 16), ids=ids, condition="center/25")
    noise = Noise([0] * 4)
    assert External(ExternalConfig(folder=tmp_path)).complete(batch, noise).shape == (4, 3, 16, 16)
    with pytest.raises(BenchError, match=r"4 of 4 results are masks .*0_mask\.png \(mask\)"):
        External(ExternalConfig(folder=tmp_path, match="{name}_mask")).complete(batch, noise)


def test_a_condition_without_a_folder_is_not_sent_to_those_of_others(tmp_path: Path) -> None:
    for folder in ("center_25", "irregular_20-30"):
        for i in range(4):
            path = tmp_path / folder / f"{i}_pred.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (16, 16)).save(path)
    ids = [f"{i}.png" for i in range(4)]
    batch = Batch(torch.zeros(4, 3, 16, 16), torch.zeros(4, 1, 16, 16), ids=ids, condition="folder:/data/masks")
    method = External(ExternalConfig(folder=tmp_path, match="{name}_pred"))
    with pytest.raises(BenchError) as told:
        method.complete(batch, Noise([0] * 4))
    assert str(told.value).endswith(
        "; 0 lies in center_25, irregular_20-30: put those of this condition into folder_data_masks"
    )


def pictures(folder: Path, *names: str) -> ExternalConfig:
    """Grey pictures, each of another level: the first 1, the second 2, ..."""
    for level, name in enumerate(names, 1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (level,) * 3).save(folder / name)
    return ExternalConfig(folder=folder)


def levels(config: ExternalConfig, *ids: str) -> list[int]:
    batch = Batch(torch.zeros(len(ids), 3, 16, 16), torch.zeros(len(ids), 1, 16, 16), ids=ids, condition="center/25")
    done = External(config).complete(batch, Noise([0] * len(ids)))
    return ((done[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_numbered_results_are_those_of_the_lines_of_a_list(tmp_path: Path) -> None:
    config = pictures(tmp_path / "results", "center_25/000000_inpaint.png", "center_25/000001_inpaint.png")
    order = tmp_path / "list.txt"
    order.write_text("b.png\na.png\n")
    numbered = config.model_copy(update={"order": order, "match": "{name}_inpaint"})
    assert levels(numbered, "a.jpg", "b.jpg") == [2, 1]
    assert order in numbered.files()
    order.write_text("x/a.png\ny/a.png\n")
    with pytest.raises(BenchError, match=r"lines that differ in their folders alone: write a__b\.png"):
        levels(numbered, "x/a.png")


def test_one_file_is_never_the_result_of_two_images(tmp_path: Path) -> None:
    config = pictures(tmp_path, "anna.png", "x__bob.png", "bob.png")
    assert levels(config, "x/anna.png", "x/bob.png", "bob.png") == [1, 2, 3]
    with pytest.raises(BenchError, match=r"anna\.png could belong to x/anna\.png and to y/anna\.png: .* y__anna\.png"):
        levels(config, "x/anna.png", "y/anna.png")


def test_images_without_a_result_are_named_together(tmp_path: Path) -> None:
    """And never sought in the folder of another condition."""
    ids = [f"{i:03}.png" for i in range(10)]
    config = pictures(tmp_path, *(f"{folder}/{name}" for folder in ("center_25", "irregular_20-30") for name in ids))
    for name in ("003.png", "005.png"):
        (tmp_path / "center_25" / name).unlink()
    with pytest.raises(BenchError) as told:
        levels(config, *ids)
    assert str(told.value) == f"external: 2 of 10 images have no result in {tmp_path}/center_25: 003, 005"
    (tmp_path / "center_25").rename(tmp_path / "center_30")
    with pytest.raises(
        BenchError, match=r"10 of 10 images .* in .*/center_25 \(there is no such folder\) or .*: 000"
    ) as told:
        levels(config, *ids)
    assert str(told.value).endswith(
        "002, 003, 004, ...; 000 lies in irregular_20-30: put those of this condition into center_25"
    )


def test_other_names_are_advised_in_the_folder_of_the_condition(tmp_path: Path) -> None:
    config = pictures(tmp_path, *(f"center_25/{name}_pred.png" for name in "abc"), "other/a.png")
    with pytest.raises(BenchError, match=r'3 of 3 .*: a, b, c; they match with the option match: "{name}_pred"'):
        levels(config, "a.png", "b.png", "c.png")
    with pytest.raises(BenchError, match=r"1 of 2 images has no result, called {name}_pred, in .*center_25: d$"):
        levels(config.model_copy(update={"match": "{name}_pred"}), "a.png", "d.png")


def test_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    with pytest.raises(BenchError, match=r"folder: .*a\.zip is a file: unpack it, and name the folder of the images"):
        levels(ExternalConfig(folder=tmp_path / "a.zip"), "a.png")
