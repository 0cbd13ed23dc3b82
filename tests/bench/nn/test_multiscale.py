"""Discriminators at several scales: what each sees, and losses on numbers that can be worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bench import weights
from bench.nn.multiscale import LAYERS, Discriminator, VGGLoss, least_squares, matching
from bench.nn.perceptual import VGGFeatures
from tests import made_up_weights


def test_the_last_scale_sees_the_full_size_and_comes_first() -> None:
    torch.manual_seed(0)
    judge, images = Discriminator(3, 4), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        full, half = judge(images)
        assert [tuple(one.shape[1:]) for one in full] == [
            (4, 33, 33), (8, 17, 17), (16, 9, 9), (32, 10, 10), (1, 11, 11),
        ]  # fmt: skip
        assert torch.equal(full[0], judge.scale1_layer0(images))
        small = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)
        assert torch.equal(half[0], judge.scale0_layer0(small))
        assert small[0, 0, 0, 0] == pytest.approx(images[0, 0, :2, :2].mean().item())


def test_channels_are_doubled_up_to_a_limit() -> None:
    with torch.device("meta"):
        judge = Discriminator(3, 256, scales=1)
    assert [judge.get_submodule(f"scale0_layer{i}.0").weight.shape[0] for i in range(5)] == [256, 512, 512, 512, 1]


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    judge = Discriminator(3, 4, scales=1, spectral=True)
    for _ in range(100):
        judge(torch.rand(1, 3, 32, 32))
    for i in range(5):
        weight = judge.get_submodule(f"scale0_layer{i}.0").weight
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.01)


def maps(*values: float) -> list[list[torch.Tensor]]:
    """Of two scales with two layers and logits each."""
    return [[torch.full((1, 1, 2, 2), value) for value in values], [torch.full((1, 1, 1, 1), v) for v in values]]


def test_least_squares_are_summed_over_the_scales() -> None:
    judged = maps(5.0, 7.0, 0.5)
    assert least_squares(judged, True).item() == pytest.approx(2 * 0.25)
    judged[1][-1] = torch.full((1, 1, 1, 1), 3.0)
    assert least_squares(judged, False).item() == pytest.approx(0.25 + 9)


def test_matching_leaves_the_logits_out() -> None:
    assert matching(maps(1.0, 2.0, 9.0), maps(0.0, 4.0, 0.0)).item() == pytest.approx(4 * (1 + 2) / 2)


def test_the_perceptual_loss_weighs_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    output, target = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network = VGGFeatures(LAYERS)
    with torch.no_grad():
        differences = [F.l1_loss(a, b) for a, b in zip(network(output), network(target), strict=True)]
        found = VGGLoss("official")(output, target)
    expected = sum(share * one for share, one in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), differences, strict=True))
    assert found.item() == pytest.approx(float(expected), rel=1e-5)
