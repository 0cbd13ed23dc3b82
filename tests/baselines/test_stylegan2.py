"""StyleGAN2 as a prior: released names, presets, one iteration."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.stylegan2 import StyleGAN2, StyleGAN2Stage, from_nvlabs
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise
from bench.profile import count_parameters

FOLDER = Path(__file__).parents[1] / "golden"


def released(name: str) -> dict[str, Tensor]:
    """A checkpoint of that key list, without values; fixed filters and noise maps included."""
    rows = golden.read_keys(FOLDER / f"{name}.keys.csv")
    return {key: torch.empty(shape, device="meta") for key, shape, _ in rows}


def batch(count: int = 4) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return Batch(image, torch.zeros(count, 1, 64, 64))


@pytest.mark.parametrize(("preset", "layout"), [("paper", "nvlabs"), ("rosinality", "rosinality")])
def test_released_generators_fit(preset: str, layout: str) -> None:
    with torch.device("meta"):
        method = StyleGAN2.create(preset)
    state = released(f"stylegan2.{layout}.generator")
    whole = {f"G_ema.{k}": v for k, v in state.items()} | {f"G.{k}": v for k, v in state.items()}
    method.load_official({"g_ema": state} if layout == "rosinality" else whole)
    assert count_parameters(method) == {"paper": 24_767_458, "rosinality": 30_034_338}[preset]


def test_released_discriminators_fit() -> None:
    with torch.device("meta"):
        network = StyleGAN2Stage(StyleGAN2.create("paper")).adversary.network
    network.load_state_dict(from_nvlabs(released("stylegan2.nvlabs.discriminator"), network))
    assert count_parameters(network) == 24_001_089


def test_a_file_of_another_width_is_refused() -> None:
    with torch.device("meta"):
        method = StyleGAN2.create("rosinality")
    with pytest.raises(BenchError, match="options size and width"):
        method.load_official(released("stylegan2.nvlabs.generator"))


def test_it_completes_no_image() -> None:
    with pytest.raises(BenchError, match="priors"):
        StyleGAN2.create("tiny").complete(batch(), Noise(range(4)))


def test_regularisers_come_lazily() -> None:
    torch.manual_seed(0)
    stage = StyleGAN2.create("tiny").stages("embedded")[0]
    history = []
    for i in range(5):
        order: list[str] = []
        losses = stage.step(batch(), lambda name, loss, order=order: order.append(name), Noise.shared(i, 4))
        history.append((set(losses) - {"discriminator", "generator"}, order))
    both, none = ["discriminator", "discriminator", "generator", "generator"], ["discriminator", "generator"]
    assert history[0] == ({"r1", "path"}, both)
    assert history[1:4] == [(set(), none)] * 3
    assert history[4] == ({"path"}, [*none, "generator"])


@pytest.mark.slow
@pytest.mark.parametrize("name", list(StyleGAN2.golden))
def test_golden_files_pass(name: str, shared: Path) -> None:
    """Networks of up to 47 G multiply-accumulates in double precision: too slow for the other golden tests."""
    known = {name: ("stylegan2", StyleGAN2.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
