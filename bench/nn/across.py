"""Values of the whole batch while several processes train together, each on its slice of it (`bench.train`).

A loss of one process is averaged over all of them. That gives the loss of the whole batch where it is a mean over
images; a sum, a division by what is counted in the batch, or a statistic of several images needs these functions.
Everything here can be differentiated, twice too. In one process alone nothing is exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

_rank, _ranks = 0, 1


@contextmanager
def processes(rank: int, ranks: int) -> Iterator[None]:
    """Inside, this process is number `rank` of `ranks` that all run the same code."""
    global _rank, _ranks
    _rank, _ranks = rank, ranks
    try:
        yield
    finally:
        _rank, _ranks = 0, 1


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        return _Sum.apply(gradients[0])


def mean(x: Tensor) -> Tensor:
    """The mean over the processes: of means or sums over their slices, say."""
    return x if _ranks == 1 else _Sum.apply(x) / _ranks


def total(x: Tensor) -> Tensor:
    """The sum of values, one or more an image, as a term of a loss that is averaged over the processes."""
    return x.sum() * _ranks


def whole(x: Tensor) -> Tensor:
    """The tensors (N, ...) of all processes behind each other, (ranks * N, ...)."""
    if _ranks == 1:
        return x
    others = [torch.zeros_like(x)] * _ranks
    return _Sum.apply(torch.cat([*others[:_rank], x, *others[_rank + 1 :]]))


def part(x: Tensor) -> Tensor:
    """This process's slice of a whole batch."""
    return x if _ranks == 1 else x.chunk(_ranks)[_rank]


def synchronise(network: nn.Module) -> None:
    """Let the layers that see several images, or draw numbers, see and draw those of the whole batch."""
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.forward = partial(_batch_norm, layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.forward = partial(_dropout, layer, type(layer).forward)  # type: ignore[method-assign]


def _batch_norm(layer: _BatchNorm, x: Tensor) -> Tensor:
    """Batch normalisation with the statistics of all processes; torch's own SyncBatchNorm wants a GPU."""
    if not layer.training:
        return type(layer).forward(layer, x)
    values, over = x.to(torch.promote_types(x.dtype, torch.float32)), [0, *range(2, x.dim())]
    average = mean(values.mean(over, keepdim=True))
    variance = mean((values - average).square().mean(over, keepdim=True))
    _follow(layer, average.flatten(), variance.flatten(), _ranks * x.numel() // x.shape[1])
    normal = (values - average) * (variance + layer.eps).rsqrt()
    if layer.affine:
        shape = variance.shape
        normal = normal * layer.weight.view(shape) + layer.bias.view(shape)
    return normal.to(x.dtype)


@torch.no_grad()
def _follow(layer: _BatchNorm, average: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics, the variance without bias, as batch normalisation does."""
    if layer.running_mean is None or layer.running_var is None or layer.num_batches_tracked is None:
        return
    layer.num_batches_tracked += 1
    share = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(average, share)
    layer.running_var.lerp_(variance * count / (count - 1), share)


def _dropout(layer: nn.Module, forward: Callable[[nn.Module, Tensor], Tensor], x: Tensor) -> Tensor:
    """Dropout that draws the numbers of all processes, which share one seed, and takes its own."""
    if not layer.training or _ranks == 1:
        return forward(layer, x)
    whole = x.new_empty_strided((_ranks * len(x), *x.shape[1:]), x.stride())  # numbers are drawn in the order in memory
    return x * part(forward(layer, whole.fill_(1)))
