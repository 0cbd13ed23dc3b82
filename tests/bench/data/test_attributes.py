"""Numbers that describe faces: of synthetic ones, mirrored ones, and a user's table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import condition
from bench.data import attributes, synthfaces
from bench.data.attributes import NAMES, chosen
from bench.data.dataset import ImageData, prepare_folder, prepare_synthfaces
from bench.data.guides.attributes import GUIDE, numbers, prepare_attributes
from bench.data.guides.guide import Asked, Files
from bench.data.guides.wanted import GUIDE as WANTED
from bench.data.synthfaces.scene import sample
from bench.errors import BenchError
from bench.metrics.images import to_uint8


def column(values: torch.Tensor, name: str) -> torch.Tensor:
    return chosen(values, (name,), "this test")[:, 0]


def test_synthetic_faces_know_how_they_were_drawn(tmp_path: Path) -> None:
    """The nose goes where the head turns to, the eyes lean with it, and an open mouth is open."""
    faces = prepare_synthfaces(200, 64, 3, tmp_path)
    values, found = numbers(faces, range(200)), synthfaces.render(range(200), 64, 3)
    assert values is not None and values.shape == (200, len(NAMES)) and values.isfinite().all()
    points = found.landmarks
    turned = points[:, 30, 0] - (points[:, 0, 0] + points[:, 16, 0]) / 2
    leaning = points[:, 45, 1] - points[:, 36, 1]
    gap = points[:, 66, 1] - points[:, 62, 1]
    for name, seen in (("yaw", turned), ("roll", leaning), ("jaw", gap)):
        assert np.corrcoef(column(values, name), seen)[0, 1] > 0.8, name
    assert torch.equal(column(values, "glasses"), found.attributes[:, synthfaces.ATTRIBUTES.index("glasses")])
    some = numbers(faces, [7, 3])
    assert some is not None and torch.equal(some, values[[7, 3]])


def test_a_mirrored_face_looks_to_the_other_side() -> None:
    values = torch.from_numpy(attributes.of_scenes(sample(np.arange(4), 0)))
    turned = GUIDE.mirrored(values, 64)
    changed = {name for name in NAMES if not torch.equal(column(turned, name), column(values, name))}
    assert changed == {"yaw", "roll", "light4", "light5", "light8"}
    torch.testing.assert_close(column(turned, "light4"), -column(values, "light4"))


def test_in_tests_those_of_the_exemplar_are_wanted(tmp_path: Path) -> None:
    faces, tested = prepare_synthfaces(16, 32, 0, tmp_path), range(8, 16)
    asked = Asked(faces, "repose", tested, "repose")
    wanted, own = WANTED.of(asked)(tested), GUIDE.of(asked)(tested)
    people = torch.arange(8) // 4
    of = [(own == row).all(1).nonzero().item() for row in wanted]
    assert (people[of] != people).all()
    assert condition.parse("repose").guides == ("source", "attributes", "wanted")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "faces" / "a").mkdir(parents=True)
    for i, picture in enumerate(to_uint8(synthfaces.render(range(3), 32, 0).images).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture).save(tmp_path / "faces" / "a" / f"{i}.png")
    return tmp_path


def given(folder: Path, table: str) -> ImageData:
    """The faces with this table beside them."""
    (folder / "numbers.csv").write_text(table)
    files = Files(folder / "numbers.csv", 32, folder / "cache", pictures=folder / "faces")
    images = prepare_folder(folder / "faces", 32, folder / "cache")
    return replace(images, companions={"attributes": prepare_attributes(files)})


def test_a_table_is_read_by_the_names_of_its_columns(folder: Path) -> None:
    """Other columns tell groups, rows of other pictures nothing; a number may be unknown."""
    table = "name,Yaw,skin,age,expression\n1.jpg,-3.5,dark,40,young\nelsewhere.jpg,1,dark,2,old\n0.jpg,2,light,,old\n"
    images = given(folder, table + "2.jpg,1,light,7,old\n")
    found = numbers(images, [1, 0])
    assert found is not None and column(found, "yaw").tolist() == [-3.5, 2]
    assert column(found[:1], "age").tolist() == [40]
    for name in ("age", "pitch", "expression"):
        with pytest.raises(BenchError, match=f"mine needs {name} of every face: add these columns to the CSV"):
            chosen(found, ("yaw", name), "mine")
    assert GUIDE.exported(found) == ["yaw -3.5000\nage 40.0000\n", "yaw 2.0000\n"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,yaw\n0,1\n1,left\n2,3\n", "numbers.csv: the column yaw holds numbers, and of 1 'left': write a number"),
        ("name,yaw\n0,1\n2,3\n", "numbers.csv holds no numbers of a/1.png: add its row to the CSV file"),
        ("name,skin\n0,dark\n1,dark\n2,dark\n", "numbers.csv holds no numbers of faces: give the CSV file"),
        ("name yaw\n0 1\n", "is no table of attributes: give CelebA's"),
    ],
)
def test_what_a_table_lacks_is_said(folder: Path, table: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        numbers(given(folder, table), range(3))


def test_files_without_a_table_have_none(folder: Path) -> None:
    assert numbers(prepare_folder(folder / "faces", 32, folder / "cache"), [0]) is None
