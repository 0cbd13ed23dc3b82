"""ADM's U-Net: released names, attention, times."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import golden
from bench.nn.adm import Attention, Block, Told, UNet, waves
from bench.profile import count_parameters

FOLDER = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("ilvr.unet", {"width": 128, "blocks": 1, "attention": (4,)}, 93_563_910),
        ("repaint.unet", {"width": 256, "blocks": 2, "attention": (3, 4, 5)}, 552_814_086),
    ],
)
def test_released_names_and_shapes(name: str, options: dict[str, object], count: int) -> None:
    with torch.device("meta"):
        network = UNet(multipliers=(1, 1, 2, 2, 4, 4), **options)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes == {key: shape for key, shape, _ in golden.read_keys(FOLDER / f"{name}.keys.csv")}
    assert count_parameters(network) == count


def small(**options: int) -> UNet:
    torch.manual_seed(0)
    network = UNet(8, (1, 2), 1, (1,), head=8, groups=4, **options)
    for parameter in network.parameters():  # some start at 0
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


class Kind(Told):
    """A block that notes what it is told."""

    def __init__(self, name: str, notes: list[str], inputs: int, outputs: int) -> None:
        super().__init__()
        self.name, self.notes, self.layer = name, notes, torch.nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor, *more: str) -> torch.Tensor:
        self.notes.append(f"{self.name} {' '.join(more)}")
        return self.layer(x)


def test_other_kinds_of_layers_are_told_what_the_network_is() -> None:
    notes: list[str] = []

    def kind(name: str) -> Block:
        return lambda inputs, outputs, time, groups, resample: Kind(name, notes, inputs, outputs)

    network = UNet(
        8, (1, 2), 1, (1,), groups=4, block=kind("early"), later=kind("late"), look=lambda c: Kind("look", notes, c, c),
        down=lambda c: torch.nn.AvgPool2d(2), up=lambda c: torch.nn.Upsample(scale_factor=2),
    )  # fmt: skip
    assert network(torch.randn(1, 3, 8, 8), torch.zeros(1), "told").shape == (1, 6, 8, 8)
    names = "early early look late look late late look late look late late"
    assert notes == [f"{name} told" for name in names.split()]


def test_attention_as_written_out() -> None:
    torch.manual_seed(0)
    layer = Attention(12, head=4, groups=3).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 12, 3, 5).double()
    rows = layer.qkv(layer.norm(x).flatten(2))
    found = []
    for head in range(3):
        q, k, v = rows[:, 12 * head : 12 * head + 12].split(4, dim=1)
        shares = (torch.einsum("ncq,nck->nqk", q, k) / 2).softmax(dim=2)
        found.append(torch.einsum("nqk,nck->ncq", shares, v))
    expected = x + layer.proj_out(torch.cat(found, dim=1)).view_as(x)
    torch.testing.assert_close(layer(x), expected)


def test_the_time_matters_and_each_picture_has_its_own() -> None:
    network, x = small(), torch.randn(2, 3, 6, 10)
    both = network(x, torch.tensor([3, 700]))
    assert both.shape == (2, 6, 6, 10)
    torch.testing.assert_close(both[1:], network(x[1:], torch.tensor([700])))
    assert (both[1:] - network(x[1:], torch.tensor([3]))).abs().max() > 0.01


def test_inputs_and_outputs_of_other_counts() -> None:
    assert small(inputs=7, outputs=3)(torch.randn(1, 7, 4, 4), torch.zeros(1)).shape == (1, 3, 4, 4)


def test_it_begins_with_nothing() -> None:
    network = UNet(8, (1, 2), 1, (1,), head=8, groups=4)
    assert not network(torch.randn(1, 3, 4, 4), torch.zeros(1)).any()


def test_waves() -> None:
    found = waves(torch.tensor([0.0, 999.0]), 128)
    assert found[0].tolist() == [1] * 64 + [0] * 64
    torch.testing.assert_close(found[1, 32 + 64], torch.tensor(9.99).sin())  # of the frequency 10,000^(-1/2)
