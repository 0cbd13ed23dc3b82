"""PULSE: what is searched for, on which spheres, and what its remarks tell."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from baselines.pulse import PULSE
from baselines.pulse.networks import Mapping, Synthesis
from baselines.pulse.search import SphericalAdam, norm, shrunk
from baselines.stylegan2 import StyleGAN2
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise


def made(**options: object) -> PULSE:
    torch.manual_seed(0)
    method = PULSE.create("tiny", samples=10_000, **options)
    method.attach({"stylegan2": StyleGAN2.create("tiny")})
    assert isinstance(method, PULSE)
    return method.eval()


def degraded(pictures: torch.Tensor) -> Batch:
    return Batch(torch.zeros_like(pictures), torch.ones_like(pictures[:, :1]), guides={"degraded": pictures})


def drawn(method: PULSE, count: int) -> torch.Tensor:
    """Faces of the generator, from codes such as the search begins with."""
    method.fit()
    noise = Noise(range(50, 50 + count))
    with torch.no_grad():
        z, maps = noise.normal(method.generator.codes, 64), noise.maps(method.sides)
        return method.generator(torch.cat([method.codes(one[None]) for one in z]), maps).clamp(-1, 1)


@torch.no_grad()
def test_faces_of_the_generator_are_found_again_when_they_are_small() -> None:
    method = made(steps=40)
    faces = drawn(method, 2)
    found = method.complete(degraded(faces), Noise([1, 2]))
    distances = [float((shrunk(a, 8) - shrunk(b, 8)).square().mean()) for a, b in ((found, faces), (found, -faces))]
    assert distances[0] < 0.2 * distances[1]
    assert not torch.equal(found, method.complete(degraded(faces), Noise([3, 4])))


@pytest.mark.parametrize("enough", [100.0, 100.3])  # the nearest float32 of the latter is larger, as that of 2e-3 is
@torch.no_grad()
def test_searches_without_a_match_are_told(enough: float) -> None:
    method = made(steps=2)
    assert method.remarks() == []
    stripes = torch.ones(2, 3, 64, 64)
    stripes[..., ::8] = -1
    method.complete(degraded(stripes), Noise([0, 1]))
    assert method.remarks()[0].startswith("2 of its 2 searches found no face that, at 8 px, is near enough to the")
    patient = made(steps=2, enough=enough)
    patient.complete(degraded(stripes), Noise([0, 1]))
    assert patient.remarks() == []


def test_every_part_keeps_its_length() -> None:
    tensors = [torch.randn(1, 5, 8), torch.randn(1, 1, 4, 4)]
    before = [norm(x) for x in tensors]
    found = [x.clone().requires_grad_() for x in tensors]
    adam = SphericalAdam(found, 0.4, 10)
    for _ in range(10):
        adam.step(sum((x - 1).square().sum() for x in found))
    for x, old, length in zip(found, tensors, before, strict=True):
        torch.testing.assert_close(norm(x.detach()), length)
        assert not torch.allclose(x, old, atol=0.1)


def test_the_fit_is_that_of_codes_before_the_last_activation() -> None:
    method = made()
    assert isinstance(method.generator, nn.Module)
    method.generator.style = nn.Identity()  # codes are normal values: negative ones count five times
    method.fit()
    mean = -4 / math.sqrt(2 * math.pi)
    torch.testing.assert_close(method.mean.mean(), torch.tensor(mean), atol=0.03, rtol=0)
    torch.testing.assert_close(method.deviation.mean(), torch.tensor(math.sqrt(13 - mean**2)), atol=0.03, rtol=0)


def test_released_files_take_the_place_of_the_prior(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, mapping = Synthesis(64, 1024, 64, 64), Mapping(64)
    state = network.state_dict() | {"blocks.8x8.conv0_up.intermediate.kernel": torch.ones(1, 1, 3, 3)}
    torch.save(mapping.state_dict(), tmp_path / "mapping.pt")
    torch.save({"mean": torch.full((64,), 0.1), "std": torch.ones(64)}, tmp_path / "fit.pt")
    with pytest.raises(BenchError, match=r"name gaussian_fit.pt in the option `fit_weights`"):
        PULSE.create("tiny").load_official(state)
    pictures = []
    for option, file in (("mapping_weights", "mapping.pt"), ("fit_weights", "fit.pt")):
        method = PULSE.create("tiny", steps=2, samples=10_000, **{option: tmp_path / file})
        method.load_official(state)
        pictures.append(method.complete(degraded(torch.zeros(1, 3, 96, 96)), Noise([0])))
        assert [*method.networks()] == ["synthesis", *(["mapping"] if option == "mapping_weights" else [])]
    assert pictures[0].shape == (1, 3, 96, 96)
    assert float(method.mean[0]) == pytest.approx(0.1)
    assert not torch.equal(*pictures)


def test_none_is_refused() -> None:
    with pytest.raises(BenchError, match="pulse has no generator: attach the prior stylegan2, or load the official"):
        PULSE.create("tiny").complete(degraded(torch.zeros(1, 3, 64, 64)), Noise([0]))


@pytest.mark.slow
def test_golden_file_passes(shared: Path) -> None:
    """A network of 32 G multiply-accumulates in double precision."""
    known = {"pulse.synthesis": ("pulse", PULSE.golden["pulse.synthesis"])}
    result = golden.check(shared / "golden" / "pulse.synthesis.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
