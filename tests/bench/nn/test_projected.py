"""The projected discriminator: backbone, random projection, one discriminator a scale."""

from __future__ import annotations

from itertools import pairwise

import pytest
import skimage.data
import torch
from torch import nn

from bench import weights
from bench.errors import BenchError
from bench.nn.projected import (
    Backbone,
    EfficientNetLite,
    EmbeddedBackbone,
    Lite,
    ProjectedDiscriminator,
    SameConv2d,
    from_timm,
    pretrained_backbone,
    smallest_judged,
)
from bench.profile import count_macs, count_parameters
from bench.sources import mixed
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


@pytest.mark.usefixtures("no_backbones")
def test_missing_pretrained_file_is_named() -> None:
    with pytest.raises(BenchError, match=r"tf_efficientnet_lite0-0aa007d2\.pth .*face-inpaint-bench\[backbones\]"):
        EfficientNetLite("lite0").load_pretrained()


@pytest.mark.parametrize("variant", ["lite0", "lite1"])
def test_the_packages_weights_give_timms_maps(variant: Lite) -> None:
    """All four, to the last bit; timm's padding goes by the size of the image, as TensorFlow's does."""
    import timm

    ours = pretrained_backbone(mixed("embedded", "imagenet"), variant).eval()
    theirs = timm.create_model(f"tf_efficientnet_{variant}", features_only=True, out_indices=(1, 2, 3, 4)).eval()
    left = theirs.load_state_dict(dict(weights.load(f"efficientnet-{variant}")), strict=False)
    assert not left.missing_keys
    assert {key.split(".")[0] for key in left.unexpected_keys} == {"conv_head", "bn2", "classifier"}
    for side in (64, 224, 240, 256, 512):
        images = torch.rand(1, 3, side, side) * 2 - 1
        seen = images
        if side < 224:
            seen = nn.functional.interpolate(images, (224, 224), mode="bilinear", align_corners=False)
        with torch.no_grad():
            assert all(torch.equal(a, b) for a, b in zip(ours(images), theirs(seen), strict=True)), side


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_the_package_wants_images_in_minus_one_to_one(name: str) -> None:
    """What its stem gives of a photograph varies as its batch norm says; normalised by ImageNet's deviations, which is
    2.2 times as much, it varies 4 to 6 times as much."""
    image = torch.from_numpy(getattr(skimage.data, name)()).permute(2, 0, 1)[None].float() / 127.5 - 1
    network = pretrained_backbone(mixed("embedded", "imagenet"))
    assert isinstance(network, EfficientNetLite)
    convolution, norm = network.layer0[0], network.layer0[1]

    def off(seen: torch.Tensor) -> float:
        with torch.no_grad():
            return float((convolution(seen).var(dim=(0, 2, 3)) / norm.running_var).log().abs().median())

    assert off(image) < 0.5
    assert off(image / (2 * 0.225)) > 1


def test_each_word_has_its_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(EfficientNetLite, "load_pretrained", lambda self: asked.append("official"))
    monkeypatch.setattr(EfficientNetLite, "load_packaged", lambda self: asked.append("imagenet"))
    for projected in ("official", "imagenet"):
        assert isinstance(pretrained_backbone(mixed("embedded", projected)), EfficientNetLite)
    assert asked == ["official", "imagenet"]
    assert isinstance(pretrained_backbone(mixed("official", "embedded")), EmbeddedBackbone)
    assert smallest_judged(256, mixed("embedded", "imagenet")) == 1


def test_embedded_backbone_at_64_pixels() -> None:
    network = ProjectedDiscriminator(EmbeddedBackbone(), scales=1, resolution=64, width=16)
    maps = network.features(torch.zeros(2, 3, 64, 64))
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 64, 64), (16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert network.discriminator(maps).shape == (2, 25)
