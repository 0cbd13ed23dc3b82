"""Perceptual distances against the lpips package, with random weights."""

from __future__ import annotations

import lpips
import pytest
import torch

from bench.nn import perceptual
from bench.nn.perceptual import PerceptualDistance, frozen


def test_the_maps_of_a_target_serve_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = frozen(lpips.LPIPS(net="vgg", version="0.1", pnet_rand=True, verbose=False))
    monkeypatch.setattr(perceptual, "lpips_network", lambda backbone: network)
    distance, (output, target) = PerceptualDistance("official"), torch.rand(2, 2, 3, 32, 32) * 2 - 1
    expected = network(output, target).flatten()
    assert expected.min() > 0
    torch.testing.assert_close(distance(output, target), expected)
    maps = distance.maps(target)
    torch.testing.assert_close(distance.between(distance.maps(output), maps), expected)
    assert torch.equal(distance.between(maps, maps), torch.zeros(2))
