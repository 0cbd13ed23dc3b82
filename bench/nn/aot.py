"""The block of aggregated contextual transformations (AOT-GAN, section 3.2), also used by GRIG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def gate_norm(gate: Tensor) -> Tensor:
    """Normalise a gate over the picture to about [-10, 0]: 5 (2 z - 1), z standardised with the unbiased deviation."""
    centred, count = gate - gate.mean((2, 3), keepdim=True), gate[0, 0].numel()
    # on a CPU, torch's own `std` takes seven times as long; a constant gate has variance 0, whose root has no gradient
    variance = (centred * centred).mean((2, 3), keepdim=True) * (count / (count - 1))
    deviation = variance.clamp_min(torch.finfo(gate.dtype).tiny).sqrt() + 1e-9
    return centred * (10 / deviation) - 5


class AOTBlock(nn.Module):
    """Four dilated branches, fused and blended with the input by a normalised gate. (N, channels, H, W) -> same.

    `norm` wraps every convolution (spectral norm in GRIG).
    """

    def __init__(
        self, channels: int, rates: Sequence[int] = (1, 2, 4, 8), norm: Callable[[nn.Conv2d], nn.Module] = lambda c: c
    ):
        super().__init__()
        self.branches = [f"block{i:02d}" for i in range(len(rates))]
        for name, rate in zip(self.branches, rates, strict=True):
            convolution = nn.Conv2d(channels, channels // len(rates), 3, dilation=rate)
            self.add_module(name, nn.Sequential(nn.ReflectionPad2d(rate), norm(convolution), nn.ReLU()))
        self.fuse = nn.Sequential(nn.ReflectionPad2d(1), norm(nn.Conv2d(channels, channels, 3)))
        self.gate = nn.Sequential(nn.ReflectionPad2d(1), norm(nn.Conv2d(channels, channels, 3)))

    def forward(self, x: Tensor) -> Tensor:
        fused = self.fuse(torch.cat([self.get_submodule(name)(x) for name in self.branches], dim=1))
        mask = torch.sigmoid(gate_norm(self.gate(x)))
        return x * (1 - mask) + fused * mask
