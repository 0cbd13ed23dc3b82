"""SC-FEGAN: what of the guides the network sees, its normalisation and losses, the released names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.scfegan import HAIR, SCFEGAN, SCFEGANStage, drawn, hole_variation, normalised
from bench import golden
from bench.batch import Batch, Noise
from bench.data.labels import ORDERS, OWN
from bench.errors import BenchError

KEYS = Path(__file__).parents[1] / "golden/scfegan.generator.keys.csv"


def create(**options) -> SCFEGAN:
    torch.manual_seed(0)
    return SCFEGAN.create("tiny", **options)


def batch(size: int = 2) -> Batch:
    """Smooth pictures with square holes and all guides; the lower half is hair."""
    generator = torch.Generator().manual_seed(0)
    image, colour = (
        F.interpolate(x, (64, 64), mode="bilinear") * 2 - 1 for x in torch.rand(2, size, 3, 8, 8, generator=generator)
    )
    mask = torch.zeros(size, 1, 64, 64)
    mask[:, :, 20:44, 16:40] = 1
    labels = torch.ones(size, 64, 64, dtype=torch.uint8)
    labels[:, 32:] = HAIR
    return Batch(image, mask, {"sketch": (image[:, :1] > 0).float(), "colour": colour, "semantics": labels})


def stage(**options) -> SCFEGANStage:
    return create(**options).train().stages("embedded")[0]


def seen(given: Batch) -> Tensor:
    """What the generator is given."""
    method, inputs = create().eval(), []
    method.generator.register_forward_pre_hook(lambda module, x: inputs.append(x[0]))
    with torch.no_grad():
        method.complete(given, Noise([0, 1]))
    return inputs[0]


def test_guides_and_noise_are_seen_in_the_hole_alone() -> None:
    given = batch()
    x = seen(given)
    assert x.shape == (2, 9, 64, 64)
    assert torch.equal(x[:, :3], given.masked)
    assert torch.equal(x[:, 3:7], torch.cat([given.sketch, given.colour], dim=1) * given.mask)
    assert torch.equal(x[:, 7:8], given.mask)
    assert (x[:, 3:] * (1 - given.mask)).abs().max() == 0
    specks = x[:, 8:][given.mask > 0]
    assert specks.unique().tolist() == [0, 1]
    assert specks.mean() == pytest.approx(0.159, abs=0.03)


def test_no_colour_is_black_in_the_hole() -> None:
    given = batch().guided(sketch=None, colour=None)
    assert torch.equal(drawn(given), torch.cat([0 * given.mask, -given.mask.expand(-1, 3, -1, -1)], dim=1))


def test_the_normalisation_is_tensorflows() -> None:
    """tf.nn.local_response_normalization(x, bias=0.00005), then leaky ReLU."""
    x = torch.randn(2, 24, 5, 7, dtype=torch.float64)
    expected = F.leaky_relu(F.local_response_norm(x, 11, alpha=11, beta=0.5, k=5e-5), 0.2)
    torch.testing.assert_close(normalised(x), expected)
    torch.testing.assert_close(normalised(x.contiguous(memory_format=torch.channels_last)), expected)


def test_guides_are_dropped_apart() -> None:
    given, noise = batch(), Noise.shared(0, 2)
    absent = drawn(given.guided(sketch=None, colour=None))
    assert torch.equal(stage(dropped=0.0).shown(given, noise), drawn(given))
    assert torch.equal(stage(dropped=1.0).shown(given, noise), absent)
    image, mask, *lines = (x.repeat(32, 1, 1, 1) for x in (given.image, given.mask, given.sketch, given.colour))
    many = Batch(image, mask, dict(zip(("sketch", "colour"), lines, strict=True)))
    shown = stage(dropped=0.5).shown(many, Noise.shared(0, 64))
    kept = [((shown[:, part] - drawn(many)[:, part]) == 0).flatten(1).all(1) for part in (slice(1), slice(1, 4))]
    assert {(bool(a), bool(b)) for a, b in zip(*kept, strict=True)} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_hair_is_erased_too() -> None:
    assert ORDERS[OWN][HAIR] == "hair"
    given = batch()
    assert torch.equal(stage(hair=0.0).erased(given, Noise.shared(0, 2)).mask, given.mask)
    mask = stage(hair=1.0).erased(given, Noise.shared(0, 2)).mask
    assert torch.equal(mask, torch.maximum(given.mask, (given.semantics[:, None] == HAIR).float()))


def test_the_guides_that_it_learns_from_are_an_option() -> None:
    assert stage().guides == ("sketch", "colour", "semantics")
    assert stage(guides=("sketch",), hair=0.0).guides == ("sketch",)


def test_the_variation_counts_neighbours_in_the_hole() -> None:
    image, mask = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., 1:3, 1:3] = 1
    image[..., 1, 1] = 1
    assert hole_variation(image, mask) == pytest.approx(2 / 12)
    assert hole_variation(1 - mask, mask) == 0  # its border is no edge


def test_the_penalty_has_no_gradient_outside_the_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    given, asked = batch(), []

    def penalty(critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        x = fake.clone().requires_grad_()
        asked.append(torch.autograd.grad(critic(x).sum(), x)[0])
        return x.sum() * 0

    monkeypatch.setattr("baselines.scfegan.gradient_penalty", penalty)
    stage(hair=0.0).step(given, lambda name, loss: None, Noise.shared(0, 2))
    assert asked[0].abs().max() > 0
    assert (asked[0] * (1 - given.mask)).abs().max() == 0


def test_the_optimisers_are_those_of_the_sheet() -> None:
    for optimiser in stage(learning_rate=1e-4).optimisers().values():
        assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (1e-4, (0.5, 0.9))


def test_a_released_file_is_taken_strictly() -> None:
    with torch.device("meta"):
        method = SCFEGAN.create("paper")
        names = {key: torch.empty(shape) for key, shape, _ in golden.read_keys(KEYS)}
        method.load_official(names | {"discriminator/conv1/kernel": torch.empty(1), "global_step": torch.empty(1)})
        with pytest.raises(RuntimeError, match="gconv99"):
            method.load_official(names | {"generator/gconv99/kernel": torch.empty(1)})
        lacking = {key: value for key, value in names.items() if key != "generator/gconv9_g/bias"}
        with pytest.raises(KeyError, match="gconv9_g/bias"):
            method.load_official(lacking)
        with pytest.raises(BenchError, match="generator/"):
            method.load_official({"conv.weight": torch.empty(1)})
