"""Networks under torch.compile that keep a state while they train, and run more than once before they are updated.

A discriminator sees real images, then completions. What the first pass keeps for its gradient must not be changed by
the second one, as running statistics and the vectors of spectral normalisation are.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm

from bench.nn import across


def compiled(network: nn.Module) -> None:
    """Let torch.compile run the network, in training too; a penalty without weights is left as it is."""
    if next(network.parameters(), None) is None:
        return
    across.synchronise(network)  # its gradient needs no running statistics
    for layer in network.modules():
        for key, hook in layer._forward_pre_hooks.items():
            # with one output a vector is one number: the compiler keeps the changing buffer itself and computes again
            if isinstance(hook, SpectralNorm) and layer.get_buffer(f"{hook.name}_u").numel() == 1:
                layer._forward_pre_hooks[key] = torch.compiler.disable(hook)
    network.compile()
