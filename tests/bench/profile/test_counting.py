"""Counts of single operations against sums by hand."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import flop_registry
from torchvision.ops import deform_conv2d

from bench import registry
from bench.batch import Noise
from bench.nn.alignment import DeformableConv2d
from bench.nn.stylegan2_blocks import low_pass
from bench.profile import Operations, count_macs, count_operations, count_parameters
from bench.profile.cell import example


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """torch's layer, which has a way of its own in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x, x, x)[0]


LAYERS = {  # layer, input, kind, multiply-accumulates
    "convolution": (nn.Conv2d(3, 8, 3, padding=1), (2, 3, 10, 12), "convolution", 2 * 8 * 10 * 12 * 3 * 9),
    "stride": (nn.Conv2d(3, 8, 4, 2, 1), (1, 3, 10, 12), "convolution", 8 * 5 * 6 * 3 * 16),
    "grouped": (nn.Conv2d(8, 8, 3, padding=1, groups=4), (1, 8, 6, 6), "convolution", 8 * 36 * 2 * 9),
    "depthwise": (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 6, 6), "convolution", 8 * 36 * 9),
    "dilated": (nn.Conv2d(2, 4, 3, padding=4, dilation=4), (1, 2, 9, 9), "convolution", 4 * 81 * 2 * 9),
    "transposed": (nn.ConvTranspose2d(3, 8, 4, 2, 1), (1, 3, 5, 6), "convolution", 3 * 5 * 6 * 8 * 16),
    "one axis": (nn.Conv1d(3, 5, 3), (2, 3, 10), "convolution", 2 * 5 * 8 * 3 * 3),
    "linear": (nn.Linear(7, 5), (4, 3, 7), "matrix", 4 * 3 * 7 * 5),
    # q, k, v and the output: 10 x 16 x 16 each; scores and sums: 10 x 10 x 16 each
    # 4 gates of 5 for 3 numbers of input and 5 of state, at each of 6 steps of 2 sequences
    "lstm": (nn.LSTM(3, 5), (6, 2, 3), "matrix", 6 * 2 * 4 * 5 * (3 + 5)),
    "lstm, batch first": (nn.LSTM(3, 5, batch_first=True), (2, 6, 3), "matrix", 6 * 2 * 4 * 5 * (3 + 5)),
    # the second layer sees both directions of the first
    "lstm, two ways": (
        nn.LSTM(3, 5, 2, bidirectional=True),
        (6, 2, 3),
        "matrix",
        12 * 2 * 4 * 5 * ((3 + 5) + (10 + 5)),
    ),
    "gru": (nn.GRU(3, 5), (6, 2, 3), "matrix", 6 * 2 * 3 * 5 * (3 + 5)),
    "attention layer": (Attention().eval(), (2, 10, 16), "matrix", 2 * (4 * 10 * 16 * 16 + 2 * 10 * 10 * 16)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    layer, shape, kind, expected = LAYERS[name]
    x = draw(*shape)
    counted = count_operations(lambda: layer(x), {"it": layer})
    whole = replace(Operations(), **{kind: expected})
    assert counted == {"": whole, "it": replace(whole, calls=1)}


def test_calls_of_a_network_are_counted() -> None:
    layer, unused = nn.Linear(3, 3), nn.Linear(3, 3)
    counted = count_operations(lambda: layer(layer(draw(2, 3))), {"it": layer, "unused": unused})
    assert counted == {"": Operations(matrix=36), "it": Operations(matrix=36, calls=2)}


FUNCTIONS = {
    "mm": (lambda: draw(3, 4) @ draw(4, 5), 60),
    "bmm": (lambda: torch.bmm(draw(2, 3, 4), draw(2, 4, 5)), 120),
    "einsum": (lambda: torch.einsum("nij,njhw->nihw", draw(2, 5, 3), draw(2, 3, 4, 4)), 2 * 5 * 3 * 16),
    "einsum without a batch": (lambda: torch.einsum("bij,kj->bik", draw(2, 3, 4), draw(5, 4)), 120),
    "matrix and vector": (lambda: draw(3, 4) @ draw(4), 12),
    "two vectors": (lambda: draw(4) @ draw(4), 4),
    "matrix and vector, added": (lambda: torch.addmv(draw(3), draw(3, 4), draw(4)), 12),
    "products, added": (lambda: torch.addbmm(draw(3, 5), draw(2, 3, 4), draw(2, 4, 5)), 120),
    "distances": (lambda: torch.cdist(draw(2, 3, 4), draw(2, 5, 4)), 120),
    "distances of many": (lambda: torch.cdist(draw(2, 30, 4), draw(2, 50, 4)), 2 * 30 * 50 * 4),
    "distances of another norm": (lambda: torch.cdist(draw(3, 4), draw(5, 4), p=1), 60),
    "bilinear": (lambda: F.bilinear(draw(7, 4), draw(7, 5), draw(6, 4, 5)), 7 * 4 * 5 * 6),
    "functional": (lambda: F.linear(draw(7, 4), draw(5, 4), draw(5)), 140),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_products(name: str) -> None:
    function, expected = FUNCTIONS[name]
    assert count_operations(function)[""] == Operations(matrix=expected)


@pytest.mark.parametrize("groups", [1, 4, 8])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("frozen", [False, True])
def test_each_gradient_costs_what_the_convolution_does(groups: int, kind: type, frozen: bool) -> None:
    """Once for the weights, once for the input."""
    layer, x = kind(8, 8, 3, padding=1, groups=groups).requires_grad_(not frozen), draw(2, 8, 6, 6).requires_grad_()

    def run() -> None:
        with torch.enable_grad():
            layer(x).sum().backward()

    assert count_operations(run)[""] == Operations(convolution=(2 if frozen else 3) * 2 * 8 * 36 * 8 // groups * 9)


def test_gradients_of_filters_stand_apart_too() -> None:
    x, kernel = draw(1, 6, 9, 9).requires_grad_(), draw(1, 1, 4, 4).expand(6, 1, 4, 4)

    def run() -> None:
        with torch.enable_grad():
            F.conv2d(x, kernel, padding=2, groups=6).sum().backward()

    assert count_operations(run)[""] == Operations(fir=2 * 6 * 10 * 10 * 16)


def test_a_leaf_of_the_graph_may_enter_a_network() -> None:
    """As in a search for the input."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))

    def run() -> None:
        with torch.enable_grad():
            x = draw(2, 3).requires_grad_()
            torch.autograd.grad(network(x).sum(), x)

    whole = 2 * (3 * 4 + 4 * 5)
    counted = count_operations(run, {"it": network})
    assert counted == {"": Operations(matrix=2 * whole), "it": Operations(matrix=whole, calls=1)}


@pytest.mark.parametrize("known", [True, False])
def test_attention(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores and weighted sums, whichever way torch takes for them: before 2.15 its counter did not know one."""
    if not known:
        monkeypatch.delitem(flop_registry, torch.ops.aten._scaled_dot_product_flash_attention_for_cpu, raising=False)
    q, k, v = draw(2, 4, 10, 16), draw(2, 4, 12, 16), draw(2, 4, 12, 16)
    narrow = draw(2, 4, 12, 8)  # values of another width are multiplied step by step
    assert count_operations(lambda: F.scaled_dot_product_attention(q, k, v))[""].total == 2 * 4 * 10 * 12 * (16 + 16)
    found = count_operations(lambda: F.scaled_dot_product_attention(q, k, narrow))[""]
    assert found.total == 2 * 4 * 10 * 12 * (16 + 8)


def test_transforms() -> None:
    """5 n log2 n real operations for n complex points, half for real ones, and half of that as multiply-accumulates."""
    x = draw(2, 3, 8, 8)
    whole = 2 * 3 * 5 * 64 * 6 / 2
    assert count_operations(lambda: torch.fft.fft2(x.to(torch.complex64)))[""] == Operations(fft=whole)
    assert count_operations(lambda: torch.fft.rfft2(x))[""] == Operations(fft=whole / 2)
    half = torch.fft.rfft2(x)
    assert count_operations(lambda: torch.fft.irfft2(half, s=(8, 8)))[""] == Operations(fft=whole / 2)


def test_deformable_convolutions_cost_what_plain_ones_do() -> None:
    """On 6 x 7 outputs of 2 images, 5 channels of 4; also where nothing is computed."""
    x, offsets, weight = draw(2, 4, 6, 7), draw(2, 18, 6, 7), draw(5, 4, 3, 3)
    expected = 2 * 6 * 7 * 5 * 4 * 9
    found = count_operations(lambda: deform_conv2d(x, offsets, weight, padding=1))[""]
    assert found == Operations(convolution=expected)
    layer = DeformableConv2d(4, 5)
    assert count_macs(lambda net: net(torch.empty(2, 4, 6, 7), torch.empty(2, 18, 6, 7)), layer) == expected


def test_resampling_filters_stand_apart() -> None:
    """StyleGAN2's 4 x 4 filter on every channel, on 10 x 10 outputs; a depthwise convolution is no such filter."""
    x = draw(2, 6, 9, 9)
    found = count_operations(lambda: low_pass(x, padding=2))[""]
    assert found == Operations(fir=2 * 6 * 10 * 10 * 16)
    assert found.total == found.fir


def test_parameters_count_once() -> None:
    shared = nn.Linear(3, 4)
    network = nn.ModuleList([shared, shared, nn.Linear(2, 2, bias=False).requires_grad_(False)])
    assert count_parameters(network) == 16 + 4
    assert count_parameters(network, learnable=True) == 16


def test_networks_are_told_apart() -> None:
    networks = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 5)})

    def run() -> None:
        networks["b"](networks["a"](networks["a"](draw(2, 3))[:, :3]))

    counted = count_operations(run, dict(networks.items()))
    assert {name: part.total for name, part in counted.items()} == {"": 2 * 24 + 40, "a": 2 * 24, "b": 40}


@pytest.mark.parametrize("slug", ["grig", "lama", "comodgan"])
def test_counts_are_the_same_each_time_and_proportional_to_the_batch(slug: str) -> None:
    method = registry.get(slug).load().create("tiny").eval()

    def counted(count: int) -> dict[str, float]:
        batch = example(count, 64)
        return asdict(count_operations(lambda: method.complete(batch, Noise(list(range(count)))))[""])

    once = counted(2)
    assert counted(2) == once
    assert all(once[kind] > 0 for kind in ("convolution", {"lama": "fft", "comodgan": "fir"}.get(slug, "convolution")))
    if slug != "comodgan":  # StyleGAN2's layers multiply by the codes' lengths once for a single image
        single = counted(1)
        assert once["convolution"] == 2 * single["convolution"]
        assert once["fft"] == 2 * single["fft"]
