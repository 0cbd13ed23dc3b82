"""The count behind the published "parameters / FLOPs" columns: the rule of thop 0.1.1, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d)


def count(run: Callable[[Any], Any], network: nn.Module) -> tuple[int, float]:
    """(parameters, "FLOPs") of `run(network)`: of exactly these layer classes, not of classes derived from them.

    A convolution costs output elements x input channels x kernel area, also a transposed one (stride² times the
    truth); a norm 4 operations an input element, 2 without affine parameters; everything else nothing.
    """
    meta = copy.deepcopy(network).float().to("meta").eval()
    layers = [layer for layer in meta.modules() if type(layer) in CONVOLUTIONS + NORMS]
    costs: list[float] = []

    def see(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if type(layer) in CONVOLUTIONS:
            costs.append(output.numel() * layer.in_channels // layer.groups * layer.kernel_size[0] ** 2)
        else:
            costs.append(inputs[0].numel() * (4 if layer.affine else 2))

    for layer in layers:
        layer.register_forward_hook(see)
    with torch.no_grad(), torch.device("meta"):
        run(meta)
    return sum(p.numel() for layer in layers for p in layer.parameters()), sum(costs)
