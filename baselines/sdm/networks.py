"""SDM's network: ADM's U-Net, which sees a label map by the norms of its middle and of its way up.

Names inside are those of the released files.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.adm import Residual, UNet, modulate
from bench.nn.spade import SPADE

CONDITION = 20  # planes: 19 of the labels, and the edges between them


class SPADEBlock(Residual):
    """ADM's residual block with the norms of SPADE: groups' own statistics, scales and shifts by the label map."""

    def __init__(
        self, hidden: int, inputs: int, outputs: int, time: int, groups: int, resample: nn.Module | None = None
    ):
        super().__init__(inputs, outputs, time, groups, resample)
        self.in_norm, self.out_norm = (
            SPADE(CONDITION, channels, hidden, nn.GroupNorm(groups, channels, affine=False))
            for channels in (inputs, outputs)
        )
        self.in_layers, self.out_layers = (nn.Sequential(*layers[1:]) for layers in (self.in_layers, self.out_layers))

    def forward(self, x: Tensor, time: Tensor, *more: Any) -> Tensor:
        """Maps (N, inputs, h, w) by the time and by the condition (N, 20, H, W)."""
        (condition,) = more
        activate, first = self.in_layers
        h = first(self.resample(activate(self.in_norm(x, nearest(condition, x)))))
        h = modulate(self.out_norm(h, nearest(condition, h)), self.emb_layers(time))
        return self.skip_connection(self.resample(x)) + self.out_layers(h)


def nearest(condition: Tensor, x: Tensor) -> Tensor:
    """The condition at the size of maps."""
    return F.interpolate(condition, x.shape[2:], mode="nearest")


def unet(hidden: int, **layers: Any) -> UNet:
    """The U-Net; `hidden`: channels of what a norm's scales and shifts are made of."""
    return UNet(**layers, later=partial(SPADEBlock, hidden))


def condition(planes: Tensor) -> Tensor:
    """What the network is told (N, 20, H, W): the labels' planes, and where a direct neighbour's label differs."""
    edges = torch.zeros_like(planes[:, :1], dtype=torch.bool)
    across = (planes[..., 1:] != planes[..., :-1]).any(1, keepdim=True)
    down = (planes[..., 1:, :] != planes[..., :-1, :]).any(1, keepdim=True)
    edges[..., 1:] |= across
    edges[..., :-1] |= across
    edges[..., 1:, :] |= down
    edges[..., :-1, :] |= down
    return torch.cat([planes, edges.to(planes)], dim=1)
