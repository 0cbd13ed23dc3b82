"""Blind degradation: what is drawn, and what it does to a face."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import synthfaces
from bench.data.degradation import RECIPES, Degradation, Recipe, apply, degrade, gaussian, recipe, sample
from bench.errors import BenchError

NOTHING = Degradation(
    side=41, sigma=(0.01, 0.01), angle=0.0, veil=1.0, reduction=1.0, noise=0.0, quality=100, grey=False
)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    images = synthfaces.render(range(8), 64, 0).images
    return images.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", RECIPES)
def test_draws_fill_the_ranges_and_stay_inside(name):
    found, stream = recipe(name), rng()
    drawn = [sample(name, stream) for _ in range(4000)]
    for field in ("reduction", "noise", "sigma"):
        values = np.array([getattr(how, field) for how in drawn])
        low, high = getattr(found, field)
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
    assert {how.quality for how in drawn} == set(range(*found.quality))
    assert {how.side for how in drawn} == set(found.kernels)
    turned = [how for how in drawn if how.sigma[0] != how.sigma[1]]
    assert len(turned) / len(drawn) == pytest.approx(found.anisotropic, abs=0.04)
    assert not turned or np.ptp([how.angle for how in turned]) == pytest.approx(2 * math.pi, abs=0.05)


def test_published_ranges():
    thesis, code = RECIPES["blind"], RECIPES["vspbfr"]
    assert (thesis.sigma, thesis.reduction, thesis.noise, thesis.quality) == ((0.2, 10), (1, 8), (0, 20), (60, 100))
    assert (code.sigma, code.reduction, code.kernels) == ((0.1, 10), (0.8, 8), (39, 41))
    assert RECIPES["vspbfr-restoration"] == replace(code, haze=0.008, grey=0.008)


@pytest.mark.parametrize("rate", [0.008, 0.3])
def test_haze_and_grey_come_at_their_rates(rate):
    stream = rng(1)
    drawn = [sample(Recipe(haze=rate, grey=rate), stream) for _ in range(20000)]
    veils = [how.veil for how in drawn if how.veil != 1]
    spread = 4 * math.sqrt(rate / len(drawn))
    assert len(veils) / len(drawn) == pytest.approx(rate, abs=spread)
    assert 0.75 <= min(veils) <= max(veils) <= 0.95
    assert np.mean([how.grey for how in drawn]) == pytest.approx(rate, abs=spread)
    assert not any(sample("blind", stream).grey or sample("blind", stream).veil != 1 for _ in range(1000))


@pytest.mark.parametrize("name", RECIPES)
def test_one_seed_gives_one_result(faces, name):
    first, second, other = (degrade(faces[0], name, rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_recipes_draw_alike():
    """The order of draws does not depend on the recipe, so only the ranges make the difference."""
    for seed in range(20):
        one, two = sample("vspbfr", rng(seed)), sample("vspbfr-restoration", rng(seed))
        assert replace(two, veil=1.0, grey=False) == one
        mild = sample("mild", rng(seed))
        assert (mild.noise, mild.quality, mild.angle) == (one.noise, one.quality, one.angle)


def test_nothing_done_leaves_nearly_the_image(faces):
    face = faces[0]
    degraded, clean = apply(face, NOTHING, rng())
    assert clean is face
    assert psnr(degraded, clean) > 38  # what JPEG does to a sharp drawing at quality 100


@pytest.mark.parametrize(
    "change", [{"sigma": (4.0, 4.0)}, {"reduction": 6.0}, {"noise": 15.0}, {"quality": 60}, {"veil": 0.8}]
)
def test_each_step_takes_from_the_image(faces, change):
    best, worse = (psnr(apply(faces[1], how, rng())[0], faces[1]) for how in (NOTHING, replace(NOTHING, **change)))
    assert worse < best - 3


def test_mild_leaves_more_than_blind(faces):
    means = {}
    for name in ("mild", "blind"):
        values = [
            psnr(degrade(face, name, rng(seed))[0], face) for seed, face in enumerate(np.tile(faces, (4, 1, 1, 1)))
        ]
        means[name] = np.mean(values)
    assert means["mild"] > means["blind"] + 3


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    name=st.sampled_from(sorted(RECIPES)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size(height, width, name, seed):
    image = picture(height, width)
    degraded, clean = degrade(image, name, rng(seed))
    assert degraded.shape == clean.shape == image.shape
    assert degraded.dtype == clean.dtype == np.uint8
    np.testing.assert_array_equal(image, picture(height, width))


def test_grey_changes_both():
    image = picture(40, 40)
    degraded, clean = apply(image, replace(NOTHING, grey=True), rng())
    for result in (degraded, clean):
        assert (result == result[..., :1]).all()
    np.testing.assert_array_equal(clean[..., 0], cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    _, swapped = apply(image, replace(NOTHING, grey=True, swapped=True), rng())
    np.testing.assert_array_equal(swapped[..., 0], cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))


def test_channels_keep_their_places():
    """Red stays red in both orders; only JPEG's loss differs."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = 200
    for swapped in (False, True):
        degraded, _ = apply(image, replace(NOTHING, swapped=swapped, quality=75), rng())
        assert np.abs(degraded.astype(int) - image).max() < 6
    coloured = picture(32, 32)
    right, swapped = (apply(coloured, replace(NOTHING, swapped=s, quality=60), rng())[0] for s in (False, True))
    assert (right != swapped).any()


