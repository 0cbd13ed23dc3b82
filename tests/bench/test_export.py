"""Pictures of a finished run in files: other tools, and this one, read the same numbers from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from bench import archive, cli, export
from bench.data import dataset
from bench.errors import BenchError
from bench.task import Task
from masks import MaskSet

METRICS = ["psnr", "ssim", "l1", "l1@hole", "perceptual@embedded", "fid@embedded", "kid@embedded", "identity@embedded"]
NUMBERS = ["value", "low", "high", "n"]
SUITE = {
    "suite": "small",
    "size": 32,
    "methods": ["mean", "telea"],
    "conditions": ["center/25", "irregular/20-30"],
    "metrics": METRICS,
    "report": {"main": ["psnr"], "samples": 0},
}
FACES = {"name": "synthfaces", "train": 8, "test": 36}  # more than a batch of networks


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def run(folder: Path, **changes: object) -> Path:
    """The folder of a suite that was run in this process."""
    content = SUITE | changes
    path = folder / f"{content['suite']}.yaml"
    path.write_text(yaml.safe_dump(content))
    call("run", path, "--out", folder / "runs", "--workers", 0)
    return folder / "runs" / str(content["suite"])


def table(suite: Path, **row: str) -> pd.DataFrame:
    found = pd.read_parquet(suite / "results.parquet")
    for key, value in row.items():
        found = found[found[key] == value]
    assert len(found) == len(METRICS) + 1  # FID infinity stands beside FID
    return found.set_index("metric")[NUMBERS]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("small"), data=[FACES])


@pytest.fixture(scope="module")
def exported(small: Path) -> Path:
    """The pictures of all its conditions and methods."""
    folder = small.parents[1] / "exported"
    call("export", "images", small, "--to", folder)
    return folder / "synthfaces"


def evaluated(path: Path, folder: Path, completed: str, *options: str) -> pd.DataFrame:
    beside = [folder / "originals", "--masks", folder / "masks", "--metrics", ",".join(METRICS)]
    call("evaluate", folder / completed, *beside, "--out", path, *options)
    return pd.read_csv(path).set_index("metric")[NUMBERS]


def test_the_layout_is_that_of_the_guide(small: Path, exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {"center_25", "irregular_20-30"}
    for folder in exported.iterdir():
        assert {path.name for path in folder.iterdir()} == {"Mean_colour", "Telea", "masks", "originals", "order.txt"}
        names = (folder / "order.txt").read_text().split()
        assert names == list(pd.read_parquet(small / "per_image.parquet")["id"][: len(names)])
        for below in (folder / "Telea", folder / "masks", folder / "originals"):
            assert {path.stem for path in below.iterdir()} == set(names)
        telea, hole, original = (
            np.asarray(Image.open(folder / kind / f"{names[0]}.png")) for kind in ("Telea", "masks", "originals")
        )
        assert set(np.unique(hole)) == {0, 255}
        assert np.array_equal(telea[hole == 0], original[hole == 0])
        assert (telea[hole > 0] != original[hole > 0]).any()


def test_evaluate_gives_the_very_numbers_of_the_table(small: Path, exported: Path, tmp_path: Path) -> None:
    for title, condition in (("Telea", "irregular/20-30"), ("Mean colour", "center/25")):
        found = evaluated(tmp_path / "scores.csv", exported / condition.replace("/", "_"), title.replace(" ", "_"))
        pd.testing.assert_frame_equal(found, table(small, title=title, condition=condition), check_exact=True)


def test_a_row_of_another_suite_gives_the_very_numbers(small: Path, exported: Path, tmp_path: Path) -> None:
    row = {"method": "external", "title": "Theirs", "options": {"folder": str(exported), "match": "Telea/{name}"}}
    other = run(tmp_path, suite="other", data=[FACES], methods=[row])
    for condition in SUITE["conditions"]:
        theirs, ours = table(other, condition=condition), table(small, title="Telea", condition=condition)
        pd.testing.assert_frame_equal(theirs, ours, check_exact=True)


def test_images_in_folders_and_names_of_other_programs(exported: Path, tmp_path: Path) -> None:
    """Flat names of images in folders pair with themselves, and as a row of a suite; files need no method's files."""
    originals = sorted((exported / "center_25" / "originals").iterdir())
    for i, path in enumerate(originals[:12]):
        place = tmp_path / "faces" / ("train" if i < 6 else "test") / ("a", "a0")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    data = [{"name": "faces", "folder": str(tmp_path / "faces")}]
    ours = run(tmp_path, data=data, methods=["telea"], conditions=["center/25"])
    call("export", "images", ours, "--to", tmp_path / "pictures", "--names", "{name}_pred")
    folder = tmp_path / "pictures/faces/center_25"
    names = (folder / "order.txt").read_text().split()
    assert names != sorted(names)  # `a/` stands before `a0/`, and `a0__` before `a__`
    assert all(path.name.startswith("test__") and path.stem.endswith("_pred") for path in (folder / "Telea").iterdir())
    found = evaluated(tmp_path / "scores.csv", folder, "Telea", "--match", "{name}_pred")
    pd.testing.assert_frame_equal(found, table(ours), check_exact=True)
    shutil.copytree(folder / "Telea", tmp_path / "theirs")
    options = {"folder": str(tmp_path / "theirs"), "match": "{name}_pred"}
    row = {"method": "external", "title": "Theirs", "options": options}
    theirs = run(tmp_path, suite="other", data=data, methods=[row], conditions=["center/25"])
    pd.testing.assert_frame_equal(table(theirs), table(ours), check_exact=True)
    shutil.rmtree(tmp_path / "theirs")  # what the method was made of is not needed
    shutil.move(tmp_path / "faces", tmp_path / "moved")
    with pytest.raises(BenchError, match=r"faces does not exist"):
        call("export", "images", theirs, "--to", tmp_path / "again")
    call("export", "images", theirs, "--to", tmp_path / "again", "--data", tmp_path / "moved")
    assert len(list((tmp_path / "again/faces/center_25/Theirs").iterdir())) == 6


