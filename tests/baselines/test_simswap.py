"""SimSwap: released names, how the identity comes in, what is compared in which turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from baselines.arcface import ArcFace
from baselines.simswap import SimSwap
from baselines.simswap.networks import Generator, InstanceNorm, Judges, Style
from baselines.simswap.training import PatchStage
from bench import golden
from bench.batch import Noise
from bench.errors import BenchError
from tests.test_methods import batch, noise, take_a_step

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> SimSwap:
    torch.manual_seed(0)
    method = SimSwap.create("tiny", **options)
    method.attach({"arcface": ArcFace.create("tiny")})
    return method.eval()


@pytest.mark.parametrize(("preset", "name"), [("paper", "generator"), ("512", "generator512")])
def test_the_released_names_fit(preset: str, name: str) -> None:
    rows = golden.read_keys(KEYS / f"simswap.{name}.keys.csv")
    with torch.device("meta"):
        method = SimSwap.create(preset)
        method.load_official({key: torch.empty(shape) for key, shape, _ in rows})


def test_identities_of_another_size_are_refused() -> None:
    with pytest.raises(BenchError, match="identities of 64 values, its prior arcface has 128: change `code`"):
        create(code=64)


def test_whose_identities_a_released_generator_reads_is_said() -> None:
    method = create()
    assert not method.remarks()
    method.load_official(method.generator.state_dict())
    assert "the authors' ArcFace" in method.remarks()[0]


def test_the_identity_of_the_exemplar_alone_counts() -> None:
    """Its pixels do not reach the picture."""
    method, given = create(), batch()
    codes = method.embed(given.need("exemplar"))
    with torch.no_grad():
        expected = method.swap(given.need("source"), codes).clamp(-1, 1)
        torch.testing.assert_close(method.complete(given, noise()), expected)
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(2))


def test_styles_scale_and_shift() -> None:
    style, x = Style(3, 2), torch.rand(1, 2, 4, 4)
    with torch.no_grad():
        style.linear.weight.zero_()
        style.linear.bias.copy_(torch.tensor([1.0, 2, 3, 4]))
        shift = torch.tensor([3.0, 4]).view(2, 1, 1)
        torch.testing.assert_close(style(x, torch.zeros(1, 3)), x * torch.tensor([2.0, 3]).view(2, 1, 1) + shift)


def test_the_norm_is_that_of_torch_with_a_smaller_constant() -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(InstanceNorm()(x), F.instance_norm(x, eps=1e-8))


def test_the_newer_form_is_linear_on_normalised_colours() -> None:
    torch.manual_seed(0)
    network, x, code = Generator(4, 3, 1, 8, centred=True).eval(), torch.rand(1, 3, 32, 32), torch.rand(1, 8)
    with torch.no_grad():
        network.last_layer[1].weight.zero_()
        network.last_layer[1].bias.fill_(2)
        expected = 2 * network.deviation + network.mean
        torch.testing.assert_close(network(x, code), expected.expand(1, 3, 32, 32))


def test_the_second_judge_sees_half_the_size() -> None:
    full, half = Judges(4, 3)(torch.rand(2, 3, 64, 64))
    assert [one.shape[-1] for one in full] == [32, 16, 8, 7, 6]
    assert [one.shape[-1] for one in half] == [16, 8, 4, 3, 2]


def test_pairs_of_one_person_and_of_two_in_turn() -> None:
    method = create()
    stage, given, wanted = PatchStage(method), batch(3), []
    swap = method.swap
    method.swap = lambda images, codes: (wanted.append(codes), swap(images, codes))[1]  # type: ignore[method-assign]
    losses = [stage.step(given, lambda name, loss: None, Noise.shared(0, 3)) for _ in range(3)]
    assert ["reconstruction" in one for one in losses] == [True, False, True]
    codes = method.embed(given.image)
    for found, expected in zip(wanted, (codes, codes[[2, 0, 1]], codes), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_last_maps_before_the_logits_are_matched() -> None:
    stage = PatchStage(create())  # 5 maps, the last of which are logits
    real = [[torch.zeros(1, 1, 2, 2)] * 5] * 2
    for i, expected in enumerate((0, 0, 1, 1, 0)):
        fake = [[torch.full((1, 1, 2, 2), float(n == i)) for n in range(5)]] * 2
        assert stage.matching(fake, real) == expected * 4 / 4


def test_the_recogniser_stays_as_it_is() -> None:
    method = create()
    before = {name: value.clone() for name, value in method.recogniser.state_dict().items()}
    take_a_step(method.train(), "embedded", batch(4))
    assert all(torch.equal(value, before[name]) for name, value in method.recogniser.state_dict().items())


def test_the_released_training_takes_a_step() -> None:
    take_a_step(create(judge="projected", resolution=64, judge_width=8, centred=True), "embedded", batch(4))
