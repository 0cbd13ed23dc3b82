"""The rule against the library that it describes, thop 0.1.1."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench import registry
from bench.batch import Noise
from bench.profile import count_by_thop
from bench.profile.cell import create, example

thop = pytest.importorskip("thop")


def same(network: nn.Module, *inputs: Any) -> None:
    """Our figures of `network(*inputs)` are thop's."""
    network.eval()
    ours = count_by_thop(lambda: network(*inputs), network)
    operations, parameters = thop.profile(network, inputs, verbose=False)
    assert ours == (int(parameters), operations)


class Shared(nn.Module):
    """A layer that is called twice, one that is never called, one by function, and one of a derived class."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 30, 3)
        self.function, self.derived = nn.Linear(8, 8), Derived(3, 4, 1)
        self.bare = nn.Parameter(torch.zeros(7))

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(x))
        return self.derived(nn.functional.linear(x, self.function.weight)) @ x.transpose(2, 3)[:, :1]


class Derived(nn.Conv2d):
    pass


NETWORKS = {
    "convolutions": (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4)), (3, 16, 16)),
    "one axis": (nn.Sequential(nn.Conv1d(3, 8, 3), nn.ConvTranspose1d(8, 4, 4, 2)), (3, 16)),
    "three axes": (nn.Sequential(nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ConvTranspose3d(8, 2, 2, 2)), (3, 8, 8, 8)),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(3, 8, 4, 2, 1), nn.ConvTranspose2d(8, 8, 3, 1, 1)), (3, 8, 8)),
    "norms": (
        nn.Sequential(
            nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.InstanceNorm2d(4),
            nn.InstanceNorm2d(4, affine=True), nn.LayerNorm(8), nn.LayerNorm(8, elementwise_affine=False),
        ),
        (4, 8, 8),
    ),
    "linear": (nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.PReLU(5), nn.Linear(5, 7, bias=False)), (3, 2, 2)),
    "pools": (nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.MaxPool2d(2)), (4, 14, 14)),
    "softmax": (nn.Sequential(nn.Softmax(1), nn.Softmax(3)), (4, 5, 6)),
    "upsampling": (
        nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Upsample(scale_factor=2, mode="bicubic"), nn.UpsamplingBilinear2d(scale_factor=2),
            nn.UpsamplingNearest2d(scale_factor=2),
        ),
        (2, 3, 3),
    ),
    "shared": (Shared(), (3, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 2])
def test_layers_are_counted_as_thop_does(name: str, batch: int) -> None:
    network, shape = NETWORKS[name]
    same(network, torch.rand(batch, *shape))


class Completion(nn.Module):
    """A completion as a module that thop can call."""

    def __init__(self, method: Any, size: int):
        super().__init__()
        self.method, self.given = method, example(1, size, method.card.needs)

    def forward(self) -> Tensor:
        return self.method.complete(self.given, Noise([0]))


@cache
def trainable() -> list[str]:
    """Every trainable method of the registry that completes images."""
    entries = registry.entries()
    return [s for s, e in entries.items() if e.card.evaluated and s != "external" and e.load().trainable()]


@pytest.mark.parametrize("slug", trainable())
def test_methods_are_counted_as_thop_does(slug: str) -> None:
    torch.manual_seed(0)
    same(Completion(create(slug, "tiny"), 64))


def test_the_version_is_the_one_that_the_tables_stand_on() -> None:
    assert sys.modules["thop"].__version__.startswith("0.1.1")
