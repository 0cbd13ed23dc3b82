"""Numbered results and the list that says whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import ordered
from bench.errors import BenchError

IMAGES = ["anna", "bob", "im.0", "im.1"]


def test_numbers_are_lines_from_0_or_from_1(tmp_path: Path) -> None:
    path = tmp_path / "test.flist"
    path.write_text("/data/im.1.png\nsub/bob.jpg\n\nanna\nim.0.png\n")
    lines = ["im.1", "bob", "anna", "im.0"]
    from_0 = {f"{i:06d}": name for i, name in enumerate(lines)}
    assert ordered.named(sorted(from_0), path, IMAGES) == (from_0, 4)
    assert ordered.named(["img10", "img0"][1:], path, IMAGES) == ({"img0": "im.1"}, 4)
    assert ordered.named([f"{i}" for i in (1, 2, 3, 4)], path, IMAGES)[0]["4"] == "im.0"
    assert ordered.named(["4", "2"], path, IMAGES) == ({"2": "bob", "4": "im.0"}, 4)


@pytest.mark.parametrize("names", [["1", "2"], ["0", "4"], ["0", "5"], ["0_inpaint", "1_inpaint"], ["a0", "b0"]])
def test_what_tells_no_line_is_refused(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "order.txt").write_text("\n".join(IMAGES))
    with pytest.raises(BenchError, match=r"the names of the results, such as .*, do not tell their lines"):
        ordered.named(names, tmp_path / "order.txt", IMAGES)


def test_lines_that_name_no_image_or_one_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "order.txt"
    for text, message in (
        ("anna\nanna\nbob", "names anna 2 times"),
        ("carl\nbob", "the line carl of .* names none of the originals"),
        ("anna\nx/anna.png", "two lines of .* name one original"),
    ):
        path.write_text(text)
        with pytest.raises(BenchError, match=message):
            ordered.named(["0", "1"], path, IMAGES)
