"""Networks under torch.compile, in training too.

What a forward pass keeps for its gradient must not change before the gradient is taken: by a second pass, on
completions after real images, or by the end of the pass itself. The buffers of batch and spectral normalisation do
change, and the compiler takes no notice where it finds it cheaper to keep such a buffer than what was made of it. So
here both read nothing from a buffer that a gradient needs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.spectral_norm import SpectralNorm

from bench.nn import across


def compiled(network: nn.Module) -> None:
    """Let torch.compile run the network, and its parts where they are called alone.

    What has no weights is no network: a penalty on gradients stays as it is.
    """
    across.synchronise(network)
    for layer in network.modules():
        for key, hook in layer._forward_pre_hooks.items():
            if type(hook) is SpectralNorm:
                layer._forward_pre_hooks[key] = _SpectralNorm(hook.name, hook.n_power_iterations, hook.dim, hook.eps)
    for part in (network, *network.children()):
        if next(part.parameters(), None) is not None:
            part.compile()


class _SpectralNorm(SpectralNorm):
    """Spectral normalisation whose vectors come from an operator that the compiler does not look into."""

    def compute_weight(self, module: nn.Module, do_power_iteration: bool) -> Tensor:
        weight = module.get_parameter(f"{self.name}_orig")
        u, v = (module.get_buffer(f"{self.name}_{letter}") for letter in "uv")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            u, v = _power_iterations(matrix.detach(), u, v, self.n_power_iterations, self.eps)
        return weight / torch.dot(u, torch.mv(matrix, v))


@torch.library.custom_op("facebench::power_iterations", mutates_args=("u", "v"))
def _power_iterations(matrix: Tensor, u: Tensor, v: Tensor, count: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """Move the left and right singular vectors of a matrix; copies of them."""
    for _ in range(count):
        F.normalize(torch.mv(matrix.t(), u), dim=0, eps=epsilon, out=v)
        F.normalize(torch.mv(matrix, v), dim=0, eps=epsilon, out=u)
    return u.clone(), v.clone()


@_power_iterations.register_fake
def _(matrix: Tensor, u: Tensor, v: Tensor, count: int, epsilon: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(u), torch.empty_like(v)
