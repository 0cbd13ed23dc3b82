from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import splits
from bench.errors import BenchError

IDS = [f"{index:03d}.png" for index in range(100)]


def drawn(count: int = 100, seed: int = 0, **options: object) -> splits.Split:
    return splits.draw("faces", "f" * 64, IDS[:count], seed, **options)


@pytest.mark.parametrize(
    ("count", "test"), [(11, 10), (44, 10), (52, 10), (53, 11), (100, 20), (9_998, 2000), (70_000, 2000)]
)
def test_default_test_share(count: int, test: int) -> None:
    assert splits.default_test(count) == test


def test_44_images_give_34_and_10() -> None:
    split = drawn(44)
    assert (len(split.train), len(split.validation), len(split.test)) == (34, 0, 10)


@settings(deadline=None)
@given(count=st.integers(11, 100), seed=st.integers(0, 10**9), validation=st.integers(0, 5))
def test_parts_are_disjoint_and_cover_the_data(count: int, seed: int, validation: int) -> None:
    test = min(5, count // 3)
    split = drawn(count, seed, validation=validation, test=test)
    assert sorted((*split.train, *split.validation, *split.test)) == IDS[:count]
    assert (len(split.validation), len(split.test)) == (validation, test)


def test_the_draw_is_the_same_on_every_machine() -> None:
    split = drawn(20, seed=3)
    assert " ".join(name[:3] for name in split.test) == "003 005 008 010 013 014 015 016 017 018"
    assert " ".join(name[:3] for name in splits.shots(split, 5)) == "001 012 011 019 002"
    assert split == splits.draw("faces", "f" * 64, IDS[:20][::-1], 3)
    assert drawn(20, seed=4).test != split.test


def test_fewer_training_images_leave_the_test_as_it_is() -> None:
    full, few = drawn(), drawn(train=7)
    assert few.test == full.test and len(few.train) == 7 and set(few.train) < set(full.train)


def test_in_order_follows_the_numbers() -> None:
    ids = sorted(f"{index}.jpg" for index in range(12))
    split = splits.draw("x", "f", ids, 0, train=7, validation=3, test=2, in_order=True)
    assert set(split.train) == {f"{index}.jpg" for index in range(7)}
    assert set(split.test) == {"10.jpg", "11.jpg"} and set(split.validation) == {"7.jpg", "8.jpg", "9.jpg"}


def test_too_few_images_are_an_error() -> None:
    with pytest.raises(BenchError, match=r"faces has 10 images and the split needs 11 .*choose a smaller split"):
        drawn(10)
    with pytest.raises(BenchError, match=r"needs 120 \(90 to train, 10 to validate, 20 to test\)"):
        drawn(train=90, validation=10, test=20)
    with pytest.raises(BenchError, match="negative"):
        drawn(test=-1)


def test_shots_are_nested() -> None:
    split = drawn()
    draws = [set(splits.shots(split, n)) for n in splits.SHOTS]
    assert [len(draw) for draw in draws] == [5, 10, 30, 50]
    assert all(small < large for small, large in pairwise(draws)) and draws[-1] < set(split.train)
    assert splits.shots(split, "all") == split.train


@settings(deadline=None)
@given(small=st.integers(1, 80), large=st.integers(1, 80), seed=st.integers(0, 100))
def test_any_shots_are_nested(small: int, large: int, seed: int) -> None:
    split = drawn(seed=seed)
    small, large = sorted((small, large))
    assert splits.shots(split, large)[:small] == splits.shots(split, small)


def test_shots_do_not_depend_on_the_order_of_the_file() -> None:
    split = drawn()
    assert splits.shots(split.model_copy(update={"train": split.train[::-1]}), 5) == splits.shots(split, 5)


def test_more_shots_than_images_are_an_error() -> None:
    with pytest.raises(BenchError, match=r"faces: 35 shots were asked for and the split has 34.*ask for fewer"):
        splits.shots(drawn(44), 35)
    with pytest.raises(BenchError, match="at least 1"):
        splits.shots(drawn(44), 0)


def test_a_saved_split_comes_back(tmp_path: Path) -> None:
    split = drawn(validation=5)
    one, two = split.save(tmp_path / "one.json"), split.save(tmp_path / "two.json")
    assert splits.load(one, split.fingerprint) == split
    assert one.read_bytes() == two.read_bytes()


def test_a_split_of_changed_data_is_refused(tmp_path: Path) -> None:
    path = drawn().save(tmp_path / "split.json")
    with pytest.raises(BenchError, match=r"the images of faces changed since .*split\.json.*draw a new split"):
        splits.load(path, "0" * 64)


@pytest.mark.parametrize("damage", ["missing", "text", "key", "overlap", "unknown"])
def test_a_damaged_split_is_named(tmp_path: Path, damage: str) -> None:
    path = drawn().save(tmp_path / "split.json")
    content = json.loads(path.read_text())
    if damage == "missing":
        path.unlink()
    elif damage == "text":
        path.write_text("{")
    else:
        if damage == "key":
            del content["test"]
        elif damage == "overlap":
            content["test"][0] = content["train"][0]
        else:
            content["extra"] = 1
        path.write_text(json.dumps(content))
    with pytest.raises(BenchError, match=r"split\.json.*draw it again"):
        splits.load(path, "f" * 64)


def in_folders(*folders: str) -> list[str]:
    return sorted(f"{folder}{i}.png" for folder in folders for i in range(3))


def test_folders_are_honoured(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["other/1.png", "test/1.png", "train/a/1.png", "train/a/2.png", "val/1.png"]
    split = splits.by_folder("x", "f", ids, 0)
    assert split and split.rule == "folder"
    assert (split.train, split.validation, split.test) == (tuple(ids[2:4]), ("val/1.png",), ("test/1.png",))
    assert "x: 1 of 5 pictures are not used, for they lie outside of test/, train/, val/" in capsys.readouterr().err
    without_test = splits.by_folder("x", "f", ids[2:], 0)
    assert without_test and without_test.test == ("val/1.png",) and not without_test.validation
    assert splits.by_folder("x", "f", ["train", "test"], 0) is None


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train_img", "val_img", "test_img"),  # CelebAMask-HQ's g_partition
        ("train_256", None, "val_source_256"),  # LaMa, mmagic
        ("train_256", "val_source_256", "visual_test_256"),
        ("paris_train_original", None, "paris_eval_gt"),
        ("Training", "Validation2", "testing set"),
        ("data.train", "valid", "test-1"),
        ("trainA", None, "testA"),  # CycleGAN
        ("trainset", "valset", "testset"),
        ("TrainImages", "devImages", "CelebATest"),
        ("traindata", "dev", "held_out"),
        ("train", None, "holdout"),
        ("trn", None, "tst"),
        ("data/train", "data/val", "data/test"),  # the user names the folder above
        ("a/test data/train", None, "a/test data/test"),
    ],
)
def test_folders_are_understood_by_their_words(train: str, validation: str | None, test: str) -> None:
    names = [name for name in (train, validation, test) if name]
    split = splits.by_folder("x", "f", sorted(f"{name}/{i}.png" for name in names for i in range(3)), 0)
    assert split
    for part, folder in ((split.train, train), (split.validation, validation), (split.test, test)):
        assert part == (tuple(f"{folder}/{i}.png" for i in range(3)) if folder else ())


