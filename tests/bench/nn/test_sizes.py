"""Sizes that networks take: what is among them, in what words, and which are near."""

from __future__ import annotations

import pytest
import torch

from bench.errors import BenchError
from bench.nn.sizes import Sizes, nearest

WORDS = {
    Sizes(16): "images with sides that are multiples of 16",
    Sizes(8, smallest=33): "images with sides that are multiples of 8 from 40 on",
    Sizes(smallest=8, powers=True): "images with sides that are powers of two from 8 on",
    Sizes(only=96): "images of 96 x 96",
    Sizes(16, only=96, option="side"): "images of 96 x 96, as its option `side` says",
    Sizes(8, square=True): "square images with sides that are multiples of 8",
    Sizes(16, only=100, option="side"): "images with sides that are multiples of 16",  # no size fits
}


@pytest.mark.parametrize("sizes", WORDS)
def test_words(sizes: Sizes) -> None:
    assert str(sizes) == WORDS[sizes]


@pytest.mark.parametrize(
    ("sizes", "inside", "outside"),
    [
        (Sizes(), {1, 33, 2048}, set()),
        (Sizes(8, smallest=33), {40, 48}, {32, 33, 44}),
        (Sizes(smallest=8, powers=True), {8, 64, 1024}, {4, 96, 100}),
        (Sizes(4, only=64), {64}, {32, 60, 128}),
        (Sizes(16, only=100), set(), {96, 100}),
    ],
)
def test_members(sizes: Sizes, inside: set[int], outside: set[int]) -> None:
    assert {side for side in inside | outside if side in sizes} == inside


def test_both_sides_are_checked() -> None:
    sizes = Sizes(16)
    sizes.check(torch.zeros(1, 3, 48, 64), "it")
    for height, width in ((40, 64), (64, 40)):
        with pytest.raises(BenchError, match=f"^it takes images with sides .* of 16, not {height} x {width}$"):
            sizes.check(torch.zeros(1, 3, height, width), "it")


def test_some_take_squares_alone() -> None:
    assert (48, 64) in Sizes(16) and (48, 40) not in Sizes(16)
    assert (48, 64) not in Sizes(16, square=True) and 48 in Sizes(16, square=True)
    assert (96, 64) not in Sizes(only=96)
    with pytest.raises(BenchError, match=r"^it takes square images with sides .* of 16, not 48 x 64$"):
        Sizes(16, square=True).check(torch.zeros(1, 3, 48, 64), "it")


def test_multiples_around_other_sizes() -> None:
    assert Sizes(16).around((100, 60)) == [(96, 48), (112, 64)]
    assert Sizes(64).around((100, 60)) == [64, (128, 64)]
    assert Sizes(4, smallest=100).around((100, 60)) == [100]


@pytest.mark.parametrize(
    ("side", "sizes", "found"),
    [
        (100, Sizes(16), [96, 112]),
        (40, Sizes(64), [64]),  # suites begin at 32 px
        (2040, Sizes(64), [1984, 2048]),
        (100, Sizes(4096), []),
        (100, Sizes(only=256), [256]),
        (512, Sizes(only=256), [256]),
    ],
)
def test_nearest(side: int, sizes: Sizes, found: list[int]) -> None:
    assert nearest(side, sizes.__contains__) == found
