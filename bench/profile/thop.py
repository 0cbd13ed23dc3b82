"""The count behind the published "parameters / FLOPs" columns: the rule of thop 0.1.1, layer by layer.

Its quirks are facts of those tables: transposed convolutions count at their output size, norms are charged, functional
calls and classes derived from a layer are not seen. The "FLOPs" are multiply-accumulates with these quirks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.LayerNorm,
)  # fmt: skip
POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
UPSAMPLING = (nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d)
PER_PIXEL = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259, "trilinear": 0}
KNOWN = (*CONVOLUTIONS, *NORMS, nn.Linear, *POOLS, *ADAPTIVE, *UPSAMPLING, nn.PReLU, nn.Softmax)


def count_by_thop(run: Callable[[], Any], network: nn.Module) -> tuple[int, float]:
    """(parameters, "FLOPs") of `run()`, which calls `network`: of layers of exactly the known classes.

    Operations count at each call; parameters of the layers that were called, once.
    """
    parameters: dict[nn.Module, int] = {}
    costs: list[float] = []

    def see(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        costs.append(_cost(layer, inputs[0], output))
        parameters[layer] = sum(p.numel() for p in layer.parameters())

    hooks = [layer.register_forward_hook(see) for layer in network.modules() if type(layer) in KNOWN]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return sum(parameters.values()), sum(costs)


def _cost(layer: Any, x: Tensor, y: Tensor) -> float:
    kind = type(layer)
    if kind in CONVOLUTIONS:
        return y.numel() * (x.shape[1] // layer.groups) * math.prod(layer.weight.shape[2:])
    if kind in NORMS:
        affine = layer.elementwise_affine if kind is nn.LayerNorm else layer.affine
        return x.numel() * (4 if affine else 2)
    if kind is nn.Linear:
        return y.numel() * layer.in_features
    if kind in ADAPTIVE:
        area = math.prod(x.shape[2:]) / math.prod(y.shape[2:])
        return int(y.numel() * (area + 1))
    if kind in UPSAMPLING:
        return y.numel() * PER_PIXEL[layer.mode]
    if kind is nn.Softmax:
        features = x.shape[layer.dim]
        return x.numel() // features * (3 * features - 1)
    return y.numel()  # average pooling, PReLU
