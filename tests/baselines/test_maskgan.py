"""MaskGAN: released names, how a style enters, what its VAE of label maps does, what each stage trains and compares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from baselines.maskgan import MaskGAN
from baselines.maskgan.networks import LABELS, SFT, Blend, MaskVAE
from baselines.maskgan.training import EditingStage, GeneratorStage, VAEStage
from bench import golden
from bench.batch import Noise
from bench.nn.celebamask import planes
from bench.nn.translator import ResidualBlock
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> MaskGAN:
    torch.manual_seed(0)
    return MaskGAN.create("tiny", **options)


def test_the_released_names_fit() -> None:
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape, _ in golden.read_keys(KEYS / "maskgan.generator.keys.csv")}
        method = MaskGAN.create()
        method.load_official(state)
        del state["enc_label.model_last.3.conv.bias"]
        with pytest.raises(RuntimeError, match=r"enc_label\.model_last\.3\.conv\.bias"):
            method.load_official(state)


def test_the_released_names_of_the_vae_fit() -> None:
    with torch.device("meta"):
        names = {key: tuple(value.shape) for key, value in MaskVAE(512, 32, 1024).state_dict().items()}
    assert names == {key: shape for key, shape, _ in golden.read_keys(KEYS / "maskgan.vae.keys.csv")}


def test_features_scale_and_shift_each_pixel() -> None:
    layer, x = SFT(3), torch.randn(1, 3, 4, 4)
    with torch.no_grad():
        for convolution in (layer.SFT_scale_conv2, layer.SFT_shift_conv2):
            convolution.weight.zero_()
        layer.SFT_scale_conv2.bias.fill_(3)
        layer.SFT_shift_conv2.bias.fill_(1)
        torch.testing.assert_close(layer(x, torch.randn(1, 3, 4, 4)), 3 * x + 1)


def test_the_blended_picture_lies_between_both() -> None:
    torch.manual_seed(0)
    blend, first, second = Blend(4), torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        share = blend.alpha(first, second)
        torch.testing.assert_close(blend(first, second), share * first + (1 - share) * second)
        torch.testing.assert_close(blend(first, first), first)


@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_label_maps_of_any_size_are_coded_and_drawn(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    vae, labels = MaskVAE(32, 4, 8).eval(), planes(batch(2, size=size).semantics)
    seen = vae.seen(labels)
    assert seen.shape == (2, LABELS, 32, 32)
    assert torch.equal(seen.sum(1), torch.ones(2, 32, 32))
    with torch.no_grad():
        drawn = vae.drawn(vae.encode(seen)[0], labels)
    assert drawn.shape == labels.shape
    assert torch.equal(drawn.sum(1), torch.ones(2, *size))


def stages(method: MaskGAN) -> list[Any]:
    return [stage.train() for stage in method.train().stages("embedded")]


def test_the_vae_learns_label_maps() -> None:
    method, given = create(), batch(4)
    (stage, *_) = stages(method)
    assert isinstance(stage, VAEStage)
    (optimiser,) = stage.optimisers().values()

    def update(name: str, loss: torch.Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    first, *_, last = (stage.step(given, update, Noise.shared(step, 4))["labels"].item() for step in range(15))
    assert last < 0.8 * first


def test_pixels_without_a_label_do_not_count() -> None:
    (stage, *_), given = stages(create()), batch(2)
    labels = given.semantics.clone()
    labels[:, :32] = LABELS
    assert stage.step(given.guided(semantics=labels), lambda name, loss: None, Noise.shared(0, 2))["labels"] > 0
    labels[:] = LABELS
    assert stage.step(given.guided(semantics=labels), lambda name, loss: None, Noise.shared(0, 2))["labels"] == 0


def test_maps_near_a_picture_s_own_lie_towards_another_and_away(monkeypatch: pytest.MonkeyPatch) -> None:
    *_, stage = stages(create(reach=0.5))
    assert isinstance(stage, EditingStage)
    vae, codes = stage.aids.vae, torch.tensor([[0.0], [2.0], [6.0]])
    monkeypatch.setattr(vae, "encode", lambda labels: (codes, codes))
    monkeypatch.setattr(vae, "drawn", lambda z, labels: z)
    inner, outer = stage.near(planes(batch(3).semantics))
    assert inner.flatten().tolist() == [3, 1, 4]
    assert outer.flatten().tolist() == [-3, 3, 8]
    assert not vae.training, "its statistics stay as they are"


def test_the_last_stage_compares_the_blended_picture_too() -> None:
    method, given = create(), batch(2)
    _, plain, editing = stages(method)
    labels = planes(given.semantics)
    with torch.no_grad():
        (reconstruction,) = plain.pictures(given.image, labels)
        first, blended = editing.pictures(given.image, labels)
    assert torch.equal(first, reconstruction)
    assert blended.shape == given.image.shape
    assert not torch.equal(blended, reconstruction)
    names = []
    losses = editing.step(given, lambda name, loss: names.append(name), Noise.shared(0, 2))
    assert names == ["generator", "discriminator"]
    assert losses["pixels"] > plain.step(given, lambda name, loss: None, Noise.shared(0, 2))["pixels"]


@pytest.mark.parametrize(("norm", "normed"), [("instance", True), ("none", False)])
def test_layers_after_the_blocks_are_normed_as_the_option_says(norm: str, normed: bool) -> None:
    method = create(norm=norm)
    layers = list(method.generator.model)
    after = layers[max(i for i, layer in enumerate(layers) if isinstance(layer, ResidualBlock)) :]
    assert any(isinstance(layer, nn.InstanceNorm2d) for layer in after) == normed
    assert any(isinstance(layer, nn.InstanceNorm2d) for layer in layers[:5])


def test_every_stage_keeps_what_the_others_trained() -> None:
    first, *others = stages(create())
    assert all(stage.aids is first.aids for stage in others)
    vae = {id(p) for p in first.aids.vae.parameters()}
    for stage in others:
        assert isinstance(stage, GeneratorStage)
        trained = {id(p) for o in stage.optimisers().values() for group in o.param_groups for p in group["params"]}
        assert not trained & vae
        blends = trained & {id(p) for p in first.aids.blend.parameters()}
        assert bool(blends) == isinstance(stage, EditingStage)


def test_the_layout_says_where_and_the_source_how() -> None:
    """The same labels, the same style: the same picture, whatever the image is that is completed."""
    method, given = create().eval(), batch(2)
    with torch.no_grad():
        found = method.complete(given, Noise([0, 1]))
        labels, wanted = planes(given.semantics), planes(given.layout)
        torch.testing.assert_close(found, method.generator(wanted, labels, given.source))
        other = method.complete(given.guided(layout=None), Noise([0, 1]))
    assert not torch.equal(found, other)
