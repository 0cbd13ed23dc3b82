"""Collaborative Diffusion: released names, blocks as written out, whom the mix follows, its stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from baselines.collaborative import Collaborative, CollaborativeConfig
from baselines.collaborative.autoencoder import Autoencoder, divergence
from baselines.collaborative.networks import (
    AddedBlock,
    CrossAttention,
    LabelTokens,
    influence,
    mixed,
    scheduled,
)
from baselines.collaborative.training import AutoencoderStage
from bench import golden
from bench.batch import Noise
from tests.test_methods import batch, noise, take_a_step

KEYS = Path(__file__).parents[1] / "golden"
TEXTS = ("A man with a beard", "glasses")


def create(**options: Any) -> Collaborative:
    torch.manual_seed(0)
    small = {"autoencoder_width": 8, "width": 8, "multipliers": (1, 2), "attention": (1,), "diffuser_width": 8}
    made = Collaborative.create("tiny", **{**small, "groups": 4, "context": 16, "steps": 2, **options})
    assert isinstance(made, Collaborative)
    return made.eval()


@pytest.mark.parametrize(("name", "width", "outputs"), [("unet", 192, 3), ("unet64", 64, 3), ("diffuser", 32, 1)])
def test_the_released_names_fit(name: str, width: int, outputs: int) -> None:
    rows = golden.read_keys(KEYS / f"collaborative.{name}.keys.csv")
    with torch.device("meta"):
        state = CollaborativeConfig().unet(width, outputs).state_dict()
    shapes = {f"diffusion_model.{key}": tuple(value.shape) for key, value in state.items()}
    assert shapes == {key: shape for key, shape, _ in rows}


def test_the_time_is_added_before_the_second_norm() -> None:
    torch.manual_seed(0)
    block, h, time = AddedBlock(4, 4, 6, 2), torch.randn(2, 4, 3, 3), torch.randn(2, 6)
    with torch.no_grad():
        expected = F.group_norm(h + block.emb_layers(time)[:, :, None, None], 2)
        torch.testing.assert_close(block.modulated(h, time, None), expected)


def test_attention_as_written_out() -> None:
    torch.manual_seed(0)
    layer, asking, answering = CrossAttention(6, 5, 3).double(), torch.randn(2, 4, 6).double(), torch.randn(2, 7, 5)
    found, answering = [], answering.double()
    q, k, v = layer.to_q(asking), layer.to_k(answering), layer.to_v(answering)
    for head in range(3):
        own = slice(2 * head, 2 * head + 2)
        shares = (q[..., own] @ k[..., own].transpose(1, 2) / 2**0.5).softmax(dim=2)
        found.append(shares @ v[..., own])
    torch.testing.assert_close(layer(asking, answering), layer.to_out(torch.cat(found, dim=2)))


def test_a_token_is_a_plane() -> None:
    tokens, planes = LabelTokens(8), torch.zeros(1, 19, 64, 64)
    planes[:, 3, 10:20, 10:20] = 1
    with torch.no_grad():
        found = tokens(planes)[0]
    assert found.shape == (19, 8)
    others = [i for i in range(19) if i != 3]
    torch.testing.assert_close(found[others], tokens.linear.bias.expand(18, 8))
    assert not torch.allclose(found[3], tokens.linear.bias)


def test_influences_are_shares() -> None:
    one, other = torch.randn(2, 2, 1, 4, 4)
    torch.testing.assert_close(influence(one, other) + influence(other, one), torch.ones(2, 1, 4, 4))
    share = influence(torch.full_like(one, 9), torch.full_like(one, -9))
    a, b = torch.randn(2, 2, 3, 4, 4)
    torch.testing.assert_close(mixed(share, a, b), a)


def test_the_labels_influence_counts_twice_and_falls() -> None:
    half = torch.tensor(0.5)
    assert float(scheduled(half, 1000)) == pytest.approx(2 / 3)
    assert float(scheduled(half, 500)) == pytest.approx(0.5 / (0.5 + 0.75))
    assert float(scheduled(half, 0)) == pytest.approx(0)


def test_the_autoencoder_halves_and_doubles() -> None:
    network, picture = Autoencoder((4, 8, 8), 3, 1, 4), torch.randn(2, 3, 16, 24)
    mean, log_variance = network.encode(picture)
    assert mean.shape == log_variance.shape == (2, 3, 4, 6)
    assert network.decode(mean).shape == picture.shape
    assert not divergence(0 * mean, 0 * mean).any()
    assert (divergence(mean, 0 * mean) > 0).all()


def test_without_a_text_the_labels_draw_alone() -> None:
    method, given = create(), batch()
    seen: list[str] = []
    for name in ("label_denoiser", "text_denoiser", "label_diffuser", "text_diffuser"):
        method.get_submodule(name).register_forward_pre_hook(lambda module, arguments, name=name: seen.append(name))
    with torch.no_grad():
        method.complete(given, noise())
        assert seen == ["label_denoiser"] * 2
        seen.clear()
        method.complete(given.guided(text=TEXTS), noise())
    assert seen == ["label_denoiser", "text_denoiser", "label_diffuser", "text_diffuser"] * 2


def test_the_first_batch_tells_the_deviation_of_latents() -> None:
    method, given = create(), batch(4)
    _, labels, *_ = method.stages("embedded")
    method.autoencoder.quant_conv.weight.data *= 9
    labels.step(given, lambda name, loss: None, Noise.shared(0, 4))
    deviation = float(method.autoencoder.deviation)
    assert deviation > 1.5
    z = labels.latents(given.image, Noise.shared(0, 4))  # type: ignore[attr-defined]
    assert float(z.detach().std()) == pytest.approx(1, abs=0.01)
    labels.step(given.guided(), lambda name, loss: None, Noise.shared(2, 4))
    assert float(method.autoencoder.deviation) == deviation


def test_each_stage_leaves_the_others_networks() -> None:
    method = create()
    parts = {
        "autoencoder": ["autoencoder"], "labels": ["label_denoiser", "label_tokens"],
        "text": ["text_denoiser", "text_tokens"], "diffusers": ["label_diffuser", "text_diffuser"],
    }  # fmt: skip
    stages = method.stages("embedded")
    assert [stage.name for stage in stages] == [*parts]
    for stage, names in zip(stages, parts.values(), strict=True):
        (optimiser,) = stage.optimisers().values()
        held = {id(p) for group in optimiser.param_groups for p in group["params"]}
        assert held == {id(p) for name in names for p in method.get_submodule(name).parameters()}


@pytest.mark.parametrize(("preset", "pictures", "labels"), [("paper", 64, 2e-6), ("512", 16, 1e-6)])
def test_batches_learning_rates_and_averages_are_the_released_ones(preset: str, pictures: int, labels: float) -> None:
    """configs/*.yaml, and main.py, which multiplies rates by GPUs, pictures on each and batches before a step."""
    small = {"autoencoder_width": 8, "width": 8, "multipliers": (1, 2), "attention": (1,), "diffuser_width": 8}
    stages = Collaborative.create(preset, **small, heads=2, groups=4, context=16).stages("embedded")
    found = {stage.name: stage.optimisers()[stage.name].param_groups[0]["lr"] for stage in stages}
    rates = {"labels": 32 * labels, "text": 32 * 2e-6, "diffusers": 32 * 2e-6}
    assert found == pytest.approx({"autoencoder": pictures * 4.5e-6, **rates})
    assert [stage.batch_size for stage in stages] == [pictures, 32, 32, 32]
    assert not any(stage.ema for stage in stages)


def test_the_published_losses_take_a_step() -> None:
    take_a_step(create(adversarial=0.5, start=0, predicts="noise"), "embedded", batch(4))


class Still(nn.Module):
    """A discriminator that finds all the same, almost."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return 1 + 1e-9 * pictures


def test_the_discriminator_counts_at_most_as_much_as_with_sums_over_an_image() -> None:
    """The limit 1e4 of the released contperceptual.py is of the gradient of a sum over 3 x 64 x 64 values."""
    stage, *_ = create(adversarial=0.5, start=0).stages("embedded")
    assert isinstance(stage, AutoencoderStage) and stage.adversary
    stage.adversary.network = Still()
    losses = stage.step(batch(4), lambda name, loss: None, Noise.shared(0, 4))
    assert float(losses["fooled"]) == pytest.approx(-0.5 * 1e4 / (3 * 64 * 64), rel=1e-4)
