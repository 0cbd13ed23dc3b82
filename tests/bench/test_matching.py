"""Which file belongs to which image: the names that other programs write."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

import pytest

from bench import matching
from bench.errors import BenchError


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


NAMES = ["000", "001", "002"]


@pytest.mark.parametrize(
    ("pattern", "program"),
    [
        ("{name}_mask001", "LaMa"),
        ("{name}_pred", "AOT-GAN"),
        ("000{name}_0_inpaint", "EXE-GAN"),
        ("iter_3/000{name}_inpaint", "GRIG"),
        ("{name}/0", "a folder an image"),
        ("images1024x1024/00000/{name}", "FFHQ"),
    ],
)
def test_the_pattern_of_a_program_is_found_and_pairs(pattern: str, program: str, tmp_path: Path) -> None:
    written(tmp_path, *(f"{pattern.replace('{name}', name)}.png" for name in NAMES))
    assert matching.patterns(tmp_path, NAMES) == [pattern]
    found, _ = matching.listed(tmp_path, pattern)
    assert list(found) == NAMES
    assert matching.advice(tmp_path, "--match {}", NAMES) == f'; they match with --match "{pattern}"'


def test_several_files_of_each_image_are_told(tmp_path: Path) -> None:
    written(tmp_path, *(f"{name}_{k}.png" for name in NAMES for k in range(2)))
    text = matching.advice(tmp_path, "--match {}", NAMES)
    assert (
        text == '; there are several files of each image: say which one with --match "{name}_0" (or --match "{name}_1")'
    )


@pytest.mark.parametrize(("pattern", "start"), [("{name}_{k}", 0), ("{name}_{k}", 1), ("run{k}/2_{name}_out", 1)])
def test_several_completions_have_one_pattern(pattern: str, start: int, tmp_path: Path) -> None:
    numbers = range(start, start + 11)
    written(tmp_path, *(f"{pattern.replace('{name}', n).replace('{k}', str(k))}.png" for n in NAMES for k in numbers))
    said = f'; or measure all with the method external with match: "{pattern}", in a suite with completions: 11'
    assert matching.advice(tmp_path, "--match {}", NAMES, several=True).endswith(said)
    assert "measure all" not in matching.advice(tmp_path, "--match-masks {}", NAMES)
    assert matching.first(tmp_path, pattern) == start
    with pytest.raises(BenchError, match="here there is one: say which"):
        matching.listed(tmp_path, pattern)


def test_files_that_differ_in_more_than_a_number_are_no_completions(tmp_path: Path) -> None:
    written(tmp_path, *(f"{name}_{what}.png" for name in NAMES for what in ("0", "gt")))
    assert "measure all" not in matching.advice(tmp_path, "--match {}", NAMES, several=True)


def test_plain_names_are_named_first_where_saying_them_helps(tmp_path: Path) -> None:
    written(tmp_path, *(f"{name}{end}.png" for name in NAMES for end in ("", "_mask")))
    assert matching.patterns(tmp_path, NAMES) == ["{name}_mask"]
    assert matching.patterns(tmp_path, NAMES, plain=True) == ["{name}", "{name}_mask"]
    assert matching.patterns(tmp_path, [*NAMES, *(f"{name}_mask" for name in NAMES)], plain=True) == []
    text = matching.advice(tmp_path, "--match {}", NAMES, plain=True)
    assert text.endswith('say which one with --match "{name}" (or --match "{name}_mask")')


def test_names_are_the_same_in_every_form_and_suffixes_in_either_case(tmp_path: Path) -> None:
    composed, parted = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    written(tmp_path, f"{parted}.PNG")
    assert list(matching.listed(tmp_path)[0]) == [composed]
    written(tmp_path, f"{composed}.png")
    with pytest.raises(BenchError, match="have one name"):
        matching.listed(tmp_path)


def test_letters_of_another_case_are_named(tmp_path: Path) -> None:
    written(tmp_path, "ANNA.png", "BOB.png")
    assert "ANNA and anna differ in the case of letters" in matching.advice(tmp_path, "--match {}", ["anna", "bob"])


def test_both_sides_may_have_an_ending() -> None:
    assert matching.cores(["1_gt", "2_gt"]) == (["1", "2"], "{name}_gt")
    assert matching.cores(["100", "200"]) is None  # a digit is no mark


def test_nothing_is_advised_where_nothing_matches(tmp_path: Path) -> None:
    written(tmp_path, "10.png", "11.png", "other.png")
    assert matching.advice(tmp_path, "--match {}", [str(i) for i in range(9)]) == ""


@pytest.mark.parametrize("pattern", ["pred", "{name}{name}", "../{name}", "/etc/{name}"])
def test_a_pattern_holds_the_name_once(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"must hold \{name\} once"):
        matching.listed(tmp_path, pattern)


def test_files_in_any_folder_below(tmp_path: Path) -> None:
    written(tmp_path / "a/b", "1_pred.png", "1.png")
    written(tmp_path / ".hidden", "3_pred.png")
    written(tmp_path, "2_pred.png")
    assert list(matching.listed(tmp_path, "**/{name}_pred")[0]) == ["1", "2"]
    written(tmp_path / "c", "1_pred.png")
    with pytest.raises(BenchError, match=r"1_pred\.png and .*1_pred\.png have one name"):
        matching.listed(tmp_path, "**/{name}_pred")
    with pytest.raises(BenchError, match="names more folders"):
        matching.listed(tmp_path, "**/{name}/0")


def test_order_txt_says_the_order(tmp_path: Path) -> None:
    """In the folder or beside it; what it does not name follows, sorted."""
    names = ["b", "c", "a", "10", "1"]
    folder = written(tmp_path / "pictures", *(f"{name}_pred.png" for name in names))
    match = "{name}_pred"
    assert list(matching.listed(folder, match)[0]) == ["1", "10", "a", "b", "c"]
    (tmp_path / "order.txt").write_text("c\na\nnot there\n10\n")
    assert list(matching.listed(folder, match)[0]) == ["c", "a", "10", "1", "b"]
    (folder / "order.txt").write_text("b\n")
    assert list(matching.listed(folder, match)[0]) == ["b", "1", "10", "a", "c"]
    (folder / "order.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BenchError, match=r"order\.txt is no text: it must list the names of pictures"):
        matching.listed(folder, match)


def test_folders_of_images_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed over in silence would be lacking in the numbers."""
    written(tmp_path, "a/0.png", "closed/b_pred.png")
    with pytest.raises(BenchError, match=r"cannot read the folder .*missing: No such file"):
        matching.listed(tmp_path, "missing/{name}/0")
    scandir = os.scandir

    def refusing(place: str | Path) -> object:
        if Path(place).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(BenchError, match=r"cannot read the folder .*closed: Permission denied; check its permissions"):
        matching.listed(tmp_path, "**/{name}_pred")
    monkeypatch.undo()
    written(tmp_path, os.fsdecode(b"\xe9/0.png"))
    with pytest.raises(BenchError, match="is not UTF-8: rename"):
        matching.listed(tmp_path, "{name}/0")
