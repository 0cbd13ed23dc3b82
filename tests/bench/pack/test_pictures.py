"""The pictures of a pack: with originals where the user has them, and black where nobody says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.pack import check, pack, unpacked
from bench.pack.pictures import Finder, write_samples
from tests.bench.pack.test_pack import members, written
from tests.bench.test_export import run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of pictures in a folder."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "faces").mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "faces" / f"{i}.png")
    data = {"name": "mine", "folder": str(folder / "faces"), "train": 2, "test": 10}
    methods = ["mean", {"method": "mean", "title": "Unpasted", "paste": False}, "paste-exemplar"]
    return run(folder, data=[data], methods=methods, metrics=["psnr"], conditions=["center/25"])


def test_originals_come_from_the_user_alone(small: Path, tmp_path: Path) -> None:
    said = pack(small, tmp_path / "a.pack.zip", share=0.5)
    assert [(one.row["title"], one.kept) for one in said.pictures if one.kept] == [("Mean colour", 5)]
    assert [one.why for one in said.pictures if not one.kept] == [
        "known pixels were kept, which may be the original's",
        "it was shown whole pictures of the data set",
    ]
    with unpacked(tmp_path / "a.pack.zip") as (folder, said):
        finders = [Finder(folder, said, data) for data in ((), [f"mine={small.parents[1] / 'faces'}"])]
        ids = pd.read_parquet(small / "per_image.parquet")["id"].unique()
        found = [[finder("Mean colour", "mine", "all", "center/25", name) for name in ids] for finder in finders]
        assert not finders[0]("Unpasted", "mine", "all", "center/25", ids[0])
        alike = Finder(folder, said, [str(small.parents[1] / "faces"), "other=nowhere"])  # a pack beside it has `other`
        assert alike.data == finders[1].data
        assert Finder(folder, said.model_copy(update={"pictures": []}), ["nowhere"]).data == {}
    assert sum(map(bool, found[0])) == 5
    for name, alone, whole in zip(ids, *found, strict=True):
        if alone:
            original = np.asarray(Image.open(small.parents[1] / "faces" / f"{name}"))
            assert np.array_equal(whole["original"], original)
            assert np.array_equal(whole["completed"], np.where(alone["hole"], alone["completed"], original))
            assert not np.where(alone["hole"], 0, alone["completed"]).any()


def test_pictures_are_scored_again_with_their_folder(small: Path, tmp_path: Path) -> None:
    pack(small, tmp_path / "a.pack.zip")
    for given in (str(small.parents[1] / "faces"), f"mine={small.parents[1] / 'faces'}"):
        found = check(tmp_path / "a.pack.zip", [given])
        assert found.findings == [] and found.scored == 1


def test_samples_of_a_pack_that_was_changed_are_refused(small: Path, tmp_path: Path) -> None:
    pack(small, tmp_path / "a.pack.zip")
    write_samples(tmp_path / "a.pack.zip", tmp_path / "out")
    files = sorted(path.parent.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.png"))
    assert [*map(str, dict.fromkeys(files))] == [f"samples/mine/center_25/{name}" for name in ("Mean_colour", "masked")]
    content = members(tmp_path / "a.pack.zip")
    name = next(name for name in content if name.startswith("masks/"))
    bad = written(tmp_path / "bad.pack.zip", content | {name: content[name] + b"0"}, sealed=False)
    with pytest.raises(BenchError, match=r"bad.pack.zip: masks/.* was changed: see `facebench verify pack"):
        write_samples(bad, tmp_path / "out")
    kept = written(tmp_path / "less.pack.zip", {key: data for key, data in content.items() if key != name})
    with pytest.raises(BenchError, match=r"lacks the pictures of complete-.*, or their masks: ask for it again"):
        write_samples(kept, tmp_path / "out")
