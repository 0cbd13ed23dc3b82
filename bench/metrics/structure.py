"""DISTS (Ding et al., 2020), equations 5 to 7: how far structure and texture are from the original's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

C1 = C2 = 1e-6


def distance(completed: Mapping[str, Any], truth: Mapping[str, Any], masks: Tensor | None) -> Tensor:
    """1 - the weighted similarities of all channels of all maps, for each image (N,) float64.

    `maps`: for each layer (N, C, h, w); `weights`: (N, 2, channels of all layers, 1), structure's and texture's.
    """
    texture, structure = [], []
    for x, y in zip(completed["maps"], truth["maps"], strict=True):
        mean_x, mean_y = (maps.mean(dim=(2, 3), keepdim=True) for maps in (x, y))
        texture.append(((2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)).flatten(1))  # equation 5
        var_x, var_y = ((maps - mean).square().mean(dim=(2, 3)) for maps, mean in ((x, mean_x), (y, mean_y)))
        covariance = ((x - mean_x) * (y - mean_y)).mean(dim=(2, 3))
        structure.append((2 * covariance + C2) / (var_x + var_y + C2))  # equation 6
    similarities = torch.stack([torch.cat(structure, dim=1), torch.cat(texture, dim=1)], dim=1).double()
    return 1 - (similarities * completed["weights"][..., 0].double()).sum(dim=(1, 2))
