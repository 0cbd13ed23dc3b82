"""Draws land in their bucket, depend on their key alone, and look like their generator."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masks
from masks import MaskError
from masks.registry import Strokes

BUCKETS = ["0-10", "10-20", "20-30", "30-40", "40-50", "50-60", "60-70", "70-80", "80-90", "90-100"]
BUCKETS += ["0-40", "40-100", "0-100", "20-40", "40-60", "0-5", "95-100"]
STROKES = [name for name, generator in masks.GENERATORS.items() if isinstance(generator, Strokes)]
ROOT = Path(__file__).parents[2]


def checked(condition: str, size: int | tuple[int, int], seed: int, index: int) -> np.ndarray:
    """A mask, after the checks that all masks must pass."""
    mask = masks.draw(condition, size, seed, index)
    assert mask.shape == ((size, size) if isinstance(size, int) else size)
    assert mask.dtype == np.uint8 and mask.max() == 1 and mask.flags.c_contiguous
    bucket = masks.parse(condition).bucket
    assert bucket is None or mask in bucket, f"{condition} {size} {seed} {index}: {masks.ratio(mask)}"
    return mask


def reachable(name: str, bucket: str) -> bool:
    return not (name == "lama-box" and bucket in ("90-100", "95-100"))


@pytest.mark.parametrize("name", [*STROKES, "rectangle"])
def test_every_draw_lands_in_its_bucket(name: str) -> None:
    for bucket in BUCKETS:
        if reachable(name, bucket):
            for index in range(4):
                checked(f"{name}/{bucket}", 256, 0, index)


@pytest.mark.slow
def test_a_hundred_thousand_draws() -> None:
    names = [*STROKES, "rectangle"]
    cases = [f"{name}/{bucket}" for name in names for bucket in BUCKETS if reachable(name, bucket)]
    for index in range(-(-100_000 // len(cases))):
        for condition in cases:
            checked(condition, 256, 1, index)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(STROKES),
    st.integers(0, 99),
    st.integers(1, 100),
    st.sampled_from([16, 31, 64, 100, (48, 80)]),
    st.integers(-5, 2**70),
    st.integers(0, 10**9),
)
def test_any_bucket_at_any_size(
    name: str, low: int, high: int, size: int | tuple[int, int], seed: int, index: int
) -> None:
    if low >= high:
        low, high = high - 1, low + 1
    try:
        condition = str(masks.parse(f"{name}/{low}-{high}"))
        checked(condition, size, seed, index)
    except MaskError as error:
        assert name == "lama-box" and "margin" in str(error)


@pytest.mark.parametrize("name", ["irregular/25-25.05", "freeform/25-25.05", "exegan/0-0.1", "gconv/99.9-100"])
def test_narrow_buckets_are_met_without_loose_pixels(name: str) -> None:
    for index in range(3):
        mask = checked(name, 256, 2, index)
        if masks.ratio(mask) < 0.5:
            _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
            assert stats[1:, cv2.CC_STAT_AREA].min() >= 4


def test_a_draw_depends_on_its_key_alone() -> None:
    keys = [("freeform/60-70", 256, 5, 9), ("irregular/10-20", 64, 5, 9), ("lama-wide", (64, 96), 5, 2)]
    first = [masks.draw(*key) for key in keys]
    again = [masks.draw(*key) for key in reversed(keys)][::-1]
    script = f"import masks; [print(masks.draw(*key).tobytes().hex()) for key in {keys!r}]"
    other = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    for one, two, three in zip(first, again, other.stdout.split(), strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.tobytes().hex() == three


def test_seed_index_size_and_condition_all_matter() -> None:
    base = masks.draw("irregular/20-30", 64, 0, 0)
    for other in (("irregular/20-30", 64, 1, 0), ("irregular/20-30", 64, 0, 1), ("irregular/20-31", 64, 0, 0)):
        assert not np.array_equal(base, masks.draw(*other))


@pytest.mark.parametrize("name", ["freeform", "irregular", "exegan", "lama-wide"])
@pytest.mark.parametrize("bucket", ["30-60", "55-65"])
def test_ratios_in_a_bucket_follow_the_generator(name: str, bucket: str) -> None:
    """Growth keeps the ratios that the generator itself has in the bucket: means within 4 standard errors + 0.4 %."""
    own = np.array([masks.ratio(masks.draw(name, 64, 3, i)) for i in range(1500)])
    low, high = (int(end) / 100 for end in bucket.split("-"))
    own = own[(own > low) & (own <= high)]
    drawn = np.array([masks.ratio(masks.draw(f"{name}/{bucket}", 64, 3, i)) for i in range(300)])
    error = np.hypot(own.std() / len(own) ** 0.5, drawn.std() / len(drawn) ** 0.5)
    assert abs(own.mean() - drawn.mean()) < 4 * error + 0.004


def test_growth_keeps_the_generators_shapes() -> None:
    """Length of the hole's border and number of known regions, beside the generator's own masks of that bucket."""

    def look(mask: np.ndarray) -> tuple[int, int]:
        border = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
        return border, cv2.connectedComponents(1 - mask, connectivity=4)[0]

    bucket = masks.parse("freeform/70-80").bucket
    assert bucket is not None
    drawn = (masks.draw("freeform", 128, 4, i) for i in range(1600))
    own = np.array([look(mask) for mask in drawn if mask in bucket])
    grown = np.array([look(masks.draw("freeform/70-80", 128, 4, i)) for i in range(300)])
    np.testing.assert_allclose(grown.mean(0), own.mean(0), rtol=0.15)


@pytest.mark.parametrize("bucket", ["0-40", "40-100"])
def test_even_ratios(bucket: str) -> None:
    low, high = (int(end) / 100 for end in bucket.split("-"))
    ratios = np.array([masks.ratio(masks.draw(f"even/{bucket}", 64, 0, i)) for i in range(400)])
    quarters = np.histogram(ratios, np.linspace(low, high, 5))[0]
    assert quarters.min() > 60


def test_plain_shapes() -> None:
    assert masks.ratio(masks.draw("center/25", 256, 0, 0)) == 0.25
    assert masks.draw("center/25", 256, 0, 0)[64:192, 64:192].all()
    assert masks.draw("half/left", 64, 0, 0)[:, :32].all() and masks.ratio(masks.draw("half/left", 64, 0, 0)) == 0.5
    frame = masks.draw("outpaint/75", 256, 0, 0)
    assert masks.ratio(frame) == 0.75 and not frame[64:192, 64:192].any()
    bands = checked("outpaint/30-40", 256, 0, 1)
    assert bands[[0, -1]].any() or bands[:, [0, -1]].any()
    assert {masks.draw("half", 16, 0, i).tobytes() for i in range(40)} == {
        masks.draw(f"half/{side}", 16, 0, 0).tobytes() for side in ("left", "right", "top", "bottom")
    }
    assert 0.14 < masks.ratio(masks.draw("gconv-box", 256, 0, 0)) <= 0.25


def label_map(size: int = 64) -> np.ndarray:
    labels = np.zeros((size, size), np.int64)
    labels[size // 4 : -size // 4, size // 4 : -size // 4] = 1
    labels[: size // 4] = 17
    labels[size // 2, size // 2] = 10
    return labels


def test_semantic_regions() -> None:
    hair = masks.draw("hair", 64, 0, 0, semantics=label_map())
    np.testing.assert_array_equal(hair, label_map() == 17)
    assert masks.draw("face", 128, 0, 0, semantics=label_map()).sum() == 64 * 64
    assert masks.draw("nose", 64, 0, 0, semantics=label_map()).sum() == 1
    assert masks.draw("hair/20-30", 64, 0, 0, semantics=label_map()).sum() == 16 * 64


@pytest.mark.parametrize(
    ("condition", "labels", "message"),
    [
        ("hair", None, "needs a label map"),
        ("glasses", label_map(), "no 'glasses'"),
        ("hair/60-70", label_map(), "outside the bucket"),
        ("hair", label_map().astype(float), "integers"),
        ("hair", label_map() + 5, "labels are 0 to 18"),
        ("hair", label_map()[:32], "another shape"),
    ],
)
def test_bad_label_maps(condition: str, labels: np.ndarray | None, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        masks.draw(condition, 64, 0, 0, semantics=labels)


@pytest.mark.parametrize("size", [0, -4, 7, 2.5, "64", None, (64,), (64, 2), (1, 2, 3)])
def test_wrong_sizes(size: object) -> None:
    with pytest.raises(MaskError, match="size"):
        masks.draw("irregular", size, 0, 0)  # type: ignore[arg-type]


def test_wrong_seed_and_index() -> None:
    with pytest.raises(MaskError, match="seed"):
        masks.draw("irregular", 64, 0.5, 0)  # type: ignore[arg-type]
    with pytest.raises(MaskError, match="index"):
        masks.draw("irregular", 64, 0, -1)


def test_a_bucket_without_a_whole_pixel() -> None:
    with pytest.raises(MaskError, match="no whole number of pixels"):
        masks.draw("irregular/10-10.1", 16, 0, 0)


def test_masks_scale_with_the_size() -> None:
    """Brush widths follow the size: thin strokes cover the same share at 64 and at 256 pixels."""
    small, large = ([masks.ratio(masks.draw("lama-narrow", size, 0, i)) for i in range(150)] for size in (64, 256))
    assert abs(np.mean(small) - np.mean(large)) < 0.04


@pytest.mark.parametrize("size", [(64, 128), (128, 64)])
@pytest.mark.parametrize("name", ["irregular", "irregular/20-30", "gconv", "freeform", "rfr", "lama-wide"])
def test_holes_reach_all_of_a_picture_that_is_not_square(name: str, size: tuple[int, int]) -> None:
    """The outer eighths of its long side have half of the mean share at least."""
    share = np.mean([masks.draw(name, size, 0, i) for i in range(150)], axis=0).mean(np.argmin(size))
    eighths = share.reshape(8, -1).mean(1)
    assert min(eighths[0], eighths[-1]) > 0.5 * eighths.mean()


def test_nothing_of_the_project_is_imported_but_the_ground() -> None:
    script = "import sys, masks; print([m for m in sys.modules if m.split('.')[0] in ('torch', 'bench', 'methods')])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['bench', 'bench.errors', 'bench.pictures']"
