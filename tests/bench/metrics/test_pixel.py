"""Pixel metrics against scikit-image and against the authors' numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2gray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.metrics import pixel
from bench.metrics.score import TooSmall

from .conftest import pictures


@pytest.fixture(scope="module")
def pair():
    completed, truth, masks = pictures(3, 96)
    return completed, truth, masks.bool()


def each(pair, reference):
    completed, truth, _ = pair
    rows = zip(completed.permute(0, 2, 3, 1).numpy(), truth.permute(0, 2, 3, 1).numpy(), strict=True)
    return [reference(a, b) for a, b in rows]


def test_psnr_equals_scikit_image(pair):
    expected = each(pair, lambda a, b: peak_signal_noise_ratio(b, a))
    assert pixel.psnr(*pair).tolist() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (pixel.ssim, {}),
        (pixel.ssim_rgb51, {"win_size": 51}),
        (pixel.ssim_wang, {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
    ],
)
def test_ssim_equals_scikit_image(pair, function, options):
    expected = each(pair, lambda a, b: structural_similarity(a, b, channel_axis=-1, **options))
    assert function(*pair).tolist() == pytest.approx(expected, abs=1e-10)


def test_metrics_of_the_hole_equal_scikit_image(pair):
    completed, truth, masks = (part.clone() for part in pair)
    masks[1] = False
    masks[1, :, :5, 60:] = True  # a hole at the border, where the map mirrors the picture
    completed[1, :, :5, 60:] = completed[0, :, 40:45, 30:66]
    pair, holes = (completed, truth, masks), [mask[0].numpy() for mask in masks]
    maps = each(pair, lambda a, b: structural_similarity(a, b, channel_axis=-1, full=True)[1])
    expected = [values[hole].mean() for values, hole in zip(maps, holes, strict=True)]
    assert pixel.ssim_hole(completed, truth, masks).tolist() == pytest.approx(expected, abs=1e-10)
    inside = zip(each(pair, lambda a, b: a), each(pair, lambda a, b: b), holes, strict=True)
    expected = [peak_signal_noise_ratio(b[hole], a[hole]) for a, b, hole in inside]
    assert pixel.psnr_hole(completed, truth, masks).tolist() == pytest.approx(expected, abs=1e-10)


def test_what_lies_outside_the_hole_counts_for_nothing():
    completed, truth, masks = pictures(2, 64)
    masks, other = masks.bool(), truth.clone()
    other[..., :8] = 255 - other[..., :8]  # 8 columns, further from the hole than a window reaches
    assert pixel.psnr_hole(other, truth, masks).tolist() == [math.inf] * 2
    assert pixel.ssim_hole(other, truth, masks).tolist() == [1] * 2
    assert (pixel.psnr(completed, truth) > pixel.psnr_hole(completed, truth, masks)).all()


def test_grey_ssim_equals_scikit_image(pair):
    def grey(a, b):
        return structural_similarity(rgb2gray(a), rgb2gray(b), win_size=51, data_range=1)

    assert pixel.ssim_ec51(*pair).tolist() == pytest.approx(each(pair, grey), abs=1e-8)


def test_published_conventions(golden):
    outputs, _ = golden("metric-conventions")
    from bench.golden import Inputs

    results, references = [], []
    for seed in range(1, 5):
        inputs = Inputs(seed)
        reference = (inputs.image(256) + 1) / 2
        noise = 0.1 * inputs.mask(256) * inputs.latent(1, 3, 256, 256)
        references.append((reference * 255).round())
        results.append(((reference + noise).clamp(0, 1) * 255).round())
    result, reference = torch.cat(results).to(torch.uint8), torch.cat(references).to(torch.uint8)
    for name, function, tolerance in (
        ("edgeconnect_psnr", pixel.psnr_grey, 1e-6),
        ("edgeconnect_ssim", pixel.ssim_ec51, 1e-6),
        ("edgeconnect_mae", pixel.mae_edgeconnect, 1e-6),
        ("aot_psnr", pixel.psnr, 1e-10),
        ("aot_ssim", pixel.ssim, 1e-10),
        ("aot_mae", pixel.mae_aot, 1e-6),
        ("lama_ssim", pixel.ssim_lama, 1e-5),  # the authors' code works in float32
    ):
        assert np.abs(function(result, reference).numpy() - outputs[name]).max() < tolerance, name


def test_variants_differ(pair):
    """Names that a paper could mix up give different numbers."""
    variants = [pixel.ssim, pixel.ssim_wang, pixel.ssim_lama, pixel.ssim_ec51, pixel.ssim_rgb51]
    variants += [pixel.l1, pixel.l1_hole, pixel.mae_aot, pixel.mae_edgeconnect]
    values = [function(*pair).mean().item() for function in variants]
    assert min(abs(a - b) for i, a in enumerate(values) for b in values[:i]) > 1e-4


def test_l1_by_hand():
    truth = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    completed = truth.clone()
    completed[:, :, 0, 0] = 51
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[:, :, 0, :2] = True
    assert pixel.l1(completed, truth).item() == pytest.approx(0.2 / 16)
    assert pixel.l1_hole(completed, truth, mask).item() == pytest.approx(0.2 / 2)


def test_constant_images_have_defined_values():
    black = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    white = torch.full_like(black, 255)
    assert pixel.psnr(black, black).item() == math.inf
    assert pixel.psnr(white, black).item() == 0
    assert pixel.ssim(black, black).item() == 1
    assert 0 < pixel.ssim(white, black).item() < 1e-3
    assert pixel.mae_aot(black, black).item() == 0
    assert pixel.mae_aot(white, black).item() == 1
    for function in (pixel.l1_hole, pixel.psnr_hole, pixel.ssim_hole):
        assert math.isnan(function(white, black, torch.zeros(1, 1, 64, 64, dtype=torch.bool)).item())


def test_a_window_larger_than_the_picture_is_refused():
    small = torch.zeros(1, 3, 40, 64, dtype=torch.uint8)
    with pytest.raises(TooSmall, match=r"window of 51 needs 51 pixels or more a side, got 64x40"):
        pixel.ssim_rgb51(small, small)
