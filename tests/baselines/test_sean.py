"""SEAN: codes of regions, what styles and layout do in its norms, what the discriminators see, what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines.sean import SEAN
from baselines.sean.networks import ACE, LABELS, NORMS, Discriminator, StyleEncoder, maps
from baselines.sean.training import Look, SEANStage, matching, started
from bench import golden, weights
from bench.batch import Noise
from bench.nn.celebamask import planes
from bench.nn.multiscale import LAYERS
from bench.nn.perceptual import VGGFeatures
from tests import made_up_weights
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> SEAN:
    torch.manual_seed(0)
    return SEAN.create("tiny", **options)


def test_the_released_names_fit() -> None:
    found = {key: shape for key, shape, _ in golden.read_keys(KEYS / "sean.generator.keys.csv")}
    with torch.device("meta"):
        method = SEAN.create()
        method.load_official({key: torch.empty(shape) for key, shape in found.items()})
    assert {key: tuple(value.shape) for key, value in method.generator.state_dict().items()} == found


def two(left: int, right: int, size: int = 32) -> torch.Tensor:
    """Planes of a map with one label in each half."""
    found = torch.zeros(1, LABELS, size, size)
    found[:, left, :, : size // 2] = found[:, right, :, size // 2 :] = 1
    return found


def test_a_code_is_the_mean_over_its_region_and_0_where_there_is_none() -> None:
    encoder, features = StyleEncoder(2, 3), torch.randn(1, 3, 16, 16)
    encoder.model = nn.Identity()
    codes = encoder(features, two(4, 7))
    torch.testing.assert_close(codes[0, 4], features[0, :, :, :8].mean((1, 2)))
    torch.testing.assert_close(codes[0, 7], features[0, :, :, 8:].mean((1, 2)))
    assert codes.count_nonzero() == 2 * 3


def test_a_pixel_has_the_style_of_its_region() -> None:
    torch.manual_seed(0)
    layer, codes, labels = ACE(2, 4, 5, styled=True), torch.randn(1, LABELS, 5), two(4, 7)
    labels[..., 0, :] = 0  # without a label
    with torch.no_grad():
        styles = layer.styles(labels, codes)
        for label, place in ((4, (1, 3)), (7, (5, 30))):
            expected = F.relu(layer.get_submodule(f"fc_mu{label}")(codes[0, label]))
            torch.testing.assert_close(styles[0, :, *place], expected)
        assert styles[0, :, 0].count_nonzero() == 0


def test_style_and_layout_are_mixed_by_learned_shares() -> None:
    torch.manual_seed(0)
    layer, x, labels = ACE(2, 4, 5, styled=True).eval(), torch.randn(1, 2, 16, 16), two(4, 7)
    codes, noise = torch.randn(1, LABELS, 5), torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        layer.blending_gamma.fill_(50)  # the style alone
        layer.blending_beta.fill_(-50)  # the layout alone
        layer.noise_var.copy_(torch.tensor([0.0, 2.0]))
        small = F.interpolate(labels, (16, 16), mode="nearest")
        gamma = layer.conv_gamma(layer.styles(small, codes))
        beta = layer.Spade.mlp_beta(layer.Spade.mlp_shared(small))
        noisy = torch.cat([x[:, :1], x[:, 1:] + 2 * noise], dim=1)
        expected = layer.param_free_norm(noisy) * (1 + gamma) + beta
        torch.testing.assert_close(layer(x, labels, codes, noise), expected)


def test_the_last_block_sees_the_layout_alone() -> None:
    block = create().generator.up_3
    assert not any("fc_mu" in name or "conv_gamma" in name for name, _ in block.named_parameters())
    assert "ace_0.blending_gamma" in dict(block.named_parameters())


def test_every_norm_has_its_noise() -> None:
    method, size = create().eval(), (64, 96)
    found, norms = maps(Noise([0, 1]), size), []
    for layer in method.generator.modules():
        if isinstance(layer, ACE):
            layer.register_forward_hook(lambda module, given, output: norms.append((given[0].shape[2:], given[3])))
    given = batch(2, size=size)
    with torch.no_grad():
        method.complete(given, Noise([0, 1]))
    assert len(norms) == len(found) == sum(NORMS)
    for (shape, used), expected in zip(norms, found, strict=True):
        assert used.shape[2:] == shape
        assert torch.equal(used, expected)


def test_a_changed_style_stays_in_its_region_at_first() -> None:
    """The styles of two regions: where codes differ, so do the styles, and nowhere else."""
    torch.manual_seed(0)
    layer, codes, labels = ACE(2, 4, 5, styled=True), torch.randn(1, LABELS, 5), two(4, 7)
    other = codes.clone()
    other[:, 7] += 1
    with torch.no_grad():
        changed = (layer.styles(labels, codes) != layer.styles(labels, other)).any(1)
    assert changed[..., 16:].all()
    assert not changed[..., :16].any()


def test_the_second_judge_sees_half_the_size() -> None:
    full, half = Discriminator(4, 3)(torch.rand(1, LABELS + 3, 64, 64))
    assert [tuple(one.shape[1:]) for one in full] == [(4, 33, 33), (8, 17, 17), (16, 9, 9), (1, 10, 10)]
    assert [tuple(one.shape[1:]) for one in half] == [(4, 17, 17), (8, 9, 9), (16, 5, 5), (1, 6, 6)]


def test_matching_is_summed_over_the_layers_and_averaged_over_the_scales() -> None:
    def scales(*values: float) -> list[list[torch.Tensor]]:
        return [[torch.full((1, 1, 2, 2), scale * value) for value in values] for scale in (1, 3)]

    found = matching(scales(1.0, 2.0, 9.0), scales(0.0, 0.0, 0.0))
    assert found.item() == pytest.approx(((1 + 2) + 3 * (1 + 2)) / 2)


def test_vgg_is_shown_pictures_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    images, network = torch.rand(1, 3, 32, 32) * 2 - 1, VGGFeatures(LAYERS)
    with torch.no_grad():
        first = network.network[:2](images)
        torch.testing.assert_close(Look("official").network(images)[0], first)


def test_initial_values_are_xavier_s_but_under_spectral_norm() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(64, 64, 3), nn.utils.spectral_norm(nn.Conv2d(64, 64, 3)))
    kept = network[1].weight_orig.clone()
    started(network, 0.5)
    assert network[0].weight.std().item() == pytest.approx(0.5 * (2 / (2 * 64 * 9)) ** 0.5, rel=0.05)
    assert not network[0].bias.any()
    assert torch.equal(network[1].weight_orig, kept)


def test_both_pictures_go_through_the_discriminators_at_once() -> None:
    method, given, sizes = create().train(), batch(2), []
    stage = SEANStage(method, "embedded").train()
    stage.judge.register_forward_pre_hook(lambda module, seen: sizes.append(tuple(seen[0].shape)))
    names = []
    stage.step(given, lambda name, loss: names.append(name), Noise.shared(0, 2))
    assert names == ["generator", "discriminator"]
    assert sizes == [(4, LABELS + 3, 64, 64)] * 2
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in stage.optimisers().items()}
    assert rates["discriminator"] == pytest.approx(4 * rates["generator"])


def test_the_layout_says_where_and_the_source_how() -> None:
    method, given = create().eval(), batch(2)
    with torch.no_grad():
        found = method.complete(given, Noise([0, 1]))
        codes = method.generator.Zencoder(given.source, planes(given.semantics))
        again = method.generator(planes(given.layout), codes, maps(Noise([0, 1]), (64, 64)))
        other = method.complete(given.guided(layout=None), Noise([0, 1]))
    torch.testing.assert_close(found, again)
    assert not torch.equal(found, other)


def test_learned_noise_makes_completions_differ() -> None:
    method, given = create().eval(), batch(1)
    with torch.no_grad():
        assert torch.equal(method.complete(given, Noise([0])), method.complete(given, Noise([1])))
        for layer in method.generator.modules():
            if isinstance(layer, ACE):
                layer.noise_var.fill_(0.1)
        assert not torch.equal(method.complete(given, Noise([0])), method.complete(given, Noise([1])))
