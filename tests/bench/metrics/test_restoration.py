"""The metrics of restoration papers against BasicSR's and VQFR's numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench import metrics, weights
from bench.errors import BenchError
from bench.golden import STRIDE, Inputs
from bench.metrics import naturalness, pixel

from .conftest import pictures


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Results and truths of the golden file: four pictures of 512 pixels under growing noise."""

    def bytes_of(values: torch.Tensor) -> torch.Tensor:
        return ((values + 1) / 2 * 255).round().clamp(0, 255).to(torch.uint8)

    results, truths = [], []
    for j in range(4):
        inputs = Inputs(1 + j)
        truth = inputs.image(512)
        results.append(bytes_of((truth + 0.05 * (j + 1) * inputs.latent(1, 3, 512, 512)).clamp(-1, 1)))
        truths.append(bytes_of(truth))
    return torch.cat(results), torch.cat(truths)


@pytest.mark.parametrize(
    ("name", "output", "tolerance"),
    [
        ("psnr", "psnr", 1e-12),
        ("ssim@wang", "ssim", 1e-12),
        ("psnr@y", "psnr_y", 1e-6),  # these four: the authors' code works in float32
        ("ssim@y", "ssim_y", 1e-7),
        ("psnr@matched", "psnr_matched", 1e-6),
        ("ssim@matched", "ssim_matched", 1e-7),
    ],
)
def test_published_scripts(golden, pair, name, output, tolerance):
    outputs, _ = golden("restoration-metrics")
    assert np.abs(metrics.get(name).load()(*pair, None).numpy() - outputs[output]).max() < tolerance


def test_what_niqe_is_made_of(golden, pair):
    outputs, _ = golden("restoration-metrics")
    exact, grey = pixel.luma(pair[0][3:]), naturalness.luma(pair[0][3:])
    assert np.abs(exact[0, 0, ::4, ::4].numpy()[::STRIDE, ::STRIDE] - outputs["luma"]).max() < 5e-5
    half = (naturalness._halve(grey) / 255)[0, 0].numpy()
    assert np.abs(half[::STRIDE, ::STRIDE] - outputs["imresize_half"]).max() < 1e-6
    block = (grey[:, :, :96, :96] - 128) / 64
    assert np.abs(naturalness._block_features(block)[0, 0].numpy() - outputs["feature"]).max() < 1e-6


def test_niqe(golden, pair):
    """Needs the pristine parameters, which are a pretrained file."""
    try:
        model = naturalness.read_model(weights.path("niqe"))
    except BenchError:
        pytest.skip("NIQE's parameters are not on this machine")
    outputs, _ = golden("restoration-metrics")
    assert naturalness.niqe(pair[0], *model).tolist() == pytest.approx(outputs["niqe"].tolist(), abs=5e-3)


def test_matching_forgives_a_cast_of_colour():
    truth = pictures(2, 64)[1]
    shifted = (truth.double() * 0.8 + torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1)).round().to(torch.uint8)
    assert (pixel.psnr_matched(shifted, truth) > pixel.psnr(shifted, truth) + 10).all()
    assert (pixel.ssim_matched(shifted, truth) > pixel.ssim_wang(shifted, truth)).all()


def test_matching_of_equal_images_changes_nothing():
    truth = pictures(2, 64)[1]
    assert pixel.psnr_matched(truth, truth).min() > 200
    assert pixel.ssim_matched(truth, truth).tolist() == pytest.approx([1, 1])


def test_a_constant_result_cannot_be_matched():
    truth = pictures(1, 64)[1]
    flat = torch.full_like(truth, 90)
    assert math.isnan(pixel.psnr_matched(flat, truth).item())
    assert math.isnan(pixel.ssim_matched(flat, truth).item())


def test_luma_leaves_out_colour():
    """A change of hue at the same luma costs PSNR in RGB only."""
    truth = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    other = truth.clone()
    other[:, 0] += 40
    other[:, 1] -= round(40 * pixel.LUMA[0] / pixel.LUMA[1])
    assert pixel.psnr_y(other, truth).item() > pixel.psnr(other, truth).item() + 20
    white, black = torch.full_like(truth, 255), torch.zeros_like(truth)
    assert pixel.luma(white).unique().tolist() == pytest.approx([235])
    assert pixel.luma(black).unique().tolist() == [16]


def test_variants_differ(pair):
    """Names that a paper could mix up give different numbers."""
    for family in ("psnr", "ssim"):
        names = [n for n in metrics.names() if n.partition("@")[0] == family and not metrics.get(n).needs_mask]
        values = [metrics.get(name).load()(pair[0][:1], pair[1][:1], None).item() for name in names]
        assert min(abs(a - b) for i, a in enumerate(values) for b in values[:i]) > 1e-4
