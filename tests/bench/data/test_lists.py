from __future__ import annotations

from pathlib import Path

import pytest

from bench.data import lists
from bench.data.splits import Split
from bench.errors import BenchError

IDS = ["0.jpg", "1.jpg", "10.png", "a/x.jpg", "b/x.jpg", "v1.2.png"]


def split(folder: Path, ids: list[str] = IDS, **texts: str) -> Split:
    """The split that files with these texts make."""
    files = {}
    for kind, text in texts.items():
        files[kind] = folder / f"{kind}.flist"
        files[kind].write_text(text, encoding="utf-8")
    return lists.by_lists("mine", "f" * 64, ids, 0, files)


def test_names_and_paths_are_found_as_people_write_them(tmp_path: Path) -> None:
    """With and without suffix, of another machine, of another format, with a mark of Windows, blank lines, twice."""
    found = split(
        tmp_path,
        train="\ufeff/home/me/data/1.png\r\n\n10\n10\nD:\\celeba\\a\\x.JPG\n",
        val="./b/x",
        test="0.jpg\nv1.2\n",
    )
    assert found.train == ("1.jpg", "10.png", "a/x.jpg") and found.rule == "list"
    assert found.validation == ("b/x.jpg",) and found.test == ("0.jpg", "v1.2.png")


