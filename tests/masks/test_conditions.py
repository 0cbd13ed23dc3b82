"""Names of conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import masks
from masks import MaskError

NAMES = [
    "irregular",
    "irregular/10-20",
    "freeform/60-70",
    "easy/0-40",
    "center/25",
    "half/left",
    "half",
    "outpaint/25",
    "outpaint/20-30",
    "hair",
    "face/10-60",
    "folder:some/where",
    "folder:/some/where/20-30",
    "folder:some/where/20-30/border",
    "folder:some/where/inside/>127",
    "folder:some/20-30/",
    "folder:some/20-30//40-50",
    "frozen:some/20-30/set.npz",
]


@pytest.mark.parametrize("name", NAMES)
def test_name_comes_back(name: str) -> None:
    condition = masks.parse(name)
    assert str(condition) == name
    assert masks.parse(str(condition)) == condition
    assert hash(condition) == hash(masks.parse(name))


def test_folder_with_the_name_of_a_bucket() -> None:
    condition = masks.parse("folder:some/20-30/")
    assert condition.argument == "some/20-30/" and condition.bucket is None


def test_equal_buckets_are_one_condition() -> None:
    assert masks.parse("irregular/10.0-20.00") == masks.parse("irregular/10-20")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "no name"),
        ("iregular/10-20", "no mask generator 'iregular'"),
        ("irregular/10-20/30", "too many slashes"),
        ("irregular/left", "means nothing here"),
        ("irregular/30-30", "impossible"),
        ("center/0", "no percentage"),
        ("center/x", "no percentage"),
        ("center/20-30", "no bucket"),
        ("half/middle", "no half"),
        ("half/10-20", "no bucket"),
        ("outpaint/120", "no percentage"),
        ("bbox/60-70", "cover 1[78]"),
        ("lama-box/90-100", "at most 85 %"),
        ("hair/left", "means nothing here"),
        ("folder:", "names no folder"),
        ("folder", "names no folder"),
        ("frozen", "names no frozen set"),
        ("frozen:set.npz/10-20", "names no frozen set"),
        ("rectangle/50-50.0001", "no whole number of pixels"),
    ],
)
def test_bad_names(name: str, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        masks.parse(name)


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_a_mask_error(name: str) -> None:
    try:
        condition = masks.parse(name)
    except MaskError:
        return
    assert masks.parse(str(condition)) == condition


def test_every_generator_tells_what_it_is() -> None:
    for name, generator in masks.GENERATORS.items():
        assert generator.description and generator.source, name
        assert "\n" not in generator.description + generator.source
