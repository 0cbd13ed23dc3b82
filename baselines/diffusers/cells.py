"""What a network of latents sees of a mask: cells of the pixels that become one latent."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def widened(mask: Tensor, cell: int) -> Tensor:
    """A mask (N, 1, H, W) with every cell that holds a pixel of the hole as hole. H and W are multiples of `cell`."""
    return F.interpolate(F.max_pool2d(mask, cell), scale_factor=cell)


def seen(mask: Tensor, cell: int, sees: str) -> Tensor:
    """The hole that the network takes for one: (N, 1, H, W), of the cells as `Family.sees` says."""
    if sees == "all":
        return mask
    corners = mask[:, :, ::cell, ::cell]
    if sees == "around":  # also six of the eight cells around one, as Kandinsky's code has it
        padded = F.pad(corners, (1, 1, 1, 1))
        height, width = corners.shape[2:]
        steps = ((0, 0), (-1, 0), (0, -1), (-1, -1), (1, 0), (0, 1), (1, 1))
        shifted = [padded[:, :, 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in steps]
        corners = torch.stack(shifted).amax(0)
    return F.interpolate(corners, scale_factor=cell)