def test_the_longest_ending_counts(tmp_path: Path) -> None:
    ids = ["test/7.png", "train/7.png", "8.png"]
    found = split(tmp_path, ids, train="/x/train/7.png", test="/x/test/7.png\nelsewhere/8.png")
    assert found.train == ("train/7.png",) and found.test == ("8.png", "test/7.png")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"train": "0\n5\n6\n7\n8", "test": "1"}, r"train.flist: 4 of 5 lines name no image of mine \(5, 6, 7, ...\)"),
        ({"train": "0\nx.jpg", "test": "1"}, r"train.flist: 1 of 2 lines could name several images of mine.*\(x.jpg\)"),
        ({"train": "0.jpg\nother/0.png", "test": "1"}, r"1 of 2 lines .*that another line names \(other/0.png\)"),
        ({"train": "0\n1\n10", "test": "1\n0"}, r"2 images have a place in two parts .*\(1.jpg, 0.jpg; .*train.flist"),
        ({"train": "0", "test": " \n"}, r"test.flist is empty: a split is a list"),
        ({"partition": "0.jpg 0\n1.jpg 3"}, r"is no partition: its line '1.jpg 3' is not `NAME 0`"),
        ({"partition": "0.jpg 0\n1.jpg 1"}, r"names no image for the test"),
        ({"mapping": "0 1 2.jpg\n1 200000"}, r"is no mapping of CelebA-HQ to CelebA: its line '1 200000'"),
    ],
)
def test_lines_that_do_not_fit_are_refused(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        split(tmp_path, **texts)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(BenchError, match="no UTF-8 text"):
        lists.by_lists("mine", "f", IDS, 0, {"test": tmp_path / "test.txt"})
    with pytest.raises(BenchError, match="cannot read"):
        lists.by_lists("mine", "f", IDS, 0, {"test": tmp_path / "none.txt"})


@pytest.mark.parametrize("text", ["0.jpg 0\n1.jpg  1\n10.jpg 2\n", "image_id,partition\n0.jpg,0\n1.jpg,1\n10.jpg, 2"])
def test_the_partition_of_celeba(tmp_path: Path, text: str) -> None:
    found = split(tmp_path, partition=text)
    assert (found.train, found.validation, found.test) == (("0.jpg",), ("1.jpg",), ("10.png",))


def test_the_partition_of_celeba_hq_is_that_of_the_originals(tmp_path: Path) -> None:
    """The cuts of g_partition.py, which reads `orig_idx`."""
    rows = [(0, 162_770), (1, 162_771), (2, 182_637), (3, 182_638), (4, 0), (5, 202_598)]
    text = "idx orig_idx orig_file\n" + "".join(f"{i:<8} {of:<8} {of + 1:06d}.jpg\n" for i, of in rows)
    found = split(tmp_path, [f"{i}.jpg" for i in range(6)], mapping=text)
    assert found.train == ("0.jpg", "4.jpg") and found.validation == ("1.jpg", "2.jpg")
    assert found.test == ("3.jpg", "5.jpg")


CELEBA_HQ = {  # two makers' names of the same pictures
    "from 0": [f"{number}.jpg" for number in range(lists.CELEBA_HQ)],
    "from 1": [f"{number:05d}.jpg" for number in range(1, lists.CELEBA_HQ + 1)],
}


@pytest.mark.parametrize("count", CELEBA_HQ)
def test_a_published_test_is_found_however_its_pictures_are_counted(count: str) -> None:
    """Pictures 3 and 29,977 are the first and the last of LaMa's 2,000; 4 is not among them."""
    ids = CELEBA_HQ[count]
    found = lists.by_lists("mine", "f", ids, 0, {"held_out": lists.HELD_OUT["lama"]})
    assert len(found.train) == 28_000 and len(found.test) == 2_000
    assert {ids[3], ids[29_977]} <= set(found.test) and ids[4] in found.train


def test_a_part_of_celeba_hq_does_not_tell_how_it_is_counted() -> None:
    with pytest.raises(BenchError, match=r"mine: its names do not tell .*counts from 0: give the whole folder"):
        lists.by_lists("mine", "f", CELEBA_HQ["from 0"][1:], 0, {"held_out": lists.HELD_OUT["lama"]})
    with pytest.raises(BenchError, match=r"lama.txt: 1,99. of 2,000 numbers are those of no image of mine"):
        lists.by_lists("mine", "f", CELEBA_HQ["from 0"][:99], 0, {"held_out": lists.HELD_OUT["lama"]})


def test_what_is_not_held_out_trains(tmp_path: Path) -> None:
    found = split(tmp_path, held_out="10\nb/x")
    assert found.test == ("10.png", "b/x.jpg") and found.train == ("0.jpg", "1.jpg", "a/x.jpg", "v1.2.png")


def test_the_images_among_those_of_a_list(tmp_path: Path) -> None:
    """Most lines may be of pictures that are not here; a list that has nothing in common is refused."""
    path = tmp_path / "trained.flist"
    path.write_text("10.jpg\nelsewhere/a/x.png\n77.jpg\n")
    assert lists.among(path, IDS, "mine") == {"10.png", "a/x.jpg"}
    path.write_text("0.jpg\n2.jpg\n")  # from 0
    assert lists.among(path, CELEBA_HQ["from 1"], "mine") == {"00001.jpg", "00003.jpg"}
    path.write_text("bob_0.jpg\nbob_1.jpg\n")
    with pytest.raises(BenchError, match=r"none of its 2 lines names an image of mine \(bob_0.jpg"):
        lists.among(path, ["anna_0.jpg", "anna_1.jpg"], "mine")
    path.write_text("".join(f"{i:06d}.jpg\n" for i in range(1, 162_771)))
    with pytest.raises(BenchError, match=r"trained.flist counts from 1 to 162,770, as lists of CelebA do"):
        lists.among(path, CELEBA_HQ["from 0"], "mine")
    path.write_text("77.jpg\n78.jpg")
    with pytest.raises(BenchError, match=r"trained.flist: none of its 2 lines names an image of mine \(77.jpg, 78.jpg"):
        lists.among(path, IDS, "mine")


def test_numbers_that_an_archive_gave_are_not_those_of_celeba_hq(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sorted paths are 0, 1, 10, 100, ...: 00002.jpg of an LMDB is picture 10."""
    given = CELEBA_HQ["from 0"]
    numbered = [f"{number:05d}.jpg" for number in range(lists.CELEBA_HQ)]
    with pytest.raises(
        BenchError, match=r"mine: .*lama.txt counts pictures as CelebA-HQ does, and .* a tool gave them"
    ):
        lists.by_lists("mine", "f", numbered, 0, {"held_out": lists.HELD_OUT["lama"]}, named=False)
    for listed in (given, given[1:5], [f"{number:05d}.jpg" for number in range(1, lists.CELEBA_HQ + 1)]):
        with pytest.raises(
            BenchError, match=r"list.txt counts pictures \(.*\), and those here have numbers that a tool"
        ):
            lists.images(listed, numbered, tmp_path / "list.txt", named=False)
    assert lists.images(numbered[3:5], numbered, tmp_path / "list.txt", named=False) == {
        name: name for name in numbered[3:5]
    }
    assert "list.txt counts pictures, and those here" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "test.txt").write_text("00004.jpg")
    found = lists.by_lists("mine", "f", numbered, 0, {"test": tmp_path / "test.txt"}, named=False)
    assert found.test == ("00004.jpg",) and "mine: the lists of the split count" in capsys.readouterr().err


def test_a_list_may_name_the_class_of_each_picture(tmp_path: Path) -> None:
    """As Places365's; numbers of 0 to 2 alone may be those of a partition, and names may end in numbers."""
    ids = ["data_256/a/airfield/1.jpg", "data_256/b/bank/1.jpg", "val_256/Places365_val_1.jpg"]
    found = split(tmp_path, ids, train="/a/airfield/1.jpg 0\n/b/bank/1.jpg 364\n", test="Places365_val_1.jpg 165\n")
    assert (found.train, found.test) == (tuple(ids[:2]), (ids[2],))
    assert lists.among(tmp_path / "train.flist", ids, "mine") == set(ids[:2])
    found = split(tmp_path, ["photo 10.jpg", "photo 12.jpg"], test="photo 10\nphoto 12")
    assert found.test == ("photo 10.jpg", "photo 12.jpg")
    with pytest.raises(BenchError, match=r"2 of 2 lines name no image of mine .*1.jpg 0, .*give it as `split: FILE`"):
        split(tmp_path, ids, test="Places365_val_1.jpg 0\n/b/bank/1.jpg 2")
