"""Latent diffusion: its two stages, what its denoiser sees and learns, and that the library's sampler undoes it."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.latent import Latent
from baselines.latent.training import AutoencoderStage, DenoiserStage, balance, standardise
from bench.batch import Batch, Noise
from bench.errors import BenchError
from bench.profile import count_macs, count_operations
from tests.baselines.test_diffusers import batch, completed

pytestmark = pytest.mark.usefixtures("_one_thread")


@pytest.fixture(name="_one_thread")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def create(**options: Any) -> Latent:
    """Tiny, with few steps, and an autoencoder whose latents have no noise of their own."""
    torch.manual_seed(0)
    method = Latent.create("tiny", **{"steps": 3} | options)
    assert isinstance(method, Latent)
    with torch.no_grad():
        method.vae.quant_conv.bias[4:] = -100
    return method.eval()


def trained(stage: AutoencoderStage | DenoiserStage, given: Batch) -> dict[str, Tensor]:
    """One step that moves nothing; what each optimiser would have been given, beside the losses."""
    found: dict[str, Tensor] = {}
    losses = stage.step(given, lambda name, loss: found.update({f"for {name}": loss.detach()}), Noise.shared(0, 3))
    return losses | found


class Oracle:
    """Knows the clean latents; in the place of what the denoiser computes."""

    def __init__(self, method: Latent, clean: Tensor):
        self.clean, self.predicts = clean, method.config.predicts
        self.abar = method.pipeline.scheduler.alphas_cumprod
        self.seen: list[tuple[Tensor, Tensor]] = []  # inputs of its calls, and their tokens
        method.unet.forward = self

    def __call__(self, x: Tensor, k: Tensor, encoder_hidden_states: Tensor, return_dict: bool = True, **_: Any) -> Any:
        self.seen.append((x, encoder_hidden_states))
        abar = self.abar[k].reshape(-1, 1, 1, 1)
        noise = (x[:, :4] - abar.sqrt() * self.clean) / (1 - abar).sqrt()
        told = noise if self.predicts == "noise" else abar.sqrt() * noise - (1 - abar).sqrt() * self.clean
        return SimpleNamespace(sample=told) if return_dict else (told,)


@pytest.mark.parametrize("eta", [0, 1])
@pytest.mark.parametrize("predicts", ["noise", "velocity"])
def test_the_sampler_finds_the_latents_that_the_denoiser_is_taught(predicts: str, eta: float) -> None:
    method, given = create(predicts=predicts, eta=eta, steps=20), batch()
    stage = DenoiserStage(method)
    with torch.no_grad():
        standardise(method.vae, method.vae.encode(given.image).latent_dist.mean)
        stage.ready.fill_(True)
        z = method.vae.encode(given.image).latent_dist.mean
        told = Oracle(method, z)
        expected = method.vae.decode(z).sample
    assert float(trained(stage, given)["for denoiser"]) < 1e-9
    told.seen.clear()
    found = completed(method, given)
    assert len(told.seen) == 20
    # the last step ends at the first noise of the schedule
    assert float((found - expected.clamp(-1, 1)).abs().mean()) < 0.05


@pytest.mark.parametrize("eta", [0.5, 1])
def test_a_step_adds_as_much_noise_as_eta_says(eta: float) -> None:
    """Equations 12 and 16 of DDIM (Song et al., ICLR 2021)."""
    method, given = create(eta=eta, steps=10), batch()
    told = Oracle(method, torch.zeros(()))
    completed(method, given)
    (x, _), (after, _), *_ = told.seen
    abar, before = (float(told.abar[int(k)]) for k in method.pipeline.scheduler.timesteps[:2])
    sigma = eta * ((1 - before) / (1 - abar) * (1 - abar / before)) ** 0.5
    kept = x[:, :4] * ((1 - before - sigma**2) / (1 - abar)) ** 0.5
    assert float((after[:, :4] - kept).std() / sigma) == pytest.approx(1, abs=0.05)


def test_the_denoiser_sees_the_same_in_training_and_in_a_completion() -> None:
    """The mask of whole cells, and the latents of what lies outside of them."""
    method, given = create(), batch()
    told, cell = Oracle(method, torch.zeros(())), method.config.cell
    stage = DenoiserStage(method)
    trained(stage, given)
    completed(method, given)
    (learned, _), (first, _), *_ = told.seen
    cells = F.max_pool2d(given.mask, cell)
    assert torch.equal(learned[:, 4:5], cells)
    assert torch.equal(first[:, 4:5], cells)
    torch.testing.assert_close(learned[:, 5:], first[:, 5:], atol=1e-4, rtol=1e-4)
    hidden = F.interpolate(cells, scale_factor=cell) > 0
    other = replace(given, image=torch.where(hidden, torch.rand_like(given.image), given.image))
    trained(stage, other)
    assert torch.equal(told.seen[-1][0][:, 4:], learned[:, 4:])


def test_cells_may_be_seen_by_their_corner_as_the_library_does() -> None:
    method, given = create(cells="corner"), batch()
    told, cell = Oracle(method, torch.zeros(())), method.config.cell
    trained(DenoiserStage(method), given)
    completed(method, given)
    for seen, _ in told.seen:
        assert torch.equal(seen[:, 4:5], given.mask[:, :, ::cell, ::cell])
    assert "cells that it took for known" in method.remarks()[0]


def test_latents_are_standardised_once_and_decode_to_the_same() -> None:
    method, given = create(), batch()
    vae, stage = method.vae, DenoiserStage(method)
    with torch.no_grad():
        vae.quant_conv.bias[:4] += 3.0
        found = vae.encode(given.image).latent_dist
        before = vae.decode(found.mean + 1e-3).sample, vae.decode(found.mean).sample
        deviation = found.mean.std((0, 2, 3), correction=0)
        trained(stage, given)
        after = vae.encode(given.image).latent_dist.mean
        torch.testing.assert_close(after.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
        torch.testing.assert_close(after.std((0, 2, 3), correction=0), torch.ones(4), atol=1e-4, rtol=0)
        moved = after + 1e-3 / deviation[:, None, None]
        for z, expected in zip((moved, after), before, strict=True):
            torch.testing.assert_close(vae.decode(z).sample, expected, atol=1e-4, rtol=1e-4)
        weights = vae.quant_conv.weight.clone()
        trained(stage, replace(given, image=given.image / 2))
    assert torch.equal(weights, vae.quant_conv.weight)
    other = DenoiserStage(create())
    other.load_state_dict(stage.state_dict())
    assert other.ready


def test_a_text_is_one_token_and_no_text_is_zeros() -> None:
    method, given = create(guidance=1.0), batch()
    told = Oracle(method, torch.zeros(()))
    completed(method, given.guided(text=("A man with a beard.", "", "glasses")))
    tokens = told.seen[0][1]
    assert tokens.shape == (3, 1, 64)
    assert not tokens[1].any()
    torch.testing.assert_close(tokens[[0, 2]].square().mean(2), torch.ones(2, 1))
    assert not torch.equal(tokens[0], tokens[2])
    completed(method, given)
    assert not told.seen[-1][1].any()
    assert len(told.seen) == 6


def test_guidance_calls_the_denoiser_for_both_texts() -> None:
    method, given = create(guidance=3.0, steps=2), batch()
    macs = count_operations(lambda: completed(method, given), method.networks())["unet"].total
    once = count_operations(lambda: completed(create(steps=2), given))[""].total
    assert macs > once
    words = given.guided(text=("glasses",) * 3)
    assert not torch.equal(completed(method, words), completed(method, given))


def test_some_pictures_are_shown_that_no_text_was_told_of() -> None:
    stage, pictures = DenoiserStage(create(told=0.5)), batch().image[:1].expand(64, -1, -1, -1)
    with torch.no_grad():
        tokens = stage.vectors(pictures, Noise.shared(0, 64))
    told = tokens.flatten(1).any(1)
    assert 16 < int(told.sum()) < 48
    torch.testing.assert_close(tokens[told].square().mean((1, 2)), torch.ones(int(told.sum())))


def test_a_discriminator_is_heard_from_an_iteration_on_with_a_gradient_as_long_as_the_others() -> None:
    stage = AutoencoderStage(create(adversarial=0.5, adversarial_start=1), "embedded")
    assert set(stage.optimisers()) == {"autoencoder", "discriminator"}
    config = stage.config
    for heard in (False, True):
        losses = trained(stage, batch())
        own = losses["l1"] + config.perceptual * losses["lpips"] + config.kl * losses["kl"]
        assert (not torch.equal(losses["for autoencoder"], own)) == heard
    layer = torch.ones(2, requires_grad=True)
    loss, other = 3 * layer.sum(), (0.1 * layer).sum()
    assert float(balance(loss, other, layer)) == pytest.approx(30, rel=1e-2)


class Still(nn.Module):
    """A discriminator that finds all the same, almost."""

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [1 + 1e-9 * pictures]


def test_the_discriminator_counts_at_most_as_much_as_with_sums_over_an_image() -> None:
    """The limit 1e4 of the authors' contperceptual.py is of the gradient of a sum over 3 x 64 x 64 values."""
    stage = AutoencoderStage(create(adversarial=0.5, adversarial_start=0), "embedded")
    stage.discriminator = Still()  # type: ignore[assignment]
    losses, config = trained(stage, batch()), stage.config
    own = losses["l1"] + config.perceptual * losses["lpips"] + config.kl * losses["kl"]
    assert float((losses["for autoencoder"] - own).detach()) == pytest.approx(-0.5 * 1e4 / (3 * 64 * 64), rel=1e-4)