def test_noise_has_the_deviation_and_is_clipped():
    grey, white = np.full((200, 200, 3), 128, np.uint8), np.full((200, 200, 3), 255, np.uint8)
    luma = np.array([0.299, 0.587, 0.114])  # JPEG keeps it at full resolution, unlike the colours
    noisy = replace(NOTHING, noise=10.0)
    assert np.std(apply(grey, noisy, rng())[0] @ luma) == pytest.approx(10 * np.linalg.norm(luma), rel=0.03)
    assert apply(white, noisy, rng())[0].mean() == pytest.approx(255 - 10 / math.sqrt(2 * math.pi), abs=0.6)


@pytest.mark.parametrize("sigma", [(2.0, 2.0), (1.0, 4.0)])
def test_kernel_has_its_moments(sigma):
    angle = 0.6
    kernel = gaussian(41, sigma, angle)
    offsets = np.arange(41) - 20
    x, y = np.meshgrid(offsets, offsets)
    covariance = [[np.sum(kernel * a * b) for b in (x, y)] for a in (x, y)]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(covariance, turn @ np.diag(np.square(sigma)) @ turn.T, atol=1e-4)
    assert kernel.sum() == pytest.approx(1)


def test_round_kernels_are_the_limit_of_ellipses(faces):
    """The separable filter of a round kernel is the filter of the whole kernel."""
    round_, ellipse = (replace(NOTHING, sigma=sigma, angle=0.3) for sigma in ((3.0, 3.0), (3.0, 3.0 + 1e-9)))
    first, second = (apply(faces[2], how, rng())[0].astype(int) for how in (round_, ellipse))
    assert np.abs(first - second).max() <= 1


def test_images_of_a_memory_map(faces):
    """What a loader hands over: read-only, or a view with other strides."""
    view = np.ascontiguousarray(faces[0].transpose(2, 0, 1)).transpose(1, 2, 0)
    view.flags.writeable = False
    for name in ("blind", "vspbfr"):
        np.testing.assert_array_equal(degrade(view, name, rng())[0], degrade(faces[0], name, rng())[0])


def test_unknown_names_are_answered_with_the_list():
    with pytest.raises(BenchError, match=r"no degradation 'harsh': choose from blind, gfpgan, .*mild"):
        recipe("harsh")
    with pytest.raises(BenchError, match="no degradation 'harsh'"):
        degrade(picture(8, 8), "harsh", rng())
