"""InvertFill: where the encoder's maps enter the generator, the mean latent, both stages and their losses."""

from __future__ import annotations

import pytest
import torch

from baselines.invertfill import ContextBlock, InvertFill, PreModulation
from baselines.stylegan2 import StyleGAN2
from bench.errors import BenchError
from bench.method import Batch, Noise


def create(preset: str = "tiny", prior: StyleGAN2 | None = None, **options: object) -> InvertFill:
    torch.manual_seed(0)
    method = InvertFill.create(preset, **options)
    method.attach({"stylegan2": prior or StyleGAN2.create("tiny")})
    return method.eval()


def batch(count: int = 2) -> Batch:
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    return Batch(torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, mask)


def test_a_context_block_weighs_its_branches_at_each_place() -> None:
    """Branches that all give 1 are worth 1 together, whatever the weights."""
    torch.manual_seed(0)
    block, x = ContextBlock(4, (1, 2, 4)), torch.randn(2, 4, 9, 7)
    for branch in block.branches:
        torch.nn.init.zeros_(branch.weight)
        torch.nn.init.ones_(branch.bias)
    torch.testing.assert_close(block(x), x + 1)


def test_every_style_reads_the_map_of_its_size() -> None:
    torch.manual_seed(0)
    network, maps = PreModulation(10, 8, 6), [torch.randn(1, 8, side, side) for side in (4, 8, 16)]
    before = network(maps)
    for number, own in enumerate((range(3), range(3, 7))):
        after = network([x + (i == number) for i, x in enumerate(maps)])
        assert [not torch.equal(before[:, i], after[:, i]) for i in range(10)] == [i in own for i in range(10)]
    everywhere = network([*maps[:2], maps[2] + 1])  # it modulates all of them
    assert all(not torch.equal(before[:, i], everywhere[:, i]) for i in range(10))


def test_maps_of_the_encoder_enter_at_three_sizes_where_pixels_are_known() -> None:
    assert InvertFill.presets["paper"].layer == 7
    method, given, entered = create(), batch(1), []
    maps = [torch.randn(1, channels, side, side) for channels, side in ((64, 16), (64, 32), (32, 64))]
    edit = method.mixed(maps, 1 - given.mask)
    with torch.no_grad():
        for layer, module in enumerate([method.decoder.conv1, *method.decoder.convs]):
            side = method.decoder.sides[layer]
            own = torch.randn(1, module.activate.bias.numel(), side, side)
            mixed = edit(layer, own)
            if not torch.equal(mixed, own):
                entered.append((side, layer))
                quarter = side // 4
                hole = slice(quarter, 3 * quarter)
                assert torch.equal(mixed[..., hole, hole], own[..., hole, hole])
                number = len(entered) - 1
                theirs = method.features[number](maps[number])
                torch.testing.assert_close(mixed[..., :quarter, :], theirs[..., :quarter, :])
    firsts = {side: method.decoder.sides.index(side) for side in (16, 32, 64)}
    assert entered == list(firsts.items())


def test_the_mean_latent_follows_fresh_codes_in_training_alone() -> None:
    method = create(mean_decay=0.75)
    before = method.mean_latent.clone()
    with torch.no_grad():
        method.complete(batch(), Noise([0, 1]))
        assert torch.equal(method.mean_latent, before)
        method.follow(Noise.shared(0, 2))
        fresh = method.decoder.style(Noise.shared(0, 2).normal(8, 64).flatten(0, 1)).mean(0)
    torch.testing.assert_close(method.mean_latent, 0.75 * before + 0.25 * fresh)


def test_losses_of_a_step() -> None:
    """The critic first, on composites; then all losses by their weights."""
    method, order, totals, seen = create().train(), [], [], []
    stage = method.stages("embedded")[0]
    stage.adversary.network.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))

    def update(name: str, loss: torch.Tensor) -> None:
        order.append(name)
        totals.append(loss.detach())

    losses = stage.step(batch(), update, Noise.shared(0, 2))
    assert order == ["discriminator", "discriminator", "generator"]
    weights = {"l1": 1.0, "lpips": 0.8, "identity": 0.1, "adversarial": 0.1, "norm": 0.005}
    expected = sum(weight * losses[name] for name, weight in weights.items())
    torch.testing.assert_close(totals[-1], expected.detach())
    known = (1 - batch().mask).bool().expand(-1, 3, -1, -1)
    assert torch.equal(seen[1][known], batch().image[known]) and not torch.equal(seen[1], batch().image)


def test_the_second_stage_trains_a_copy_of_the_generator_but_for_its_mapping() -> None:
    prior = StyleGAN2.create("tiny")
    method = create(prior=prior, alone=0.25).train()
    held = {name: value.clone() for name, value in prior.state_dict().items()}
    stages = method.stages("embedded")
    assert [stage.share for stage in stages] == [0.25, 0.75]
    assert stages[0].adversary is stages[1].adversary
    for stage, moved in zip(stages, ({"encoder", "modulation", "features"}, {"decoder"}), strict=True):
        before = {name: value.clone() for name, value in method.state_dict().items()}
        optimisers = stage.optimisers()

        def update(name: str, loss: torch.Tensor, optimisers=optimisers) -> None:
            parameters = [p for group in optimisers[name].param_groups for p in group["params"]]
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimisers[name].step()

        stage.step(batch(), update, Noise.shared(0, 2))
        changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
        assert moved <= {name.split(".")[0] for name in changed}
        assert not any(name.startswith("decoder.style.") for name in changed)
        assert ("decoder" in moved) == any(name.startswith("decoder.") for name in changed)
    assert all(torch.equal(value, held[name]) for name, value in prior.state_dict().items())


def test_a_prior_of_another_size_is_refused() -> None:
    with torch.device("meta"), pytest.raises(BenchError, match="256 px and codes of 512, its prior stylegan2 makes 64"):
        create("paper")
