from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import catalogue
from bench.data.dataset import prepare_folder
from bench.errors import BenchError
from tests.bench.data.sources.archives import FORMATS


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("CelebA", 162_770, 19_962),
        ("CelebA-HQ", 28_000, 2_000),
        ("FFHQ", 60_000, 10_000),
        ("Paris Street View", 14_900, 100),
        ("Places365", 1_803_460, 36_500),
        ("CHASE", 18, 10),
        ("Shell", 48, 16),
        ("Skull", 72, 25),
        ("Anime", 90, 30),
        ("Fauvism", 94, 30),
        ("Moongate", 106, 30),
        ("Cat", 120, 40),
        ("Dog", 309, 80),
        ("Pokemon", 633, 200),
        ("Art", 750, 250),
        ("CelebA-Test", 0, 3_000),
        ("LFW-Test", 0, 1_711),
        ("CelebChild-Test", 0, 180),
        ("WebPhoto-Test", 0, 407),
    ],
)
def test_published_sizes(name: str, train: int, test: int) -> None:
    dataset = catalogue.find(name)
    assert (dataset.train, dataset.test) == (train, test)
    assert dataset.source.startswith("http") and dataset.licence and dataset.papers


@pytest.mark.parametrize("name", ["celeba", "celeba-isfrnet", "celeba-apfi"])
def test_all_splits_of_celeba_use_all_images(name: str) -> None:
    assert catalogue.find(name).needed == 202_599


def test_names_are_found_in_any_spelling() -> None:
    assert catalogue.find("celeba_hq") is catalogue.find("CelebA HQ") is catalogue.DATASETS["celeba-hq"]
    assert catalogue.find("PSV") is catalogue.find("ParisStreetView")
    assert catalogue.known("holiday") is None
    with pytest.raises(BenchError, match=r"'celebahqq' is not known: did you mean celeba-hq\?.*one of celeba, "):
        catalogue.find("celebahqq")


