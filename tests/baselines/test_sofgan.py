"""SofGAN: its classes, what a label map and two styles do in the generator, what training draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.sofgan import SofGAN
from baselines.sofgan.labels import CLASS, CLASSES, GROUPS, LEFT, RIGHT, grouped, halved, layout
from baselines.sofgan.networks import HalfMoments, LaidConv, LayoutModulation, aligned, regional
from baselines.sofgan.training import SofGANStage, cropped
from bench import golden
from bench.batch import Noise
from bench.data.labels import CELEBAMASK, ORDERS
from bench.nn.stylegan2_blocks import ModulatedConv2d
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"
NAMES = ORDERS[CELEBAMASK]


def create(**options: Any) -> SofGAN:
    torch.manual_seed(0)
    return SofGAN.create("tiny", **options)


def drawn(**boxes: slice) -> Tensor:
    """CelebAMask-HQ's planes (1, 19, 8, 8), a part in these columns, skin elsewhere."""
    labels = torch.full((1, 8, 8), NAMES.index("skin"))
    for name, columns in boxes.items():
        labels[..., columns] = NAMES.index(name)
    return F.one_hot(labels, len(NAMES)).movedim(-1, 1).float()


def test_the_released_names_fit() -> None:
    rows = golden.read_keys(KEYS / "sofgan.generator.keys.csv")
    found = {key: shape for key, shape, kind in rows if kind == "param"}
    with torch.device("meta"):
        method = SofGAN.create()
        method.load_official({"g_ema": {key: torch.empty(shape) for key, shape, _ in rows}, "g": {}})
    assert {key: tuple(value.shape) for key, value in method.generator.state_dict().items()} == found


@pytest.mark.parametrize(("preset", "count"), [("512", 30_584_097), ("1024", 30_677_574)])
def test_larger_generators_have_the_published_parameters(preset: str, count: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in SofGAN.create(preset).parameters()) == count


def test_every_class_has_a_group() -> None:
    assert CLASS.keys() == set(NAMES)
    assert sorted(number for group in GROUPS for number in group) == [*range(CLASSES)]


def test_the_nose_is_cut_at_its_middle() -> None:
    found = layout(drawn(nose=slice(2, 6), l_eye=slice(6, 7), r_eye=slice(7, 8)), 16)
    columns = {number: found[0, number, 0].nonzero()[:, 0].tolist() for number in (1, RIGHT, LEFT, 3)}
    assert columns == {1: [0, 1, 2, 3], RIGHT: [4, 5, 6, 7], LEFT: [8, 9, 10, 11], 3: [12, 13, 14, 15]}
    assert (found.sum(1) == 1).all()


def test_no_nose_and_no_label_are_nothing() -> None:
    found = layout(drawn(), 8)
    assert not found[:, [RIGHT, LEFT]].any()
    assert not layout(torch.zeros(1, 19, 8, 8), 8).any()


def test_half_of_the_groups_that_are_present_go_to_the_first_style() -> None:
    seen = layout(drawn(hair=slice(0, 2), nose=slice(2, 4), cloth=slice(4, 5)), 8)  # skin with nose, cloth, hair
    chosen = set()
    for order in torch.rand(40, 1, len(GROUPS), generator=torch.Generator().manual_seed(0)):
        regions = halved(seen, order)
        assert torch.equal(regions.sum(1), torch.ones(1, 8, 8))
        names = [i for i, plane in enumerate(grouped(seen)[0]) if (plane * regions[0, 0]).any()]
        assert len(names) == 1
        chosen.add(GROUPS[names[0]])
    assert chosen == {GROUPS[1], (14,), (15,)}


def test_halves_of_z_are_normalised_apart() -> None:
    z = torch.randn(2, 8)
    z[:, 4:] *= 100
    found = HalfMoments()(z)
    torch.testing.assert_close(found.unflatten(1, (2, 4)).square().mean(2), torch.ones(2, 2))


