"""RFR: the network against the authors' outputs, attention and merging on numbers, the two phases."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.rfr import RFR, KnowledgeConsistentScores, RFRStage, _pass, merge, total_variation
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_parameters
from tests.baselines import thop_rule


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


def test_published_columns_follow_thops_rule() -> None:
    with torch.device("meta"):
        method = RFR.create("paper")
    parameters, cost = thop_rule.count(_pass, method)
    assert (parameters, cost) == (30_593_248, 206_171_013_120)
    assert RFR.card.published["parameters"].startswith(f"{parameters / 1e6:.2f} M")
    assert RFR.card.published["FLOPs"].startswith(f"{cost / 1e9:.2f} G")


def test_parameters_of_the_network_for_small_holes() -> None:
    with torch.device("meta"):
        assert count_parameters(RFR.create("paper", kernel=5)) == 30_929_153


def scores_by_hand(features: Tensor) -> Tensor:
    """Scores (keys, queries) of one picture, one sum at a time."""
    _, height, width = features.shape
    flat = features.flatten(1) + 1e-7
    keys = flat / flat.norm(dim=0)
    similarity = keys.T @ features.flatten(1)
    summed = torch.zeros_like(similarity)
    for y in range(height):
        for x in range(width):
            for row in range(max(y - 1, 0), min(y + 2, height)):
                for column in range(max(x - 1, 0), min(x + 2, width)):
                    summed[:, y * width + x] += similarity[:, row * width + column]
    return summed.softmax(dim=0)


def test_attention_blends_with_the_last_recurrence() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 2, 5, 4, 6, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, 4, 6, generator=generator) > 0.5).double()
    module = KnowledgeConsistentScores().double()
    module.ratio.data.fill_(-0.7)
    attended, memory = module(first, mask, None)
    _, (scores, _) = module(second, torch.ones_like(mask), memory)
    for i in range(2):
        before, now, known = scores_by_hand(first[i]), scores_by_hand(second[i]), mask[i].flatten()
        torch.testing.assert_close(memory[0][i].flatten(1), before)
        torch.testing.assert_close(
            scores[i].flatten(1), (before * known + now * 0.7) / (known + 0.7), atol=1e-6, rtol=0
        )
        keys = (first[i] + 1e-7).flatten(1)
        torch.testing.assert_close(attended[i].flatten(1), keys / keys.norm(dim=0) @ before)
    assert attended.norm(dim=1).max() <= 1 + 1e-9


def test_merging_is_the_mean_over_the_steps_that_filled_a_pixel() -> None:
    known = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    later = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3)
    merged = merge([(torch.full((1, 1, 1, 3), 2.0), known), (torch.full((1, 1, 1, 3), 6.0), later)])
    torch.testing.assert_close(merged.flatten(), torch.tensor([4.0, 2.0, 0.0]), atol=1e-5, rtol=0)


def test_total_variation_of_an_edge() -> None:
    picture = torch.zeros(1, 1, 4, 4)
    picture[..., 2:] = 1
    assert total_variation(picture).item() == pytest.approx(4 / 12)


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
