"""Perceptual, identity and landmark metrics by hand."""

from __future__ import annotations

import math

import pytest
import torch

from bench.metrics import identity, landmarks, perceptual


def test_perceptual_distance_by_hand():
    a, b = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.tensor([4.0, 3.0]).view(1, 2, 1, 1)
    weights = torch.tensor([0.5, 2.0])
    maps = [{"maps": perceptual.unit([x, x.clone()], [weights, 1.0])} for x in (a, b)]
    expected = (0.2**2 * 0.5 + 0.2**2 * 2) + 2 * 0.2**2
    assert perceptual.distance(*maps, None).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_unit_length_of_maps_in_any_layout(layout):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 5, 4, 6, generator=generator).contiguous(memory_format=layout)
    weights = torch.rand(5, generator=generator)
    expected = maps / maps.norm(dim=1, keepdim=True) * weights.sqrt().view(1, 5, 1, 1)
    torch.testing.assert_close(perceptual.unit([maps], [weights])[0], expected)


def test_hole_distance_reads_the_hole_only():
    a, b = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    b[:, :, :, 2:] = 1
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, :, :, 3] = True
    values = perceptual.hole_distance({"maps": [a]}, {"maps": [b]}, mask)
    assert values[0] == 1
    assert values[1].isnan()  # no hole
    assert perceptual.distance({"maps": [a]}, {"maps": [b]}, mask)[0] == 0.5


def test_identity_distance():
    a = torch.tensor([[1.0, 0], [1, 0], [1, 0], [math.nan, 0]])
    b = torch.tensor([[2.0, 0], [0, 1], [-1, 0], [1, 0]])
    values = identity.distance({"identity": a}, {"identity": b}, None)
    assert values[:3].tolist() == [0, 1, 2]
    assert values[3].isnan()


def test_landmark_error_is_relative_to_the_eyes():
    truth = torch.zeros(3, 68, 2)
    truth[:, 45, 0] = 0.5
    completed = truth.clone()
    completed[1] += torch.tensor([0.03, 0.04])
    completed[2, 7] = torch.nan
    values = landmarks.error_68({"landmarks": completed}, {"landmarks": truth}, None)
    assert values[:2].tolist() == pytest.approx([0, 10])
    assert values[2].isnan()
    five = torch.zeros(1, 5, 2)
    five[:, 1] = torch.tensor([3.0, 4.0])
    assert landmarks.error_5({"landmarks": five + torch.tensor([0.0, 1.0])}, {"landmarks": five}, None).item() == 20


def test_detection():
    boxes = torch.zeros(2, 4)
    boxes[1] = torch.nan
    assert landmarks.detected({"box": boxes}, None, None).tolist() == [1, 0]
