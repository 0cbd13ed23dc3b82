"""Blocks of FastGAN's generator (Liu et al., ICLR 2021) with spectral norm, also used by Projected GAN and GRIG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import spectral_norm
from torch.nn.utils.spectral_norm import SpectralNorm

Interpolation = Literal["nearest", "bilinear"]


def conv(inputs: int, outputs: int, kernel: int, **options: Any) -> nn.Module:
    """A convolution without bias under spectral norm, zero-padded to keep the size where the kernel is odd."""
    options = {"padding": kernel // 2 if kernel % 2 else 0, "bias": False} | options
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, **options))


class NoiseInjection(nn.Module):
    """Adds one channel of normal noise, scaled by a learned strength that starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight * noise.to(x)


class Swish(nn.Module):
    """x sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class GLU(nn.Module):
    """Gated linear unit: one half of the channels, through the sigmoid, gates the other. (N, 2 channels, H, W) -> half.

    In channels last, the backward pass of torch's own turns the gradient into another order, with which that of batch
    normalisation takes seven times as long.
    """

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class SkipLayerExcitation(nn.Module):
    """Channel gates for a large map from a small one (FastGAN, Eq. 1); `small` and `big` are their channels."""

    def __init__(self, small: int, big: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), conv(small, big, 4), Swish(), conv(big, big, 1), nn.Sigmoid()
        )

    def forward(self, small: Tensor, big: Tensor) -> Tensor:
        return big * self.main(small)


class Down(nn.Module):
    """Half the size: the mean of a convolutional and a pooled branch."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.main = nn.Sequential(
            conv(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2),
            conv(outputs, outputs, 3), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), conv(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(x)) / 2


class Up(nn.Sequential):
    """Twice the size: interpolation, then one gated convolution, or two with noise (`noisy`).

    Bilinear interpolation aligns the corners. The noise is two maps (N, 1, H, W) of the new size.
    """

    def __init__(self, inputs: int, outputs: int, interpolation: Interpolation, noisy: bool = False):
        layers: list[nn.Module] = [
            nn.Upsample(scale_factor=2, mode=interpolation, align_corners=True if interpolation == "bilinear" else None)
        ]
        for channels in (inputs, outputs) if noisy else (inputs,):
            layers += [conv(channels, 2 * outputs, 3), *([NoiseInjection()] if noisy else [])]
            layers += [nn.BatchNorm2d(2 * outputs), GLU()]
        super().__init__(*layers)

    def forward(self, x: Tensor, noise: Sequence[Tensor] = ()) -> Tensor:
        maps = iter(noise)
        for layer in self:
            x = layer(x, next(maps)) if isinstance(layer, NoiseInjection) else layer(x)
        return x


def settle(network: nn.Module, iterations: int = 15) -> nn.Module:
    """Bring the spectral norms of a fresh network near their values.

    The vectors of the power iteration start at random and move only while training: without this an untrained
    network in evaluation mode divides each layer by a number near 0.
    """
    for layer in network.modules():
        for hook in layer._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):
                for _ in range(iterations):
                    hook.compute_weight(layer, do_power_iteration=True)
    return network