@pytest.mark.parametrize(
    "folders",
    [
        [""],
        ["", "anna/"],
        ["trained/", "tested/"],
        ["images/", "testimony/"],
        ["Valerie/", "Devi/", "Evaline/", "Testa/", "Holden/"],
        ["imageset/", "dataset/", "pictures/a/"],
    ],
)
def test_folders_that_say_nothing_of_a_split_are_one_set(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert splits.by_folder("x", "f", in_folders(*folders), 0) is None
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (["train/"], "all pictures lie in train/: a split is drawn from them"),
        (["train/anna/", "train/ben/"], "all pictures lie in train/: a split"),
        (["faces/train_256/"], "all pictures lie in train_256/: a split"),
        (["train1/", "train2/"], "all pictures lie in train1/, train2/: a split"),
        (["Anna/", "Ben/", "Val/"], "Val/ counts as one of many folders, not as that for val: give `split`"),
        (["Anna_A/", "Dev_Patel/", "Ben_B/", "Val_Kilmer/"], "Dev_Patel/, Val_Kilmer/ counts as one of many"),
        (["bicycle/", "bus/", "train/"], "train/ counts as one of many folders, not as that for train"),
        (["a/Anna/", "v/Val/"], "v/Val/ counts as one of many"),
    ],
)
def test_what_a_folder_may_mean_is_said(folders: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert splits.by_folder("x", "f", in_folders(*folders), 0) is None
    assert f"x: {said}" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (["", "test/"], "test/ is for test"),
        (["", "train/"], "train/ is for train"),
        (["images/", "test/"], "test/ is for test"),
        (["images/", "trainset/"], "trainset/ is for train"),
        (["images/", "val/"], "val/ is for val"),
        (["cat/", "dog/", "fox/", "holdout/"], "holdout/ is for test"),
        (["data/images/", "data/testB/"], "data/testB/ is for test"),
        (["val/", "test/"], "test/, val/ is for test and for val"),
        (["cat/train/", "cat/test/", "dog/train/", "dog/test/"], "cat/test/, cat/train/, dog/test/, ... is for test"),
        (["a/train/", "a/val/", "b/", "c/"], "a/train/, a/val/ is for train and for val"),
    ],
)
def test_a_published_split_is_not_drawn_again(folders: list[str], named: str) -> None:
    """Training pictures of the makers would test, and those for the test would train."""
    with pytest.raises(BenchError, match=f"x: {named} .*what each picture is for: rename .*`split` or numbers"):
        splits.by_folder("x", "f", in_folders(*folders), 0)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ("train_256/ val_256/ val_source_256/", "folders val_256/ and val_source_256/ are all named for val: rename"),
        ("train/ train_aug/ test/", "folders train/ and train_aug/ are all named for train: rename"),
        ("train/ test/ eval/ val/", "folders eval/ and val/ are all named for val: rename"),
        ("train_val/ test/", "folder train_val/ is named for train and for val: rename"),
    ],
)
def test_folders_that_say_no_clear_split_are_refused(folders: str, message: str) -> None:
    with pytest.raises(BenchError, match=f"x: the {message} or remove folders .*`split`"):
        splits.by_folder("x", "f", sorted(f"{folder}1.png" for folder in folders.split()), 0)