def test_the_folder_of_a_row() -> None:
    """Shots and seeds tell folders of trained methods apart; what nothing trains has one."""
    row = {"title": "My GRIG", "dataset": "faces", "condition": "center/25", "shots": "10", "seed": 1}
    beside = Path("out/faces/center_25")
    assert export.place(Path("out"), row, trained=True) == beside / "My_GRIG-10-shots-seed-1"
    assert export.place(Path("out"), row | {"shots": "all", "seed": 0}, trained=True) == beside / "My_GRIG"
    assert export.place(Path("out"), row) == beside / "My_GRIG"
    with pytest.raises(BenchError, match="'Masks' would lie in the folder of the masks: give it another title"):
        export.place(Path("out"), row | {"title": "Masks"})


def test_options_choose_and_what_is_wrong_is_named(small: Path, tmp_path: Path) -> None:
    call("export", "images", small, "--to", tmp_path, "--methods", "telea", "--conditions", "center/25")
    assert [path.name for path in (tmp_path / "synthfaces").iterdir()] == ["center_25"]
    assert not (tmp_path / "synthfaces/center_25/Mean_colour").exists()
    (tmp_path / "synthfaces/center_25/Telea/other.png").touch()
    for arguments, message in (
        ([small, "--to", tmp_path], r"Telea holds other pictures, such as other: delete them or choose another folder"),
        ([small, "--methods", "aot"], r"--methods: the run has no pictures of 'aot': it has Mean colour, Telea, mean"),
        ([small, "--conditions", "center/5"], r"--conditions: .*it has center/25, irregular/20-30"),
        ([small, "--names", "pred"], r"the pattern 'pred' must hold \{name\}"),
        ([small, "--data", tmp_path], r"--data .*: the run takes no folder: its images are drawn"),
        ([tmp_path], r"run\.json is missing: give the folder of a suite"),
    ):
        with pytest.raises(BenchError, match=message):
            call("export", "images", *arguments)


def test_one_completion_alone(small: Path, exported: Path, tmp_path: Path) -> None:
    job = next(path for path in (small.parent / "jobs").glob("complete-telea-*"))
    handed = shutil.copytree(job, tmp_path / "handed")
    call("export", "images", handed, "--to", tmp_path / "pictures")
    (folder,) = (tmp_path / "pictures/synthfaces").iterdir()
    for path in folder.rglob("*.png"):
        assert path.read_bytes() == (exported / path.relative_to(folder.parent)).read_bytes()
    assert len(list(folder.rglob("*.png"))) == 3 * FACES["test"]


def test_several_completions_have_numbers(tmp_path: Path) -> None:
    faces = dataset.prepare_synthfaces(3, 32, 0, tmp_path / "cache")
    task = Task(faces, [0, 1, 2], MaskSet.make("center/25", 32, 3, 0), "center/25", 0, pasted=False)
    with archive.written(tmp_path / archive.FILE, {"ids": faces.ids, "whole": True, "completions": 2}) as writer:
        for i in range(3):
            for k in range(2):
                writer.add(torch.full((3, 32, 32), 10 * i + k, dtype=torch.uint8), None)
    stored = archive.Archive.open(tmp_path / archive.FILE)
    for names, called in (("{name}", "{}_{}.png"), ("{name}/{k}", "{}/{}.png"), ("r{k}_{name}", "r{1}_{0}.png")):
        export.export(stored, task, tmp_path / "to", names)
        for i, name in enumerate(faces.ids):
            for k in range(2):
                picture = np.asarray(Image.open(tmp_path / "to" / called.format(name, k)))
                assert (picture == 10 * i + k).all()
        shutil.rmtree(tmp_path / "to")
