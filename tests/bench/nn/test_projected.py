"""The projected discriminator: backbone, random projection, one discriminator a scale."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from bench import weights
from bench.errors import BenchError
from bench.nn.projected import (
    Backbone,
    EfficientNetLite,
    EmbeddedBackbone,
    ProjectedDiscriminator,
    SameConv2d,
    from_timm,
    smallest_judged,
)
from bench.profile import count_macs, count_parameters
from tests.made_up_weights import timm_state


@pytest.fixture(scope="module")
def four_scales() -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(EfficientNetLite(), scales=4)


def test_parameters_and_costs_of_projected_gan(four_scales: ProjectedDiscriminator) -> None:
    assert count_parameters(four_scales) == 13_666_944
    assert count_parameters(four_scales, learnable=True) == 10_331_328
    macs = count_macs(lambda network: network(torch.empty(1, 3, 256, 256)), four_scales)
    assert macs == pytest.approx(2.150e9, rel=0.005)


def test_maps_and_logits_at_256_pixels(four_scales: ProjectedDiscriminator) -> None:
    maps = four_scales.features(torch.zeros(2, 3, 256, 256))
    assert [tuple(x.shape[1:]) for x in maps] == [(64, 128, 128), (64, 64, 64), (128, 32, 32), (256, 16, 16)]
    assert four_scales.discriminator(maps).shape == (2, 100)


def test_only_the_discriminators_learn(four_scales: ProjectedDiscriminator) -> None:
    four_scales.train()
    assert four_scales.discriminator.training
    assert not any(module.training for module in four_scales.feature_network.modules())
    before = {name: value.clone() for name, value in four_scales.feature_network.state_dict().items()}
    images = torch.rand(2, 3, 256, 256).requires_grad_()
    four_scales(images).mean().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert all(p.grad is None for p in four_scales.feature_network.parameters())
    assert all(p.grad is not None for p in four_scales.discriminator.parameters())
    assert all(torch.equal(value, before[name]) for name, value in four_scales.feature_network.state_dict().items())


def test_backbone_enlarges_small_images() -> None:
    backbone = EfficientNetLite().eval()
    images = torch.rand(1, 3, 96, 96)
    large = nn.functional.interpolate(images, (224, 224), mode="bilinear", align_corners=False)
    for small_map, large_map in zip(backbone(images), backbone(large), strict=True):
        assert torch.equal(small_map, large_map)


@pytest.mark.parametrize("backbone", [EmbeddedBackbone, EfficientNetLite])
def test_maps_of_images_that_do_not_halve_evenly(backbone: type[Backbone]) -> None:
    network, images = ProjectedDiscriminator(backbone(), width=4), torch.zeros(1, 3, 236, 236)
    sides = [x.shape[-1] for x in network.feature_network.pretrained(images)]
    assert any(large != 2 * small for large, small in pairwise(sides))
    assert [x.shape[-1] for x in network.features(images)] == [2 * sides[0], *sides[:-1]]


@pytest.mark.parametrize("resolution", [64, 100, 256])
def test_smallest_images_that_leave_a_logit(resolution: int) -> None:
    network = ProjectedDiscriminator(EmbeddedBackbone(), resolution=resolution, width=4).eval()
    smallest = smallest_judged(resolution, "embedded")
    assert network(torch.zeros(1, 3, smallest, smallest)).shape == (1, 4)
    with pytest.raises(RuntimeError, match="Kernel size"):
        network(torch.zeros(1, 3, smallest // 2, smallest // 2))


@pytest.mark.parametrize(("size", "kernel", "stride", "top"), [(8, 3, 2, 0), (8, 5, 2, 1), (7, 3, 2, 1), (8, 3, 1, 1)])
def test_same_padding_puts_the_odd_pixel_last(size: int, kernel: int, stride: int, top: int) -> None:
    convolution = SameConv2d(1, 1, kernel, stride)
    nn.init.ones_(convolution.weight)
    image = torch.rand(1, 1, size, size)
    out = convolution(image)
    assert out.shape[-1] == -(-size // stride)
    assert out[0, 0, 0, 0].item() == pytest.approx(image[0, 0, : kernel - top, : kernel - top].sum().item(), rel=1e-5)


def test_pretrained_file_is_read_under_timm_names(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    source = EfficientNetLite("lite1")
    file = timm_state(source)
    assert from_timm(file).keys() == source.state_dict().keys()

    asked = []
    monkeypatch.setattr(weights, "load", lambda name: asked.append(name) or file)
    target = EfficientNetLite("lite1")
    target.load_pretrained()
    assert asked == ["efficientnet-lite1"]
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())


def test_missing_pretrained_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("FACEBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(BenchError, match=r"tf_efficientnet_lite0-0aa007d2\.pth"):
        EfficientNetLite("lite0").load_pretrained()


def test_embedded_backbone_at_64_pixels() -> None:
    network = ProjectedDiscriminator(EmbeddedBackbone(), scales=1, resolution=64, width=16)
    maps = network.features(torch.zeros(2, 3, 64, 64))
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 64, 64), (16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert network.discriminator(maps).shape == (2, 25)