@settings(deadline=None)
@given(
    people=st.integers(4, 20),
    each=st.integers(1, 5),
    train=st.none() | st.integers(1, 60),
    test=st.none() | st.integers(1, 20),
)
def test_identities_stay_apart(people: int, each: int, train: int | None, test: int | None) -> None:
    identity = [person for person in range(people) for _ in range(each)]
    ids = IDS[: len(identity)]
    try:
        split = splits.by_identity("x", "f", ids, identity, 0, train, test)
    except BenchError as error:
        assert "too few" in str(error)
        return
    person = dict(zip(ids, identity, strict=True))
    assert not {person[one] for one in split.train} & {person[one] for one in split.test}
    assert split.train == tuple(ids[: len(split.train)])
    assert train in (None, len(split.train)) and test in (None, len(split.test))


def test_following_identities_test() -> None:
    identity = [index // 4 for index in range(44)]
    split = splits.by_identity("x", "f", IDS[:44], identity, 0)
    assert split.train == tuple(IDS[:32]) and split.test == tuple(IDS[32:44])
    split = splits.by_identity("x", "f", IDS[:44], identity, 0, train=30, test=4)
    assert split.train == tuple(IDS[:30]) and split.test == tuple(IDS[32:36])
    with pytest.raises(BenchError, match="too few for 40 to train and 5 of other people"):
        splits.by_identity("x", "f", IDS[:44], identity, 0, train=40, test=5)
