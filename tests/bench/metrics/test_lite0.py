"""Metrics on EfficientNet-Lite0's ImageNet weights, against timm and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor
from torch.nn import functional as F

from bench import metrics, weights
from bench.metrics import extractors, measure, measurement
from bench.metrics.measurement import _Recent

from .conftest import pictures


@pytest.fixture(scope="module")
def maps():
    """The four maps as timm gives them, of uint8 images that are enlarged to 224 px where they are smaller."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(1, 2, 3, 4)).eval()
    network.load_state_dict(dict(weights.load("efficientnet-lite0")), strict=False)

    def run(images: Tensor) -> list[np.ndarray]:
        x = images.float() / 127.5 - 1
        if x.shape[-1] < 224:
            x = F.interpolate(x, (224, 224), mode="bilinear", align_corners=False)
        with torch.no_grad():
            return [layer.double().numpy() for layer in network(x)]

    return run


@pytest.mark.parametrize("side", [64, 240])
def test_numbers_equal_an_independent_computation(maps, side: int) -> None:
    completed, truth, masks = pictures(6, side)
    ours, theirs = maps(completed), maps(truth)
    x, y = (np.concatenate([layer.mean(axis=(2, 3)) for layer in layers], axis=1) for layers in (ours, theirs))
    assert x.shape == (6, 496)
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T) + 1e-12 * np.eye(496)).real
    fid = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
    kernel = [(a @ b.T / 496 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    kid = sum((k.sum() - np.trace(k)) / 30 for k in kernel[:2]) - 2 * kernel[2].mean()
    units = [[layer / np.linalg.norm(layer, axis=1, keepdims=True) for layer in layers] for layers in (ours, theirs)]
    distance = np.mean([((a - b) ** 2).sum(axis=1).mean() for a, b in zip(*units, strict=True)])
    found = measure(completed, truth, masks, ["fid@lite0", "kid@lite0", "perceptual@lite0"])
    assert found.value("perceptual@lite0") == pytest.approx(distance, rel=1e-4)
    assert found.value("kid@lite0") == pytest.approx(kid, rel=1e-4)
    assert found.value("fid@lite0") == pytest.approx(fid, rel=1e-3)
    assert {row["extractor"] for row in found.rows} == {"efficientnet-lite0-from224-float32-57934424"}


def test_an_image_has_the_same_features_in_any_company() -> None:
    images = pictures(5, 64)[0]
    network = extractors.load("lite0")
    together = extractors.extract(network, images, batch=8)
    assert together["features"].shape == (5, 496)
    for i in range(5):
        alone = extractors.extract(network, images[i : i + 1], batch=1)
        assert torch.equal(alone["features"][0], together["features"][i])
        assert all(torch.equal(a[0], b[i]) for a, b in zip(alone["maps"], together["maps"], strict=True))


@pytest.mark.usefixtures("no_backbones")
def test_without_the_package_the_row_says_what_to_install() -> None:
    completed, truth, masks = pictures(3, 64)
    found = measure(completed, truth, masks, ["fid@lite0", "perceptual@lite0", "psnr"])
    for name in ("fid@lite0", "perceptual@lite0"):
        row = found.row(name)
        assert row["value"] is None
        assert row["note"].startswith("not computed: ") and "pip install 'face-inpaint-bench[backbones]'" in row["note"]
    assert found.value("psnr") is not None


def test_the_distance_is_called_uncalibrated() -> None:
    assert "uncalibrated" in metrics.get("perceptual@lite0").title
    assert metrics.get("u-ids@lite0").smallest_n == -(-5000 * 496 // 2048)


def test_maps_of_originals_are_made_once_for_several_cells(tmp_path, monkeypatch) -> None:
    completed, truth, masks = pictures(3, 64)
    expected = measure(completed, truth, masks, "perceptual@lite0").value("perceptual@lite0")
    seen: list[int] = []
    extract = extractors.extract
    monkeypatch.setattr(extractors, "extract", lambda *given: seen.append(len(given[1])) or extract(*given))
    monkeypatch.setattr(measurement, "RECENT", _Recent(2 << 20))  # room for the maps of three pictures, not of six
    measure(truth.flip(0), truth, masks, "perceptual@lite0", cache=tmp_path)
    assert seen == [3, 3]
    found = measure(completed, truth, masks, "perceptual@lite0", cache=tmp_path)
    assert seen == [3, 3, 3]
    assert found.value("perceptual@lite0") == expected


def test_what_is_kept_in_memory_has_a_bound() -> None:
    recent = _Recent(100)
    for name in "abc":
        recent.put(name, {"maps": [torch.zeros(10)]})  # 40 bytes
        recent.get("a")
    assert list(recent.kept) == ["c", "a"]
