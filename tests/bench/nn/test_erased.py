"""What encoders see of erased pictures."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bench.nn.erased import erased, with_more_channels


def given(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.zeros(2, 1, side, side)
    mask[:, :, 3:11, 5:20] = 1
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) + 1, mask


def test_holes_are_0_and_marked() -> None:
    images, mask = given(32)
    seen = erased(images, mask, 32)
    assert torch.equal(seen, torch.cat([images * (1 - mask), 1 - mask], dim=1))


@pytest.mark.parametrize("pixels", [16, 24, 48])
def test_another_size_shows_no_more_of_a_hole(pixels: int) -> None:
    """Erasing before does not change what is seen: what a pixel mixes from the hole is not called known."""
    images, mask = given(32)
    seen = erased(images, mask, pixels)
    assert seen.shape == (2, 4, pixels, pixels)
    assert set(seen[:, 3].unique().tolist()) == {0.0, 1.0}
    assert (seen[:, :3][(seen[:, 3:] == 0).expand(-1, 3, -1, -1)] == 0).all()
    assert (seen[:, :3][(seen[:, 3:] == 1).expand(-1, 3, -1, -1)] > 0).all()
    share = (1 - seen[:, 3]).mean()
    assert mask.mean() <= share < 2 * mask.mean()


def test_more_channels_change_nothing_at_first() -> None:
    weight, images = torch.randn(5, 3, 3, 3), torch.randn(2, 4, 8, 8)
    wide = with_more_channels(weight, 4)
    torch.testing.assert_close(F.conv2d(images, wide), F.conv2d(images[:, :3], weight))
    assert torch.equal(with_more_channels(weight, 3), weight)
