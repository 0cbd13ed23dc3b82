"""One loss that several optimisers minimise."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.method import Update


def update_jointly(loss: Tensor, networks: Mapping[str, nn.Module], update: Update) -> None:
    """Update the optimisers of these networks, by their names, on one loss.

    The graph behind it is gone through once: each optimiser is given a sum over its parameters that has their gradient.
    """
    parameters = {name: [*network.parameters()] for name, network in networks.items()}
    every = [p for own in parameters.values() for p in own]
    gradients = iter(torch.autograd.grad(loss, every, allow_unused=True))
    found = {name: [(p, g) for p in own if (g := next(gradients)) is not None] for name, own in parameters.items()}
    for name, pairs in found.items():
        update(name, torch.stack([(p * g).sum() for p, g in pairs]).sum())
