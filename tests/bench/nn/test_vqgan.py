"""Blocks of VQGAN: what the codebook gives and learns, attention, and when and how much a discriminator counts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench import registry
from bench.batch import Batch, Noise
from bench.nn.vqgan import (
    Adversary,
    Attention,
    Down,
    LateCodes,
    Occurring,
    PatchDiscriminator,
    Quantiser,
    Reservoir,
    ResidualBlock,
    Usage,
    begin_with_shortcuts,
)


def test_the_codebook_gives_the_entry_next_to_each_vector_and_lets_gradients_pass() -> None:
    codebook = Quantiser(3, 2)
    with torch.no_grad():
        codebook.embedding.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 4.0]]))
    z = torch.tensor([[0.9, 0.1], [0.2, 3.0]]).T.reshape(1, 2, 1, 2).requires_grad_()
    found, loss, numbers = codebook(z)
    assert numbers.tolist() == [[[1, 2]]]
    assert found[0, :, 0].T.tolist() == [[1, 0], [0, 4]]
    squares = (0.1**2 + 0.1**2 + 0.2**2 + 1) / 4
    assert float(loss.detach()) == pytest.approx(1.25 * squares)
    (straight,) = torch.autograd.grad(found.sum(), z, retain_graph=True)
    assert torch.equal(straight, torch.ones_like(z))
    towards, moved = torch.autograd.grad(loss, [z, codebook.embedding.weight])
    torch.testing.assert_close(towards, 2 * (z - found).detach() / 4)
    torch.testing.assert_close(moved[1], 0.25 * 2 * torch.tensor([0.1, -0.1]) / 4)


def test_k_means_finds_clusters_and_leaves_what_is_nearest_to_none() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    reservoir = Reservoir(80, 2, 20)  # more than comes in: the rest does not count
    for at in centres:
        reservoir.collect((at + 0.01 * torch.randn(1, 4, 5, 2)).movedim(-1, 1), Noise.shared(0, 1))
    codes = torch.zeros(3, 2)
    reservoir.estimate(codes)
    torch.testing.assert_close(codes, centres, atol=0.02, rtol=0)
    alike = Reservoir(8, 2, 8)
    alike.collect(torch.ones(1, 2, 2, 4), Noise.shared(0, 1))
    twice = torch.zeros(4, 2)
    alike.estimate(twice)
    assert torch.equal(twice, torch.ones(4, 2))


def test_the_reservoir_takes_as_many_of_each_iteration() -> None:
    reservoir = Reservoir(32, 2, 4)
    for number in range(12):  # the first four are replaced
        reservoir.collect(torch.full((2, 2, 4, 4), float(number)), Noise.shared(number, 2))
    assert reservoir.vectors[:, 0].tolist() == [float(n) for n in (8, 9, 10, 11, 4, 5, 6, 7) for _ in range(4)]


def test_codes_that_come_late_are_means_of_vectors_and_then_learn() -> None:
    quantiser, late = Quantiser(4, 2), LateCodes(4, 2, estimated=(0.25, 0.75))
    z = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    steps = 4 * LateCodes.EVERY
    before, means = float(quantiser(z)[1].detach()), []
    for number in range(steps):
        codes, told = late.quantise(quantiser, z, steps, Noise.shared(number, 2))
        loss = told["codebook"]
        if number < LateCodes.EVERY:
            assert codes is z
            assert float(loss) == 0
            assert set(told) == {"codebook"}
            continue
        assert set(told) == {"codebook", "codes used", "codes entropy"}
        torch.testing.assert_close(codes, quantiser(z)[0])
        with torch.no_grad():
            if float(loss.detach()) < before / 2:
                means.append(number)
            quantiser.embedding.weight += 1  # as if it learned
    assert means == [LateCodes.EVERY, 2 * LateCodes.EVERY]  # estimated twice


def test_codes_are_there_at_once_where_none_come_late() -> None:
    quantiser, late, z = Quantiser(4, 2), LateCodes(4, 2, estimated=(0, 0)), torch.randn(1, 2, 4, 4)
    before = quantiser.embedding.weight.clone()
    torch.testing.assert_close(late.quantise(quantiser, z, 4, Noise.shared(0, 1))[0], quantiser(z)[0])
    assert torch.equal(quantiser.embedding.weight, before)


def test_the_use_of_codes_is_that_of_the_latest_iterations() -> None:
    usage = Usage(4)
    for number in (3, 0, 1):  # the first leaves the window
        told = usage.told(torch.tensor([[[number]]]))
        if number == 0:
            for _ in range(Usage.WINDOW - 2):
                told = usage.told(torch.tensor([[[0]]]))
            assert float(told["codes used"]) == 0.5
    assert float(told["codes used"]) == 0.5  # 0 and 1
    rare = 1 / Usage.WINDOW
    assert float(told["codes entropy"]) == pytest.approx(-rare * math.log(rare) - (1 - rare) * math.log(1 - rare))


def test_a_network_can_begin_with_its_shortcuts() -> None:
    torch.manual_seed(0)
    network, x = (
        nn.Sequential(ResidualBlock(64, 64), Attention(64), ResidualBlock(64, 96), Down(96)),
        torch.randn(2, 64, 16, 16),
    )
    begin_with_shortcuts(network)
    with torch.no_grad():
        torch.testing.assert_close(network[1](network[0](x)), x, atol=0.5, rtol=0)
        assert float(network(x).std()) == pytest.approx(1, abs=0.25)


def test_heads_share_the_channels() -> None:
    """The weights of one head do not change what the other gives."""
    torch.manual_seed(0)
    block, x = Attention(8, heads=2, groups=2), torch.randn(1, 8, 3, 2)
    with torch.no_grad():
        block.proj_out.weight.copy_(torch.eye(8)[:, :, None, None])
        before = block(x)
        block.q.weight[4:] *= 2
        changed = (block(x) != before).flatten(2).any(2)[0]
    assert changed.tolist() == [False] * 4 + [True] * 4


def test_a_discriminator_joins_late_and_is_weighed_by_gradients() -> None:
    adversary = Adversary(nn.Identity(), weight=0.5, most=10, start=0.5)
    assert [adversary.joins(4) for _ in range(4)] == [False, False, True, True]
    adversary = Adversary(nn.Identity(), weight=0.5, most=10, start=0.5)
    assert adversary.joins(0)  # a training without an end
    last = torch.ones(1, requires_grad=True)
    loss = adversary.fooled(last * 2, (last * 6).sum(), last)  # gradients 6 and -2
    assert float(loss.detach()) == pytest.approx(0.5 * 3 * -2, rel=1e-3)
    assert float(adversary.fooled(last * 2, (last * 600).sum(), last).detach()) == pytest.approx(0.5 * 10 * -2)


@pytest.mark.parametrize("halvings", [3, 4])
def test_patches_of_a_discriminator(halvings: int) -> None:
    with torch.no_grad():
        logits = PatchDiscriminator(8, halvings)(torch.zeros(2, 3, 128, 128))
    assert logits.shape == (2, 1, (128 >> halvings) - 2, (128 >> halvings) - 2)


def test_codes_of_completed_pictures_are_counted_once_an_image() -> None:
    occurring, blank = Occurring(4), torch.zeros(2, 1, 1, 1)
    assert occurring.told() == []
    for _ in range(2):
        occurring.note(Batch(blank, blank, ids=("a", "b")), torch.tensor([[[0, 0]], [[0, 3]]]))
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert occurring.told() == [f"of its 4 codes 50% occur, with an entropy of {entropy:.2f} nats of 1.39"]


@pytest.mark.parametrize("slug", ["codeformer", "restoreformer", "vqfr"])
def test_methods_of_codes_say_which_occur(slug: str) -> None:
    method = registry.get(slug).load().create("tiny").eval()
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        method.complete(Batch(images, torch.ones(2, 1, 64, 64), {"degraded": images}), Noise([1, 2]))
    (told,) = method.remarks()
    assert told.startswith(f"of its {method.config.codes} codes ")
