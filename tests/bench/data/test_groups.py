"""Groups of images: from CelebA's list, from a table of the user, from synthetic faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data import dataset, groups, lists
from bench.data.dataset import ImageData
from bench.data.synthfaces import ATTRIBUTES, render
from bench.errors import BenchError

CELEBA = """4
Eyeglasses Male
000001.jpg -1  1
000002.jpg  1 -1
000003.jpg -1 -1
000004.jpg  1  1
"""
CSV = "\ufeffname,skin,age\nA/000003,dark,40-60\n\n000002.png,light,\n000001,light,20-40\n9.jpg,dark,20-40\n"


def images(ids: list[str]) -> ImageData:
    """A folder of these images, of which nothing is read."""
    return ImageData("mine", 64, "f" * 64, ids, "", Path("nowhere"))


def of(folder: Path, text: str, tested: list[str], ids: list[str] | None = None) -> groups.Groups:
    file = folder / "attributes"
    file.write_text(text, encoding="utf-8")
    return groups.of(images(ids or tested), tested, file)


def test_the_list_of_celeba(tmp_path: Path) -> None:
    found = of(tmp_path, CELEBA, ["000003.png", "000002.png"])  # in another format; others are passed over
    assert found == {"Eyeglasses": ["no", "yes"], "Male": ["no", "no"]}


def test_its_copy_in_csv(tmp_path: Path) -> None:
    text = "image_id,Eyeglasses,Male\n" + "\n".join(",".join(line.split()) for line in CELEBA.splitlines()[2:])
    assert of(tmp_path, text, ["000004.jpg"]) == {"Eyeglasses": ["yes"], "Male": ["yes"]}


def test_a_table_of_the_user(tmp_path: Path) -> None:
    found = of(tmp_path, CSV, ["A/000003.jpg", "000002.jpg", "000001.jpg"])
    assert found == {"skin": ["dark", "light", "light"], "age": ["40-60", "", "20-40"]}


def test_a_copy_of_celeba_hq_may_count_from_1(tmp_path: Path) -> None:
    count = lists.CELEBA_HQ
    text = f"{count}\nMale\n" + "".join(f"{i}.jpg {1 if i % 3 else -1}\n" for i in range(count))
    ids = [f"{i:05d}.png" for i in range(1, count + 1)]
    assert of(tmp_path, text, ["00001.png", "00002.png", "00004.png"], ids) == {"Male": ["no", "yes", "no"]}


def test_rows_of_others_with_the_same_numbers_are_none(tmp_path: Path) -> None:
    """`bob_0` is not `anna_0`; a folder above and leading zeros do not count."""
    ids = [f"anna_{i}.png" for i in range(3)]
    with pytest.raises(BenchError, match=r"3 of 3 test images of mine have no row \(anna_0.png, .* has bob_0.png"):
        of(tmp_path, "name,hair\nbob_0.png,red\nbob_1.png,red\nbob_2.png,red\n", ids)
    found = of(tmp_path, "name,hair\nx/anna_000.png,red\nx/anna_001.png,\nx/anna_002.png,red\n", ids)
    assert found == {"hair": ["red", "", "red"]}


@pytest.mark.parametrize("name", ["{}.jpg", "{:05d}.jpg", "{:06d}.jpg"])
def test_celebas_list_tells_nothing_of_celeba_hq(tmp_path: Path, name: str) -> None:
    """Its 000001.jpg is another person than the 0.jpg, 1.jpg or 00001.jpg of CelebA-HQ."""
    text = "202599\nMale\n" + "".join(f"{i:06d}.jpg 1\n" for i in range(1, 202_600))
    ids = [name.format(i) for i in range(lists.CELEBA_HQ)]
    with pytest.raises(BenchError, match=r"attributes counts from 1 to 202,599, as lists of CelebA do.*CelebAMask-HQ-"):
        of(tmp_path, text, ids[:4], ids)
    if name == "{:05d}.jpg":
        with pytest.raises(BenchError, match="another person"):
            of(tmp_path, text, ids[1:4], [*ids[1:], "30000.jpg"])
    assert of(tmp_path, text, ["000003.jpg", "150000.jpg"]) == {"Male": ["yes", "yes"]}  # CelebA itself


@pytest.mark.parametrize(
    ("text", "tested", "message"),
    [
        (CELEBA, ["000001.jpg", "7.jpg"], r"1 of 2 test images of mine have no row \(7.jpg; the file has 000001.jpg"),
        (CELEBA + "000002.jpg 1 1\n", ["000002.jpg"], r"1 images have several rows \(000002.jpg\)"),
        ("name,skin\na/1.jpg,dark\n1.png,light\n", ["1.jpg"], r"1 images have several rows \(1.jpg\)"),
        (CELEBA + "000005.jpg 1\n", ["000001.jpg"], r"`000005.jpg 1` has 1 values for 2 attributes"),
        ("name,skin\n1,dark,old\n", ["1.jpg"], r"`1 dark old` has 2 values for 1 attributes"),
        ("name,skin,skin\n1,dark,old\n", ["1.jpg"], "is no table of attributes: give CelebA's list_attr_celeba.txt"),
        ("name,skin\n", ["1.jpg"], "is no table of attributes"),
        ("1.jpg\n2.jpg\n", ["1.jpg"], "is no table of attributes"),
        ("", ["1.jpg"], "is no table of attributes"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, tested: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        of(tmp_path, text, tested)
    with pytest.raises(BenchError, match="cannot read"):
        groups.of(images(tested), tested, tmp_path / "none.csv")


def test_synthetic_faces_know_theirs(tmp_path: Path) -> None:
    faces = dataset.prepare_synthfaces(24, 16, 0, tmp_path)
    found = groups.of(faces, faces.ids[8:], None)
    known = render(range(24), 16).attributes[8:]
    assert list(found) == list(ATTRIBUTES)
    glasses, age = (known[:, ATTRIBUTES.index(name)].tolist() for name in ("glasses", "age"))
    assert found["glasses"] == ["yes" if value else "no" for value in glasses] and {"yes", "no"} == {*found["glasses"]}
    assert found["age"] == ["young" if value < 1 / 3 else "middle" if value < 2 / 3 else "old" for value in age]


def test_the_report_shows_what_is_asked_for() -> None:
    found = {
        "faces": {"skin": ["dark", "light"], "age": [str(i) for i in range(13)]},
        "art": {},
        "more": {"hat": ["no"]},
    }
    assert groups.chosen(found, ["skin"]) == {"faces": {"skin": ["dark", "light"]}, "art": {}, "more": {}}
    with pytest.raises(BenchError, match="no data set has the attribute 'skim': they have skin, age, hat"):
        groups.chosen(found, ["skim"])
    with pytest.raises(BenchError, match="age has 13 different values in faces, more than 12 groups"):
        groups.chosen(found, ["age"])
    with pytest.raises(BenchError, match="'skin': give a data set `attributes: FILE`, or take synthfaces"):
        groups.chosen({"art": {}}, ["skin"])
