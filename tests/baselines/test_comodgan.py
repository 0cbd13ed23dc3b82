"""CoModGAN: released names of both layouts, dropout, losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.comodgan import CoModGAN, CoModGANStage, judge_from_released
from bench import golden
from bench.errors import BenchError
from bench.method import Batch, Noise

FOLDER = Path(__file__).parents[1] / "golden"


def released(name: str, device: str = "meta") -> dict[str, Tensor]:
    """A checkpoint of that key list; stored noise maps included."""
    rows = golden.read_keys(FOLDER / f"{name}.keys.csv")
    return {key: torch.empty(shape, device=device) for key, shape, _ in rows}


def create(**options: object) -> CoModGAN:
    torch.manual_seed(0)
    return CoModGAN.create("tiny", **options)


def batch(count: int = 4) -> Batch:
    image = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(count, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    return Batch(image, mask)


@pytest.mark.parametrize("name", ["comodgan.generator", "comodgan.tf.generator"])
def test_released_generators_fit(name: str) -> None:
    with torch.device("meta"):
        method = CoModGAN.create()
    state = released(name)
    method.load_official(state)
    if "tf" in name:  # as read from the pickle of (G, D, Gs)
        other = {"0.lod": torch.empty(()), "1.Output/bias": torch.empty(1), "2.dlatent_avg": torch.empty(512)}
        method.load_official({f"2.{key}": value for key, value in state.items()} | other)


def test_released_discriminator_fits() -> None:
    with torch.device("meta"):
        network = CoModGANStage(CoModGAN.create()).adversary.network
    network.load_state_dict(judge_from_released(released("comodgan.tf.discriminator"), 256))


def test_the_official_input_becomes_ours() -> None:
    """[valid - 0.5, image] through the released weights equals [image, mask - 0.5] through ours."""
    with torch.device("meta"):
        method = CoModGAN.create()
    key = "G_synthesis.E.256x256_0.FromRGB.0.weight"
    theirs = torch.randn(released("comodgan.generator")[key].shape)
    method.to_empty(device="cpu").load_official(released("comodgan.generator", "cpu") | {key: theirs})
    ours = method.generator.down_from_big[0].weight
    image, mask = torch.randn(1, 3, 8, 8), (torch.rand(1, 1, 8, 8) < 0.5).float()
    expected = torch.nn.functional.conv2d(torch.cat([1 - mask - 0.5, image], 1), theirs)
    given = torch.nn.functional.conv2d(torch.cat([image, mask - 0.5], 1), ours)
    torch.testing.assert_close(given, expected)


@pytest.mark.parametrize(("dropout", "varies"), [("training", False), ("always", True)])
def test_dropout_of_the_global_code(dropout: str, varies: bool) -> None:
    """In tests it is on only as in the official code; the same codes then give other images."""
    generator, data = create(dropout=dropout).eval().generator, batch(1)
    codes = torch.randn(1, generator.codes, 64)
    with torch.no_grad():  # the noise layers have strength 0 before training
        first, second = (generator(data.masked, data.mask, codes, **generator.random(Noise([seed]))) for seed in (0, 1))
    assert torch.equal(first, second) != varies


def test_losses_and_their_order() -> None:
    stage, order = create().stages("embedded")[0], []
    losses = stage.step(batch(), lambda name, loss: order.append(name), Noise.shared(0, 4))
    assert order == ["discriminator", "discriminator", "generator"]
    assert set(losses) == {"discriminator", "r1", "generator", "l1"}
    assert set(create(l1=0).stages("embedded")[0].step(batch(), lambda *_: None, Noise.shared(0, 4))) == {
        "discriminator", "r1", "generator",
    }  # fmt: skip


def test_r1_is_the_gradient_of_the_image_alone() -> None:
    """D([image, mask]) = <a, [image, mask]>: the part of a for the mask does not count."""
    stage, weight = create().stages("embedded")[0], torch.randn(1, 4, 64, 64)

    class Plane(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * weight).sum((1, 2, 3))

    stage.adversary.network = Plane()
    losses = stage.step(batch(), lambda name, loss: None, Noise.shared(0, 4))
    assert losses["r1"].item() == pytest.approx(weight[:, :3].square().sum().item(), rel=1e-4)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(BenchError, match="images of 64 x 64, as its option `size` says, not 32 x 32"):
        create().complete(Batch(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)), Noise([0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CoModGAN.golden))
def test_golden_files_pass(name: str, shared: Path) -> None:
    """Networks of up to 91 G multiply-accumulates in double precision: too slow for the other golden tests."""
    known = {name: ("comodgan", CoModGAN.golden[name])}
    result = golden.check(shared / "golden" / f"{name}.npz", shared / "specs", known)
    assert result.passed, golden.line(result)
