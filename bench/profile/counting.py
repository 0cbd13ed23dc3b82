"""Cost of a network: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module, learnable: bool = False) -> int:
    """Parameters of a module, each once; only those that a gradient reaches where `learnable`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not learnable)


def count_macs(run: Callable[[Any], Any], network: nn.Module) -> float:
    """Multiply-accumulates of convolutions and matrix products in `run(network)`.

    The network is copied to the meta device, so nothing is computed; `run` makes its inputs there, for example
    `lambda net: net(torch.empty(1, 3, 256, 256))`.
    """
    meta = copy.deepcopy(network).float().to("meta").eval()
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        run(meta)
    return counter.get_total_flops() / 2
