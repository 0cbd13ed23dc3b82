"""APFI: area identification, merging and attention over the recurrences, the losses on numbers, the two stages."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.nn.perceptual import gram
from methods.apfi import APFI, APFIStage, FeatureLosses, Gated, vgg_face


def create(**options) -> APFI:
    torch.manual_seed(0)
    return APFI.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 12:56, 12:56] = 1
    return Batch(image, mask)


def test_the_known_area_grows_by_two_windows_a_recurrence() -> None:
    method, data = create(recurrences=2).eval(), batch()
    known = 1 - data.mask
    with torch.no_grad():
        steps = method.generator.infer(data.masked, known)
    expected = F.max_pool2d(F.max_pool2d(known, 7, 2, 3), 7, 1, 3)
    for _, mask in steps:
        assert torch.equal(mask, expected)
        expected = F.max_pool2d(expected, 13, 1, 6)
    first, second = steps[1], steps[2]
    assert first[1].mean() < second[1].mean()
    assert (first[0] * (1 - first[1])).abs().max() == 0  # beyond the known area nothing is kept


def test_attention_is_carried_over_recurrences_but_not_over_images() -> None:
    method, data = create(recurrences=3).eval(), batch()
    memories = []
    method.generator.reason.att.register_forward_pre_hook(lambda module, inputs: memories.append(inputs[2]))
    with torch.no_grad():
        method.complete(data, Noise([0, 1]))
        method.complete(data, Noise([0, 1]))
    assert [memory is None for memory in memories] == [True, False, False] * 2
    scores, mask = memories[1]
    assert scores.shape == (2, 64, 8, 8) and mask.shape == (2, 1, 8, 8)
    torch.testing.assert_close(scores.sum(1), torch.ones(2, 8, 8))


def test_gated_convolution_by_hand() -> None:
    layer = Gated(2, 3).eval()
    x = torch.randn(1, 2, 6, 6)
    features, gates = layer.feature(x), layer.gate(x)
    expected = torch.where(features > 0, features, 0.2 * features) / (1 + torch.exp(-gates))
    torch.testing.assert_close(layer(x), expected / (1 + 1e-5) ** 0.5)


def test_feature_losses_by_hand() -> None:
    losses, (a, b) = FeatureLosses(create().config, "embedded"), batch().image
    perceptual, style = losses(a[None], b[None])
    ours, theirs = (losses.network(x[None])[:3] for x in (a, b))
    assert perceptual.item() == pytest.approx((ours[2] - theirs[2]).square().sum().item() / ours[2].numel(), rel=1e-4)
    frobenius = sum((gram(x) - gram(y)).norm().item() ** 2 for x, y in zip(ours, theirs, strict=True))
    assert style.item() == pytest.approx(frobenius, rel=1e-4)


def test_face_weights_are_taken_from_a_file(tmp_path: Path) -> None:
    widths = {1: (3, 64, 64), 2: (64, 128, 128), 3: (128, 256, 256, 256)}
    state = {}
    for block, sizes in widths.items():
        for i, (before, after) in enumerate(pairwise(sizes), start=1):
            state[f"conv{block}_{i}.weight"] = torch.randn(after, before, 3, 3)
            state[f"conv{block}_{i}.bias"] = torch.randn(after)
    path = tmp_path / "vgg_face.pth"
    torch.save(state, path)
    network = vgg_face(["relu1_2", "relu2_2", "relu3_3"], path)
    seen: list[Tensor] = []
    network.network[0].register_forward_hook(lambda module, inputs, output: seen.extend([inputs[0], output.clone()]))
    network(torch.ones(1, 3, 16, 16))
    colour = 255 - torch.tensor([129.1863, 104.7624, 93.5940])
    torch.testing.assert_close(seen[0][0, :, 8, 8], colour, rtol=1e-4, atol=1e-3)
    expected = F.conv2d(seen[0], state["conv1_1.weight"], state["conv1_1.bias"], padding=1)
    torch.testing.assert_close(seen[1], expected)
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(BenchError, match="conv1_1"):
        vgg_face(["relu3_3"], path)


@pytest.mark.parametrize(("phase", "rate", "learns_statistics"), [(0, 1e-3, True), (1, 3e-4, False)])
def test_fine_tuning_freezes_the_statistics_and_keeps_the_discriminator(
    phase: int, rate: float, learns_statistics: bool
) -> None:
    method = create(recurrences=1).train()
    stages = method.stages("embedded")
    stage = stages[phase].train()
    assert isinstance(stage, APFIStage) and stage.discriminator is stages[0].discriminator
    optimisers = stage.optimisers()
    assert all(optimiser.param_groups[0]["lr"] == rate for optimiser in optimisers.values())
    norms = [layer for layer in method.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [(n.running_mean.clone(), n.bias.detach().clone()) for n in norms]

    def update(name: str, loss: Tensor) -> None:
        parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
        ):
            parameter.grad = gradient
        optimisers[name].step()

    losses = stage.step(batch(), update, Noise.shared(0, 2))
    assert losses.keys() == {"l1", "perceptual", "style", "generator", "discriminator"}
    for norm, (mean, bias) in zip(norms, before, strict=True):
        assert torch.equal(norm.running_mean, mean) != learns_statistics
        assert not torch.equal(norm.bias, bias)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 16, not 64 x 72"):
        create().generator(torch.zeros(1, 3, 64, 72), torch.zeros(1, 1, 64, 72))