def test_each_style_counts_in_its_region() -> None:
    torch.manual_seed(0)
    layer, x, codes = ModulatedConv2d(3, 4, 3, 5), torch.randn(1, 3, 8, 8), torch.randn(1, 2, 5)
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1
    with torch.no_grad():
        found = regional(layer, x, codes, torch.cat([left, 1 - left], dim=1))
        ours, theirs = (layer(x, code) for code in codes.unbind(1))
        torch.testing.assert_close(found, torch.where(left > 0, ours, theirs))
        torch.testing.assert_close(regional(layer, x, codes[:, :1], None), ours)


def test_a_label_map_scales_and_shifts_what_is_not_normalised() -> None:
    layer, x, seen = LayoutModulation(4, 2), torch.randn(1, 4, 8, 8), torch.zeros(1, CLASSES, 16, 16)
    with torch.no_grad():
        for mlp, value in ((layer.mlp_gamma, 2.0), (layer.mlp_beta, 3.0)):
            mlp.weight.zero_()
            mlp.bias.fill_(value)
        torch.testing.assert_close(layer(x, seen), 3 * x + 3)


def test_corners_stay_corners() -> None:
    maps = torch.zeros(1, 1, 8, 8)
    maps[..., 0, 0] = maps[..., 7, 7] = 1
    assert aligned(maps, 4)[0, 0].diagonal()[[0, -1]].tolist() == [1, 1]


def test_modulated_layers_are_those_that_give_these_sides() -> None:
    with torch.device("meta"):
        layers = SofGAN.create("1024").generator.convs
    assert [i for i, layer in enumerate(layers) if isinstance(layer, LaidConv)] == [6, 8, 10]


def test_codes_that_are_cut_to_the_mean_draw_one_face() -> None:
    method, given = create(truncation=0).eval(), batch(1)
    with torch.no_grad():
        assert torch.equal(method.complete(given, Noise([0])), method.complete(given, Noise([1])))
        method = create().eval()
        assert not torch.equal(method.complete(given, Noise([0])), method.complete(given, Noise([1])))


@pytest.mark.parametrize(("mixing", "styles"), [(0.0, 1), (1.0, 2)])
def test_training_draws_one_style_or_two(mixing: float, styles: int) -> None:
    method, seen = create(mixing=mixing).train(), []
    method.generator.register_forward_pre_hook(lambda module, given: seen.append((given[1].shape[1], given[3])))
    stage = SofGANStage(method, "embedded")
    stage.step(batch(2), lambda name, loss: None, Noise.shared(0, 2))
    assert [count for count, _ in seen] == [styles] * 3  # for each network, and for the path length
    assert all((regions is None) == (styles == 1) for _, regions in seen)


def test_training_is_counted_in_steps_where_the_authors_count_pictures() -> None:
    config = SofGAN.configure()
    assert config.iterations * config.batch_size == 10_000_000  # --iter, for four processes of one picture


def test_a_step_as_published_compares_no_pictures() -> None:
    stage = SofGANStage(create(perceptual=0).train(), "embedded")
    names: list[str] = []
    losses = stage.step(batch(4), lambda name, loss: names.append(name), Noise.shared(0, 4))
    assert losses.keys() == {"discriminator", "r1", "generator", "path"}
    assert names == ["discriminator", "discriminator", "generator", "generator"]


def test_picture_and_label_map_are_cropped_together() -> None:
    planes = drawn(hair=slice(0, 4))
    image = planes[:, [NAMES.index("hair")] * 3] * 2 - 1
    found, seen = cropped(image, planes, 1.5, Noise([3]))
    assert not torch.equal(found, image)
    assert (seen.sum(1) == 1).all()
    assert torch.equal(found[:, 0] > 0, seen[:, NAMES.index("hair")] > 0)
    assert cropped(image, planes, 1, Noise([3]))[0] is image
