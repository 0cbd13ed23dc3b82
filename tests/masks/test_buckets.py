"""Half-open buckets, counted in whole pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import masks
from masks import Bucket, MaskError


def holes(count: int, size: int = 10) -> np.ndarray:
    mask = np.zeros(size * size, np.uint8)
    mask[:count] = 1
    return mask.reshape(size, size)


def test_lower_end_is_out_and_upper_end_is_in() -> None:
    bucket = Bucket.of(10, 20)
    assert [holes(n) in bucket for n in (10, 11, 20, 21)] == [False, True, True, False]
    assert holes(100) in Bucket.of(90, 100)
    assert holes(0) not in Bucket.of(0, 40)


@given(st.integers(0, 9999), st.integers(1, 10_000), st.integers(64, 300_000))
def test_counts_are_those_of_exact_fractions(low: int, high: int, pixels: int) -> None:
    if low >= high:
        low, high = high - 1, low + 1
    bucket = Bucket.of(low / 100, high / 100)
    a, b = Fraction(low, 10_000) * pixels, Fraction(high, 10_000) * pixels
    try:
        first, last = bucket.counts(pixels)
    except MaskError:
        assert not any(a < n <= b for n in range(int(a), int(b) + 2))
        return
    assert a < first <= last <= b
    assert first - 1 <= a and last + 1 > b


@pytest.mark.parametrize("name", ["30-30", "40-20", "90-110", "0-0"])
def test_impossible_buckets(name: str) -> None:
    with pytest.raises(MaskError, match="impossible"):
        masks.parse(f"irregular/{name}")


def test_names() -> None:
    assert str(Bucket.parse("10.0-20")) == "10-20"
    assert Bucket.parse("12.5-20") == Bucket.of(12.5, 20)
    assert Bucket.parse("left") is None


def test_ratio() -> None:
    assert masks.ratio(holes(37)) == 0.37
