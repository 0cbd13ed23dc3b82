"""Random perspectives: corners go where they are sent, and each image has its own."""

from __future__ import annotations

import pytest
import torch

from bench.method import Noise
from bench.nn.perspective import CORNERS, projected, random_perspective


def images(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 24, 32, generator=torch.Generator().manual_seed(0)) + 1


def test_corners_are_taken_to_corners() -> None:
    start = torch.tensor(CORNERS)[None]
    end = start * torch.tensor([[[0.9, 0.8], [0.95, 1.0], [0.7, 0.9], [1.0, 0.85]]])
    grid = projected(start, end, 5, 7)[0]
    torch.testing.assert_close(torch.stack([grid[0, 0], grid[0, -1], grid[-1, -1], grid[-1, 0]]), end[0])
    for points in (start, end):  # the identity
        same = projected(points, points, 5, 7)[0]
        torch.testing.assert_close(same[..., 0], torch.linspace(-1, 1, 7).expand(5, 7))
        torch.testing.assert_close(same[..., 1], torch.linspace(-1, 1, 5)[:, None].expand(5, 7))


def test_lines_stay_lines() -> None:
    start = torch.tensor(CORNERS)[None]
    end = start * (1 - 0.3 * torch.rand(1, 4, 2, generator=torch.Generator().manual_seed(0)))
    row = projected(start, end, 9, 11)[0, 3]
    along, offsets = row[-1] - row[0], row - row[0]
    torch.testing.assert_close(offsets[:, 0] * along[1], offsets[:, 1] * along[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("distortion", "probability"), [(0.0, 1.0), (0.5, 0.0)])
def test_nothing_is_changed(distortion: float, probability: float) -> None:
    torch.testing.assert_close(random_perspective(images(), Noise.shared(0, 3), distortion, probability), images())


def test_each_image_is_seen_from_elsewhere_and_shrinks() -> None:
    same = images(1).expand(3, -1, -1, -1)
    turned = random_perspective(same, Noise([1, 2, 3]), 0.4, 1.0)
    assert torch.equal(turned, random_perspective(same, Noise([1, 2, 3]), 0.4, 1.0))
    assert not torch.equal(turned[0], turned[1])
    assert ((turned == 0).all(1).flatten(1).sum(1) > 20).all()  # what is not covered
    assert (turned[:, :, 8:16, 10:22] >= 1).all()


def test_some_images_stay() -> None:
    many = images(1).expand(200, -1, -1, -1)
    turned = random_perspective(many, Noise.shared(0, 200), 0.3, 0.7)
    kept = sum(torch.equal(a, b) for a, b in zip(turned, many, strict=True))
    assert 40 <= kept <= 80