def calls(method: Latent, size: int) -> tuple[float, float]:
    """Multiply-accumulates of a call of the denoiser, and of both halves of the autoencoder."""
    side, width = size // method.config.cell, method.unet.config.cross_attention_dim
    once = count_macs(
        lambda unet: unet(
            torch.empty(1, 9, side, side), torch.empty(1), encoder_hidden_states=torch.empty(1, 1, width)
        ),
        method.unet,
    )
    return once, count_macs(lambda vae: vae(torch.empty(1, 3, size, size)), method.vae)


def test_the_card_states_the_cost_of_a_completion() -> None:
    with torch.device("meta"):
        paper = Latent.create()
    once, coded = calls(paper, 256)
    assert paper.card.macs["unet"] == pytest.approx(paper.config.steps * once, rel=1e-5)
    assert paper.card.macs["vae"] == pytest.approx(coded, rel=1e-5)


def test_a_completion_is_counted_as_a_whole() -> None:
    method = create()
    counted = count_operations(lambda: completed(method, batch(1)), method.networks())
    once, coded = calls(method, 64)
    assert counted["unet"].total == pytest.approx(3 * once, rel=1e-3)
    assert counted[""].total == pytest.approx(3 * once + coded, rel=1e-3)


def test_sizes_follow_from_both_networks() -> None:
    assert 256 in Latent.presets["paper"].sizes() and 64 in Latent.presets["tiny"].sizes()
    assert Latent.presets["paper"].sizes().multiple == 4 * 8
    with pytest.raises(BenchError, match="multiples of 8, not 100 x 100"):
        completed(create(), batch(1, 100))


def test_without_the_extra_it_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(BenchError, match=r"pip install 'face-inpaint-bench\[diffusion\]'"):
        create()
