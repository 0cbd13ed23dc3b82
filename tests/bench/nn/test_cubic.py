"""MATLAB's cubic resizing: against Pillow's, which differs at the edges alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bench.nn.cubic import low_pass, resized


def picture(height: int = 48, width: int = 64) -> torch.Tensor:
    coarse = torch.rand(1, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


@pytest.mark.parametrize("size", [(12, 16), (24, 32), (96, 128), (48, 16)])
def test_inside_it_is_pillows_bicubic(size: tuple[int, int]) -> None:
    ours, image = resized(picture(), size)[0, 0].numpy(), Image.fromarray(picture()[0, 0].numpy())
    theirs = np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))
    inner = slice(4, -4)
    np.testing.assert_allclose(ours[inner, inner], theirs[inner, inner], atol=1e-5)
    assert ours.shape == size


def test_a_plain_picture_stays_plain() -> None:
    plain = torch.full((1, 3, 32, 48), 0.7)
    torch.testing.assert_close(low_pass(plain, 8), plain)


def test_edges_are_mirrored() -> None:
    whole = picture()
    mirrored = torch.cat([whole.flip(3), whole, whole.flip(3)], dim=3)
    torch.testing.assert_close(resized(whole, (12, 16)), resized(mirrored, (12, 48))[..., 16:32])


def test_only_low_frequencies_pass() -> None:
    fine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)[None, None]
    assert low_pass(fine, 4)[..., 8:-8, 8:-8].abs().max() < 1e-3
    slow = torch.linspace(0, 3, 64).sin().expand(1, 1, 64, 64)
    assert (low_pass(slow, 4) - slow)[..., 8:-8, 8:-8].abs().max() < 0.01
