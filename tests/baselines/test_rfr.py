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


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="multiples of 16, not 64 x 72"):
        create().generator(*torch.zeros(2, 1, 3, 64, 72))
