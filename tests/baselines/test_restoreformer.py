"""RestoreFormer: what asks and what answers, what is frozen and what learns faster, when parts of the face count."""

from __future__ import annotations

import pytest
import torch

from baselines.restoreformer import RestoreFormer
from baselines.restoreformer.networks import CrossAttention
from bench.golden import fill
from bench.method import Batch, Noise


def create(**options: object) -> RestoreFormer:
    torch.manual_seed(0)
    return RestoreFormer.create("tiny", **options).eval()


def batch(count: int = 1) -> Batch:
    image, degraded = torch.rand(2, count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    landmarks = 16 + 32 * torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(1))
    return Batch(image, torch.ones(count, 1, 64, 64), {"degraded": degraded, "landmarks": landmarks})


def test_given_maps_ask_and_the_own_maps_answer() -> None:
    """Where all places answer alike, it does not matter who asks."""
    torch.manual_seed(0)
    block, x, given = CrossAttention(16, 4, 4), torch.randn(1, 16, 3, 3), torch.randn(1, 16, 3, 3)
    assert not torch.equal(block(x, given), block(x))
    even = torch.randn(1, 16, 1, 1).expand(1, 16, 3, 3)
    torch.testing.assert_close(block(even, given), block(even))


def test_the_encoder_asks_in_stage_two_alone() -> None:
    network, image = create().network, batch().image
    with torch.no_grad():
        alone, asked = (network(image, attends)[0] for attends in (False, True))
        assert not torch.equal(alone, asked)
        for block in [network.decoder.mid.attn_1, *network.decoder.up[-1].attn]:
            block.norm2.weight.zero_()  # what asks is the same everywhere
        assert torch.equal(network(image, attends=False)[0], alone)
        assert not torch.equal(network(image)[0], asked)


def test_the_dictionary_is_frozen_and_attention_learns_faster() -> None:
    method = create(faster=10)
    first, second = method.stages("embedded")
    books = {id(p) for p in method.network.quantize.parameters()}
    rates = []
    for stage in (first, second):
        groups = stage.optimisers()["network"].param_groups
        rates.append({id(p): group["lr"] for group in groups for p in group["params"]})
    rate = method.config.learning_rate
    everything = {id(p) for p in method.network.parameters()}
    assert rates[0] == dict.fromkeys(everything, rate)
    faster = {id(p) for p in method.network.decoder.attention()}
    assert rates[1] == dict.fromkeys(everything - books, rate) | dict.fromkeys(faster, 10 * rate)
    assert len(faster) == 4 * len([*method.network.decoder.mid.attn_1.parameters()])


def test_learning_rates_may_fall() -> None:
    stage, _ = create(left=0.1, learning_rate=1).stages("embedded")
    stage.steps = 1
    optimiser, rates = stage.optimisers()["network"], []
    for _ in range(2):
        optimiser.step()
        rates += [group["lr"] for group in optimiser.param_groups]
    assert rates == pytest.approx([1, 0.1])


def test_parts_of_the_face_count_together_with_the_discriminator() -> None:
    _, stage = create(starts=(0.5, 0.5)).stages("embedded")
    stage.steps = 4
    found = [set(stage.step(batch(), lambda name, loss: None, Noise.shared(i, 1))) for i in range(4)]
    late = {"generator", "discriminator", "component", "component style", "components", "identity"}
    assert found[0] == found[1] == {"l1", "lpips", "codebook", "style"}
    assert found[2] == found[3] == found[0] | late


def test_the_style_of_a_picture_is_its_own() -> None:
    _, stage = create().stages("embedded")
    image, other = batch().image, batch().need("degraded")
    assert float(stage.style(image, image)) == 0
    assert float(stage.style(other, image)) > 0


def test_the_network_is_that_of_spandrel() -> None:
    """An independent port of the authors' code."""
    pytest.importorskip("spandrel")
    from spandrel.architectures.RestoreFormer.__arch.restoreformer_arch import RestoreFormer as Theirs

    theirs, ours = Theirs().double().eval(), RestoreFormer.create().double().eval()
    rule = {"gain": 1.0, "unit": None, "const": {}}
    state = {k: torch.from_numpy(fill(k, tuple(v.shape), rule)) for k, v in theirs.state_dict().items()}
    theirs.load_state_dict(state)
    ours.load_official(state)
    image = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours.network(image)[0], theirs(image)[0], atol=1e-6, rtol=1e-6)
