"""Colour maps by hand."""

from __future__ import annotations

import numpy as np
import torch

from bench.data.guides.colour import colour_map
from tests.bench.data.guides.conftest import faces


def test_colours_are_the_means_of_regions():
    images, labels = faces(32, 3), torch.from_numpy(np.random.default_rng(1).integers(0, 19, (3, 32, 32), np.uint8))
    coloured = colour_map(images, labels)
    assert coloured.shape == images.shape
    for image, region, result in zip(images, labels, coloured, strict=True):
        for label in region.unique():
            inside = region == label
            mean = image[:, inside].double().mean(dim=1) / 127.5 - 1
            torch.testing.assert_close(result[:, inside], mean.float()[:, None].expand(3, int(inside.sum())))


def test_colours_of_one_region_and_of_high_labels():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[1] = 255
    for label in (0, 255):
        coloured = colour_map(images, torch.full((2, 4, 4), label, dtype=torch.uint8))
        assert coloured[0].unique().tolist() == [-1]
        assert coloured[1].unique().tolist() == [1]
