"""GPEN: released names, the StyleGAN2 inside, learning rates, losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.gpen import GPEN, GPENStage
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise

FOLDER = Path(__file__).parents[1] / "golden"


def create(**options: object) -> GPEN:
    torch.manual_seed(0)
    method = GPEN.create("tiny", **options)
    assert isinstance(method, GPEN)
    return method.eval()


def prior(**options: object) -> StyleGAN2:
    torch.manual_seed(1)
    method = StyleGAN2.create("tiny", **options)
    assert isinstance(method, StyleGAN2)
    with torch.no_grad():
        for layer in [method.generator.conv1, *method.generator.convs]:
            layer.activate.bias.normal_()
    return method


def batch(count: int = 4) -> Batch:
    image, degraded = torch.rand(2, count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Batch(image, torch.ones(count, 1, 64, 64), {"degraded": degraded})


@pytest.mark.parametrize(("preset", "name"), [("paper", "gpen.bfr512"), ("256", "gpen.bfr256")])
def test_released_files_fit(preset: str, name: str) -> None:
    with torch.device("meta"):
        method = GPEN.create(preset)
        state = {key: torch.empty(shape) for key, shape, _ in golden.read_keys(FOLDER / f"{name}.keys.csv")}
    assert "ecd1.0.0.kernel" in state
    method.load_official(state)
    del state["ecd3.0.2.bias"]
    with pytest.raises(RuntimeError, match="ecd3"):
        method.load_official(state)


@pytest.mark.parametrize(
    ("preset", "parameters"), [("256-wide", 70_447_138), ("1024", 71_210_540), ("2048", 71_294_769)]
)
def test_other_sizes_have_their_parameters(preset: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in GPEN.create(preset).parameters()) == parameters


@pytest.mark.parametrize("preset", ["paper", "256", "256-wide", "1024"])
def test_the_priors_of_the_presets_fit(preset: str) -> None:
    with torch.device("meta"):
        GPEN.create(preset).attach({"stylegan2": StyleGAN2.create(GPEN.prior_presets[preset]["stylegan2"])})


def test_it_begins_as_the_stylegan2_inside() -> None:
    method, given, code = create(), prior(), torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    method.attach({"stylegan2": given})
    network = method.network
    maps = {side: torch.randn(2, min(1024 // side, 64), side, side) for side in set(network.generator.sides)}
    with torch.no_grad():
        torch.testing.assert_close(network.generator.style(code), given.generator.style(code))
        expected = given.generator(code)
        torch.testing.assert_close(network.decode(code, maps), expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


def test_the_encoder_s_maps_are_learned_to_be_read() -> None:
    method = create()
    method.attach({"stylegan2": prior()})
    weight = method.network.generator.get_parameter("convs.1.conv.weight")
    (gradient,) = torch.autograd.grad(method.network(batch().image).square().mean(), [weight])
    assert weight[:, :, 64:].abs().max() == 0
    assert gradient[:, :, 64:].abs().max() > 0


def test_the_released_script_begins_with_random_weights() -> None:
    method = create(embedded=False)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.attach({"stylegan2": prior()})
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_a_prior_of_another_width_is_refused() -> None:
    with pytest.raises(BenchError, match=r"'width': 1024.*this prior has .*'width': 512"):
        create().attach({"stylegan2": prior(width=512)})


def test_parts_may_learn_at_another_rate() -> None:
    for slower in (1.0, 0.1):
        optimisers = GPENStage(create(slower=slower), "embedded").optimisers()
        groups = optimisers["generator"].param_groups
        counts = [sum(p.numel() for p in group["params"]) for group in groups]
        assert sum(counts) == sum(p.numel() for p in create().parameters())
        assert [group["lr"] for group in groups] == pytest.approx(
            [0.004 * 4 / 5, 0.004 * slower * 4 / 5][: len(groups)]
        )
        assert len(groups) == 1 + (slower != 1)
        assert optimisers["discriminator"].param_groups[0]["lr"] == pytest.approx(0.004 * slower * 16 / 17)


def test_the_path_length_is_penalised_each_fourth_time() -> None:
    stage = GPENStage(create(), "embedded")
    losses = [stage.step(batch(), lambda *_: None, Noise.shared(i, 4)) for i in range(5)]
    assert ["path" in found for found in losses] == [True, False, False, False, True]
    assert all(torch.isfinite(value) for found in losses for value in found.values())
