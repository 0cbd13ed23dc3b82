"""PSFR-GAN: what parts mean to its networks and losses, and what each stage trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines.psfrgan import PSFRGAN
from baselines.psfrgan.networks import PARTS, SPADE, Discriminator, one_hot
from baselines.psfrgan.training import BeforeReLU, RestorationStage, grams, matching, parts_of
from bench import golden, weights
from bench.batch import Noise
from bench.errors import BenchError
from bench.nn.perceptual import VGGFeatures
from tests import made_up_weights
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options) -> PSFRGAN:
    torch.manual_seed(0)
    return PSFRGAN.create("tiny", **options)


def released(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape) for key, shape, _ in golden.read_keys(KEYS / f"psfrgan.{name}.keys.csv")}


def test_the_released_names_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.weights.layouts.read", lambda path: released("parsenet"))
    with torch.device("meta"):
        PSFRGAN.create(parsing_weights=Path("parse_multi_iter_90000.pth")).load_official(released("generator"))


def test_the_parsing_network_must_be_named() -> None:
    with pytest.raises(BenchError, match=r"parse_multi_iter_90000\.pth in the suite's `options: {parsing_weights: }`"):
        create().load_official({})


def test_labels_become_parts_and_what_has_none_is_in_none() -> None:
    parts = parts_of(torch.tensor([[[0, 18], [PARTS, 3]]], dtype=torch.uint8))
    assert parts.shape == (1, PARTS, 2, 2)
    assert parts[0, :, 1, 0].sum() == 0
    assert parts[0, 18, 0, 1] == parts[0, 3, 1, 1] == parts[0, 0, 0, 0] == 1
    assert torch.equal(one_hot(parts[:, :, :1]), parts[:, :, :1])


def test_gram_matrices_see_their_part_alone() -> None:
    torch.manual_seed(0)
    features, parts = torch.randn(2, 3, 4, 4), torch.zeros(2, 2, 8, 8)
    parts[:, 0, :, :4] = 1  # the left half; the other part is nowhere
    found = grams(features, parts)
    left = features[..., :2].flatten(2)
    torch.testing.assert_close(found[:, 0], left @ left.transpose(1, 2) / (3 * 8))
    assert not found[:, 1].any()


def test_maps_are_read_before_their_activation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", made_up_weights.state)
    images = torch.rand(1, 3, 32, 32)
    before, after = BeforeReLU(("relu1_2", "relu2_2"))(images), VGGFeatures(("relu1_2", "relu2_2"))(images)
    for one, other in zip(before, after, strict=True):
        assert one.min() < 0
        torch.testing.assert_close(F.relu(one), other)


def test_the_condition_scales_and_shifts() -> None:
    layer, x = SPADE(4, 2, 2).eval(), torch.randn(1, 4, 6, 6)
    layer.conv1 = nn.Identity()
    with torch.no_grad():
        layer.gamma_conv.bias.fill_(3)
        layer.beta_conv.bias.fill_(1)
        torch.testing.assert_close(layer(x, torch.zeros(1, 2, 6, 6)), 3 * F.instance_norm(x) + 1)


def test_each_judge_sees_half_the_size() -> None:
    maps = Discriminator(4, 2, 3)(torch.rand(1, 3, 64, 64), torch.rand(1, PARTS, 64, 64))
    assert [[tuple(one.shape[1:]) for one in judge] for judge in maps] == [
        [(4, side, side), (8, side // 2, side // 2), (16, side // 4, side // 4), (1, side // 4 - 2, side // 4 - 2)]
        for side in (64, 32, 16)
    ]


def test_matching_is_a_sum_over_maps_and_a_mean_over_judges() -> None:
    """The authors' FMLoss adds a judge's layers; `EnhanceModel` divides by the number of judges (D_num) alone."""
    shapes = [[(1, 4, 8, 8), (1, 8, 4, 4), (1, 1, 2, 2)], [(1, 4, 4, 4), (1, 8, 2, 2), (1, 1, 1, 1)]]
    real = [[torch.zeros(shape) for shape in judge] for judge in shapes]
    fake = [[torch.full(shape, value) for shape in judge] for judge, value in zip(shapes, (1.0, 3.0), strict=True)]
    assert matching(fake, real) == (2 * 1 + 2 * 9) / 2


def test_the_second_stage_leaves_the_parsing_network_and_its_statistics() -> None:
    method, given = create(), batch(2)
    stage = RestorationStage(method.train(), "embedded")
    before = {name: value.clone() for name, value in method.parser.state_dict().items()}
    names = []
    stage.step(given, lambda name, loss: names.append(name), Noise.shared(0, 2))
    assert names == ["generator", "discriminator"]
    assert all(torch.equal(value, before[name]) for name, value in method.parser.state_dict().items())
    assert not any(p is q for p in method.parser.parameters() for g in stage.optimisers().values()
                   for q in g.param_groups[0]["params"])  # fmt: skip
