"""Landmarks: mirrored, resized, drawn, written for other programs."""

from __future__ import annotations

import torch

from bench.data import synthfaces
from bench.data.guides.landmarks import DOT, GUIDE, SIDES


def test_the_mirrored_points_are_those_of_the_mirrored_face():
    points = synthfaces.render(range(8), 64, 0).landmarks
    found = GUIDE.mirrored(points, 64)
    torch.testing.assert_close(GUIDE.mirrored(found, 64), points)
    assert sorted(SIDES) == list(range(68))
    left, right = slice(36, 42), slice(42, 48)
    torch.testing.assert_close(found[:, left, 0].mean(1), 64 - points[:, right, 0].mean(1))
    jaw = found[:, :17, 0]
    assert (jaw[:, 1:] > jaw[:, :-1]).float().mean() > 0.9  # still counted from the left of the picture
    heights = found[:, [30, 8, 51, 57], 1] - points[:, [30, 8, 51, 57], 1]  # of points in the middle
    assert heights.abs().max() == 0


def test_points_of_a_larger_picture_and_their_dots():
    points = torch.zeros(1, 68, 2)
    points[0, 0] = torch.tensor([10.5, 20.5])
    assert GUIDE.resized(points, (64, 64), (128, 256))[0, 0].tolist() == [42, 41]
    drawn = GUIDE.drawn(points, torch.full((1, 3, 64, 64), 255, dtype=torch.uint8))
    assert drawn[0, :, 20, 10].tolist() == list(DOT)
    assert (drawn != 255).any(1).sum() == 2
    large = GUIDE.drawn(points, torch.full((1, 3, 300, 300), 255, dtype=torch.uint8))
    assert (large[0, 0] != 255).nonzero().tolist()[-9:] == [[y, x] for y in (19, 20, 21) for x in (9, 10, 11)]


def test_other_programs_read_lines():
    points = torch.arange(136, dtype=torch.float32).view(1, 68, 2)
    (text,) = GUIDE.exported(points)
    assert text.splitlines()[1] == "2.000 3.000" and len(text.splitlines()) == 68
