from __future__ import annotations

import pytest

from bench.data.numbering import numbered


@pytest.mark.parametrize(
    "ids",
    [
        ["0.jpg", "1.jpg", "2.jpg"],
        ["00001.jpg", "00002.jpg", "00003.jpg"],
        ["imgHQ00000.png", "imgHQ00001.png", "imgHQ00002.png"],
        ["a/1.png", "b/2.png", "b/3.png"],
    ],
)
def test_the_first_or_the_last_tells(ids: list[str]) -> None:
    assert numbered(ids, 3) == dict(enumerate(ids))


@pytest.mark.parametrize(
    "ids",
    [
        ["1.jpg", "2.jpg"],
        ["0.jpg", "3.jpg"],
        ["0.jpg", "a.jpg"],
        ["a/0.jpg", "b/0.jpg"],
        ["anna_0.jpg", "bob_1.jpg"],
        ["1.jpg", "3.jpg", "4.jpg"],  # of a larger data set
    ],
)
def test_names_that_do_not_tell(ids: list[str]) -> None:
    assert numbered(ids, 3) is None
