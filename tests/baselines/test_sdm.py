"""SDM: released names, what its norms see, guidance, its two stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.sdm import SDM
from baselines.sdm.networks import SPADEBlock, condition
from baselines.sdm.training import cropped
from bench import golden
from bench.batch import Noise
from bench.nn.adm import Residual
from tests.test_methods import batch

KEYS = Path(__file__).parents[1] / "golden"


def create(**options: Any) -> SDM:
    torch.manual_seed(0)
    made = SDM.create(
        "tiny", **{"width": 8, "multipliers": (1, 2), "attention": (1,), "head": 8, "groups": 4} | options
    )
    assert isinstance(made, SDM)
    return made


@pytest.mark.parametrize(("name", "options"), [("sdm.unet", {}), ("sdm.unet64", {"width": 64})])
def test_the_released_names_fit(name: str, options: dict[str, int]) -> None:
    found = {key: shape for key, shape, _ in golden.read_keys(KEYS / f"{name}.keys.csv")}
    with torch.device("meta"):
        method = SDM.create(**options)
        method.load_official({key: torch.empty(shape) for key, shape in found.items()})
    assert {key: tuple(value.shape) for key, value in method.network.state_dict().items()} == found


def test_edges_lie_on_both_sides_of_a_border() -> None:
    planes = torch.zeros(1, 19, 4, 4)
    planes[:, 1, :, :2] = planes[:, 5, :, 2:] = 1
    planes[:, :, 0, 0] = 0  # without a label
    edges = condition(planes)[0, 19]
    assert edges.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]


def test_the_norms_of_the_middle_and_of_the_way_up_see_the_labels() -> None:
    blocks = {name: type(layer) for name, layer in create().network.named_modules() if isinstance(layer, Residual)}
    assert {kind for name, kind in blocks.items() if name.startswith("input")} == {Residual}
    assert {kind for name, kind in blocks.items() if not name.startswith("input")} == {SPADEBlock}


def test_a_block_without_scales_and_shifts_normalises() -> None:
    torch.manual_seed(0)
    block, x, told = SPADEBlock(4, 8, 8, 16, 2), torch.randn(2, 8, 6, 6), torch.rand(2, 20, 12, 12)
    time = torch.randn(2, 16)
    with torch.no_grad():
        for norm in (block.in_norm, block.out_norm):
            for layer in (norm.mlp_gamma, norm.mlp_beta):
                layer.weight.zero_()
                layer.bias.zero_()
        block.out_layers[2].reset_parameters()
        plain = Residual(8, 8, 16, 2)  # its norms begin with 1 and 0
        plain.in_layers[2], plain.emb_layers, plain.out_layers[3] = (
            block.in_layers[1], block.emb_layers, block.out_layers[2],
        )  # fmt: skip
        torch.testing.assert_close(block(x, time, told), plain(x, time))


def test_guidance_goes_beyond_the_noise_of_the_labels() -> None:
    method, x = create(predicts="noise", variances="learned", guidance=3).eval(), torch.randn(2, 3, 16, 16)
    told = condition(torch.eye(19)[torch.randint(19, (2, 16, 16))].permute(0, 3, 1, 2))
    with torch.no_grad():
        given, free = method.predict(x, 400, told), method.predict(x, 400, 0 * told)
        noise, v = method.guided(x, 400, told).chunk(2, dim=1)
    torch.testing.assert_close(noise, free[:, :3] + 3 * (given - free)[:, :3], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(v, given[:, 3:], atol=1e-5, rtol=1e-4)


def test_the_second_stage_empties_some_label_maps() -> None:
    method, given, seen = create(untold=0.5), batch(8), list[Tensor]()
    method.network.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[2]))
    for stage in method.stages():
        stage.step(given, lambda name, loss: None, Noise.shared(0, 8))
    whole, some = (told.flatten(1).any(1) for told in seen)
    assert whole.all()
    assert 0 < int(some.sum()) < 8


def test_picture_and_labels_are_cropped_as_one() -> None:
    ramp = torch.linspace(0, 1, 32).expand(4, 1, 32, 32)
    picture, labels = cropped(ramp, (ramp > 0.5).float(), 0.5, Noise.shared(0, 4))
    assert ((picture > 0.53) <= (labels > 0)).all() and ((picture < 0.47) <= (labels == 0)).all()
    assert picture.flatten(1).amax(1).unique().numel() == 4
    assert cropped(ramp, ramp, 1, Noise.shared(0, 4))[0] is ramp


def test_the_layout_says_what_is_drawn() -> None:
    method, given = create(steps=2).eval(), batch(2)
    with torch.no_grad():
        swapped = given.guided(semantics=given.layout, layout=None)
        assert torch.equal(method.complete(given, Noise([0, 1])), method.complete(swapped, Noise([0, 1])))
