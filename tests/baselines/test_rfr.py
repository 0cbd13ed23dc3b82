"""RFR: the network against the authors' outputs, the two phases."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.rfr import RFR, RFRStage
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_parameters


def create(**options) -> RFR:
    torch.manual_seed(0)
    return RFR.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes."""
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(size, 3, 8, 8, generator=generator), (64, 64), mode="bilinear") * 2 - 1
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


def test_parameters_of_the_network_for_small_holes() -> None:
    with torch.device("meta"):
        assert count_parameters(RFR.create("paper", kernel=5)) == 30_929_153


@pytest.mark.parametrize(("phase", "rate", "learns_statistics"), [(0, 1e-3, True), (1, 3e-4, False)])
def test_fine_tuning_freezes_the_statistics_alone(phase: int, rate: float, learns_statistics: bool) -> None:
    method = create().train()
    stage: RFRStage = method.stages("embedded")[phase]
    optimiser = stage.optimisers()["generator"]
    assert optimiser.param_groups[0]["lr"] == rate
    norms = [layer for layer in method.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [(n.running_mean.clone(), n.bias.detach().clone()) for n in norms]

    def update(name: str, loss: Tensor) -> None:
        loss.backward()
        optimiser.step()

    stage.step(batch(), update, Noise.shared(0, 2))
    for norm, (mean, bias) in zip(norms, before, strict=True):
        assert torch.equal(norm.running_mean, mean) != learns_statistics
        assert not torch.equal(norm.bias, bias)


def test_a_hole_that_the_recurrences_do_not_reach_is_decoded_from_zeros() -> None:
    method, seen = create(recurrences=1).eval(), []
    method.generator.Tconv.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 2:62, 2:62] = 1
    with torch.no_grad():
        assert method.complete(Batch(batch(1).image, mask), Noise([0])).isfinite().all()
    assert seen[0][..., 15:17, 15:17].abs().max() == 0
    assert seen[0][..., :4, :].abs().max() > 0


def test_each_recurrence_fills_two_windows_more_and_keeps_nothing_beyond() -> None:
    method, outputs, masks = create(recurrences=3).eval(), [], []
    generator = method.generator
    generator.RFRModule.register_forward_pre_hook(lambda module, inputs: masks.append(inputs[1]))
    generator.Pconv21.register_forward_pre_hook(lambda module, inputs: outputs.append(inputs[0]))
    known = torch.zeros(1, 1, 64, 64)
    known[..., 0] = 1
    with torch.no_grad():
        method.complete(Batch(batch(1).image, 1 - known), Noise([0]))
    kernel, border = generator.Pconv21.kernel_size[0], generator.Pconv21.kernel_size[0] // 2
    expected = F.max_pool2d(F.max_pool2d(known, 7, 2, 3), kernel, 1, border)
    for step in range(3):
        if step:
            assert (outputs[step] * (1 - expected)).abs().max() == 0
        for _ in range(2):
            expected = F.max_pool2d(expected, kernel, 1, border)
        assert torch.equal(masks[step], expected)


def test_attention_is_carried_over_recurrences_but_not_over_images() -> None:
    method, memories = create(recurrences=3).eval(), []
    method.generator.RFRModule.register_forward_pre_hook(lambda module, inputs: memories.append(inputs[2]))
    with torch.no_grad():
        for _ in range(2):
            method.complete(batch(), Noise([0, 1]))
    assert [memory is None for memory in memories] == [True, False, False] * 2
    scores = memories[1][0]
    torch.testing.assert_close(scores.sum(1), torch.ones_like(scores[:, 0]))


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 16, not 64 x 72"):
        create().generator(*torch.zeros(2, 1, 3, 64, 72))
