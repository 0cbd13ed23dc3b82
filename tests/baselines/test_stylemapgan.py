"""StyleMapGAN: what the mask takes from the exemplar, in which maps, and what each update trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from baselines.stylemapgan import StyleMapGAN
from baselines.stylemapgan.networks import Enlarging, ModulatedByMap, mixed
from baselines.stylemapgan.training import JointStage
from bench import golden
from bench.batch import Noise
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> StyleMapGAN:
    torch.manual_seed(0)
    return StyleMapGAN.create("tiny", None, **options).eval()


def test_the_released_names_fit() -> None:
    with torch.device("meta"):
        rows = {name: golden.read_keys(KEYS / f"stylemapgan.{name}.keys.csv") for name in ("generator", "encoder")}
        state = {name: {key: torch.empty(shape) for key, shape, _ in of} for name, of in rows.items()}
        StyleMapGAN.create().load_official({"g_ema": state["generator"], "e_ema": state["encoder"]})


def test_the_light_form_has_the_published_parameters() -> None:
    with torch.device("meta"):
        method = StyleMapGAN.create("1024-light")
    counts = [sum(p.numel() for p in network.parameters()) for network in (method.generator, method.encoder)]
    assert counts == [21_243_619, 12_784_224]


def test_a_cell_that_the_mask_touches_is_the_exemplars() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3, 5] = 1
    found = mixed(torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4), mask)
    assert found[0, 0].nonzero().tolist() == [[1, 2]]
    assert torch.equal(found[0, 0], found[0, 1])


@pytest.mark.parametrize("where", ["w+", "w"])
def test_without_a_mask_it_is_the_source_and_with_a_whole_one_the_exemplar(where: str) -> None:
    method = create(mixed=where)
    ours, theirs = torch.randn(2, 1, 16, 8, 8)
    with torch.no_grad():
        for value, expected in ((0.0, ours), (1.0, theirs)):
            found = method.edit(ours, theirs, torch.full((1, 1, 64, 64), value))
            torch.testing.assert_close(found, method.generator.decoder(expected))


def test_maps_of_all_layers_keep_the_region_narrower_than_the_stylemap() -> None:
    """A pixel of the mask takes one cell of each map, or one of the stylemap, which reaches further."""
    mask, (ours, theirs) = torch.zeros(1, 1, 64, 64), torch.randn(2, 1, 16, 8, 8)
    mask[..., 20, 20] = 1
    with torch.no_grad():
        plain = create().generator.decoder(ours)
        changed = [(create(mixed=where).edit(ours, theirs, mask) - plain).abs() for where in ("w+", "w")]
    assert 0 < changed[0].mean() < changed[1].mean()


def test_a_map_scales_and_shifts_every_pixel_of_what_is_normalised_as_a_whole() -> None:
    layer, x, style = ModulatedByMap(2, 2, 1, 3, up=False), torch.rand(1, 2, 4, 4), torch.zeros(1, 3, 4, 4)
    with torch.no_grad():
        layer.weight.copy_(2**0.5 * torch.eye(2)[None, :, :, None, None])  # the identity, once it is scaled
        torch.testing.assert_close(layer(x, style), F.layer_norm(x, (2, 4, 4)))
        layer.gamma.bias.fill_(3)
        layer.beta.bias.fill_(1)
        torch.testing.assert_close(layer(x, style), 3 * F.layer_norm(x, (2, 4, 4)) + 1)


@pytest.mark.parametrize(("kernel", "padding"), [(1, 2), (3, 1)])
def test_sides_double(kernel: int, padding: int) -> None:
    assert Enlarging(2, 3, kernel, padding=padding)(torch.rand(1, 2, 8, 8)).shape == (1, 3, 16, 16)


def test_the_updates_of_an_iteration_and_their_order() -> None:
    stage, names = JointStage(create().train(), "embedded"), []
    for _ in range(2):
        stage.step(batch(2), lambda name, loss: names.append(name), Noise.shared(0, 2))
    both = ["generator", "encoder"]
    assert names == [*both, "discriminator", "discriminator", *both, *both, "discriminator", *both]


def test_the_encoder_learns_from_made_pictures_without_changing_them() -> None:
    stage, found = JointStage(create().train(), "embedded"), {}
    method = stage.method

    def update(name: str, loss: torch.Tensor) -> None:
        if name == "encoder" and name not in found:
            found[name] = torch.autograd.grad(loss, [*method.generator.parameters()], allow_unused=True)

    stage.step(batch(2), update, Noise.shared(0, 2))
    assert all(gradient is None for gradient in found["encoder"])