def pictures(folder: Path, count: int, size: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(folder.name))
    for index in range(count):
        pixels = random.integers(0, 256, (size, size + index % 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_a_sound_folder_can_serve(tmp_path: Path) -> None:
    report = catalogue.check("chase", pictures(tmp_path / "retina", 28))
    assert report.ok and report.count == 28 and (report.train, report.test) == (18, 10)
    assert report.smallest == (8, 8) and report.largest == (9, 8)
    assert any("smaller than 256" in note for note in report.notes)
    assert "kingston" in report.source and report.licence


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "retina", 28)
    (folder / "0.png").write_text("not an image")
    (folder / "1.png").write_bytes((folder / "2.png").read_bytes()[:60])
    shutil.copy(folder / "3.png", folder / "copy.png")
    report = catalogue.check("chase", folder)
    assert not report.ok and report.count == 27
    assert [name for name, _ in report.unreadable] == ["0.png", "1.png"]
    assert "not a PNG" in report.unreadable[0][1] and "damaged" in report.unreadable[1][1]
    assert report.duplicates == (("3.png", "copy.png"),)
    assert "2 of 29 files cannot be used" in report.problems[0]
    assert "CHASE has 27 images and the split needs 28" in report.problems[1]


def test_the_report_reads_well(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "retina", 28)
    lines = str(catalogue.check("chase", folder)).splitlines()
    assert lines[:3] == [
        f"{folder} can serve as CHASE",
        "  images: 28, from 8 x 8 to 9 x 8 pixels",
        "  split: 18 to train, 10 to test",
    ]
    for index in range(25):
        (folder / f"{index}.png").write_text(str(index))
    text = str(catalogue.check("chase", folder))
    assert "cannot serve as CHASE" in text and f"  unusable: {folder}/0.png is not a PNG" in text
    assert text.count("unusable:") == 20 and "  and 5 more" in text


def test_own_images_get_the_default_split(tmp_path: Path) -> None:
    report = catalogue.check("folder", pictures(tmp_path / "mine", 44))
    assert report.ok and (report.name, report.train, report.test) == ("mine", 34, 10)
    assert not catalogue.check("folder", pictures(tmp_path / "few", 10)).ok


def test_extra_images_are_a_note(tmp_path: Path) -> None:
    report = catalogue.check("chase", pictures(tmp_path / "retina", 30))
    assert report.ok and "2 of 30 images are not used by the published split" in report.notes[0]


def test_folders_must_have_the_published_sizes(tmp_path: Path) -> None:
    pictures(tmp_path / "train", 20)
    pictures(tmp_path / "test", 8)
    report = catalogue.check("chase", tmp_path)
    assert "hold 20 and 8 images, published are 18 and 10" in report.problems[0]


def test_a_test_image_among_the_training_images_is_a_problem(tmp_path: Path) -> None:
    pictures(tmp_path / "train", 3)
    pictures(tmp_path / "test", 3)
    assert catalogue.check("folder", tmp_path).ok
    shutil.copy(tmp_path / "train" / "0.png", tmp_path / "test" / "x.png")
    report = catalogue.check("folder", tmp_path)
    assert report.problems == ("train/0.png and test/x.png are the same picture, in training and in test: remove one",)


def test_only_the_pictures_of_a_known_data_set_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CelebAMask-HQ as downloaded, and CelebA with its folder `Img`."""
    pictures(tmp_path / "hq" / "CelebA-HQ-img", 12)
    pictures(tmp_path / "hq" / "CelebAMask-HQ-mask" / "0", 5)
    pictures(tmp_path / "hq" / "thumbnails", 5)
    assert catalogue.check("celeba-hq", tmp_path / "hq").count == 12
    assert "hq: only CelebA-HQ-img/ is read" in " ".join(capsys.readouterr().err.split())
    pictures(tmp_path / "celeba" / "Img" / "img_align_celeba", 4)
    pictures(tmp_path / "celeba" / "Img" / "img_celeba", 3)
    assert catalogue.check("celeba", tmp_path / "celeba").count == 4
    assert catalogue.check("folder", tmp_path / "celeba").count == 7
    assert catalogue.check("celeba-hq", tmp_path / "hq" / "CelebA-HQ-img").count == 12


def test_masks_among_the_pictures_are_a_problem(tmp_path: Path) -> None:
    pictures(tmp_path, 12)
    for index in range(5):
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / f"{index}_mask001.png")
    problem = catalogue.check("folder", tmp_path).problems[0]
    assert problem.startswith(f"5 of 17 files are masks or label maps, no photographs: {tmp_path}/0_mask001.png (mask)")
    assert problem.endswith(
        ", ...: put masks into a folder of their own and name it with --masks, label maps with --labels"
    )


def test_a_folder_of_nothing_but_bad_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    report = catalogue.check("folder", tmp_path)
    assert not report.ok and report.count == 0 and report.smallest is None


def test_missing_folders_and_unknown_names_are_errors(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="does not exist"):
        catalogue.check("chase", tmp_path / "nowhere")
    with pytest.raises(BenchError, match="not known"):
        catalogue.check("nothing", tmp_path)


def test_a_published_split_is_drawn(tmp_path: Path) -> None:
    dataset = catalogue.find("webphoto-test")
    split = dataset.split("f", [f"{index}.png" for index in range(407)], 0)
    assert len(split.test) == 407 and not split.train


def nested(folder: Path) -> Path:
    """CelebA as a mirror packs it: the makers' folder twice, beside annotations and other pictures."""
    pictures(folder / "celeba" / "img_align_celeba" / "img_align_celeba", 30)
    pictures(folder / "celeba" / "img_celeba", 3)
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "parquet", "tar shards"])
def test_a_known_data_set_is_the_same_however_it_is_packed(kind: str, tmp_path: Path) -> None:
    """The ids are those of the makers' folder itself, so that the same pictures test."""
    plain = pictures(tmp_path / "plain" / "img_align_celeba", 30).parent
    folder = nested(tmp_path / "mirror")
    place = FORMATS[kind](folder, tmp_path) if kind in FORMATS else folder
    found, wanted, own = (
        prepare_folder(where, 8, tmp_path / "cache", "celeba-apfi")
        for where in (place, plain, plain / "img_align_celeba")
    )
    assert found.ids == wanted.ids == own.ids == sorted(f"{i}.png" for i in range(30))
    assert found.fingerprint == wanted.fingerprint == own.fingerprint
    assert found.split(0, 20, 10) == wanted.split(0, 20, 10)
    assert catalogue.check("celeba-apfi", place).count == 30
    assert len(prepare_folder(place, 8, tmp_path / "cache", "mine").ids) == 33  # as of any other


def test_a_folder_of_an_archive_is_a_place(tmp_path: Path) -> None:
    place = FORMATS["zip"](nested(tmp_path / "mirror"), tmp_path)
    assert catalogue.check("folder", place / "celeba" / "img_celeba").count == 3
    with pytest.raises(BenchError, match=r"mine.zip has no images in celeba/img/, such as celeba/img_align_celeba/"):
        catalogue.check("folder", place / "celeba/img")
