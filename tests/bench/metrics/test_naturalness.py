"""NIQE against the golden file of BasicSR's code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import weights
from bench.errors import BenchError
from bench.golden import Inputs
from bench.metrics import measure, naturalness
from bench.metrics.score import TooSmall

from .conftest import pictures


def picture(size: int, noise: float) -> torch.Tensor:
    inputs = Inputs(1)
    values = 127.5 + 80 * inputs.image(size) + noise * inputs.latent(3, size, size)
    return values.round().clamp(0, 255).to(torch.uint8)


def test_luma_and_features_equal_the_golden_file(golden):
    outputs, _ = golden("niqe")
    luma = naturalness.luma(picture(256, 12))
    np.testing.assert_array_equal(luma[:, :, ::8, ::8], outputs["luma"])
    assert np.abs(naturalness.features(luma)[0].numpy() - outputs["features"]).max() < 5e-6


def test_scores_equal_the_golden_file(golden):
    """Needs the pristine parameters, which are a pretrained file."""
    try:
        model = naturalness.read_model(weights.path("niqe"))
    except BenchError:
        pytest.skip("NIQE's parameters are not on this machine")
    outputs, _ = golden("niqe")
    for (size, noise), expected in zip([(256, 12), (512, 12), (256, 3), (300, 30)], outputs["niqe"], strict=True):
        assert naturalness.niqe(picture(size, noise), *model).item() == pytest.approx(expected, abs=5e-3)


@pytest.fixture
def model(monkeypatch, tmp_path):
    """Parameters in the official layout, made from the golden picture."""
    blocks = naturalness.features(naturalness.luma(picture(512, 5)))[0]
    np.savez(tmp_path / "niqe.npz", mu_pris_param=blocks.mean(0)[None], cov_pris_param=torch.cov(blocks.T))
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "niqe.npz")
    return blocks


def test_score_by_the_formula(model):
    images = torch.cat([picture(288, 12), picture(288, 40)])
    result = measure(images, None, None, ["niqe"])
    for features, value in zip(naturalness.features(naturalness.luma(images)), result.per_image["value"], strict=True):
        c = (np.cov(model.numpy(), rowvar=False) + np.cov(features.numpy(), rowvar=False)) / 2
        # NumPy 2.5's own limit, 1e-15, keeps some of the directions in which nothing varies
        shift = (model.mean(0) - features.mean(0)).numpy()
        assert value == pytest.approx(np.sqrt(shift @ np.linalg.pinv(c, rcond=1e-12) @ shift), rel=1e-6)
    assert result.rows[0]["note"] == ""
    assert result.rows[0]["extractor"].startswith("niqe-live-")


def test_small_flat_and_damaged(model, tmp_path):
    noisy = measure(picture(256, 12), None, None, ["niqe"]).rows[0]
    assert noisy["note"] == "noisy: blocks of 96 pixels, fewer than 3 a side"
    flat = measure(torch.zeros(2, 3, 192, 192, dtype=torch.uint8), None, None, ["niqe"]).rows[0]
    assert flat["value"] is None
    with pytest.raises(TooSmall, match="192 pixels or more a side, got 300x191"):
        naturalness.features(torch.zeros(1, 1, 191, 300, dtype=torch.float64))
    small = measure(*pictures(3, 64)[:2], None, ["niqe", "l1"])
    assert small.rows[0]["note"].startswith("not computed: NIQE needs")
    assert small.value("l1") > 0
    (tmp_path / "niqe.npz").write_bytes(b"nothing")
    assert "does not hold NIQE's parameters" in measure(picture(256, 3), None, None, ["niqe"]).rows[0]["note"]
