"""MADF: filters of each window, the sizes of the cascade, which images the losses see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from baselines.madf import MADF, Generator, MADFConfig, MaskAwareConv
from bench.method import Batch, Noise
from bench.profile import count_parameters


def only(loss: str) -> dict[str, Any]:
    """Options that leave the other losses out."""
    return {name: 0 for name in ("valid", "hole", "perceptual", "style", "variation") if name != loss}


def test_filters_are_made_for_each_window() -> None:
    """As the paper writes it: a matrix of each position times the window that is there."""
    torch.manual_seed(0)
    layer = MaskAwareConv(inputs=6, outputs=4, kernel=5, seen=3, width=7).double()
    x, mask = torch.randn(2, 6, 16, 16).double(), torch.rand(2, 3, 16, 16).double()
    ours, seen = layer(x, mask)
    matrices = layer.conv1(layer.conv(mask)).reshape(2, 6 * 5 * 5, 4, 64)
    windows = F.unfold(x, 5, padding=2, stride=2)
    expected = F.relu(torch.einsum("nrp,nrop->nop", windows, matrices)).reshape(2, 4, 8, 8)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(seen, layer.conv(mask))


@pytest.mark.parametrize(("refinements", "parameters"), [(0, 40_743_065), (1, 62_942_135)])
def test_parameters_of_shorter_cascades(refinements: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(Generator(MADFConfig(refinements=refinements))) == parameters


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [True, True, True]),
        ({"incremental": False}, [False, False, True]),
        ({"refinements": 0}, [True]),
        (only("perceptual"), [False, True, True]),
        (only("style"), [False, True, False]),
        (only("style") | {"style_on": "last"}, [False, False, True]),
        (only("variation"), [False, False, True]),
    ],
)
def test_which_images_the_losses_see(options: dict[str, Any], expected: list[bool]) -> None:
    method = MADF.create("tiny", **options)
    (stage,) = method.stages("embedded")
    images = [torch.rand(1, 3, 64, 64, requires_grad=True) for _ in expected]
    method.steps = lambda *_: images
    batch = Batch(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64))
    stage.step(batch, lambda name, loss: loss.backward(), Noise([0]))
    assert [image.grad is not None and bool(image.grad.any()) for image in images] == expected
