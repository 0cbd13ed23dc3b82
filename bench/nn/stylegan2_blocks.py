"""Layers of StyleGAN2 (Karras et al., 2020): equalised weights, FIR filters, modulated convolutions, mapping.

Names inside a state dict are those of rosinality's re-implementation, which the papers on face inpainting build on.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn import across

GAIN = math.sqrt(2)  # after each leaky ReLU, so that it keeps the variance
TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)  # of the separable low-pass filter


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which operations on `x` keep its own precision."""
    kind = x.device.type  # the meta device, on which costs are counted, knows no autocast
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


class _Filter(torch.autograd.Function):
    """Depthwise 4 x 4 filter, or its adjoint.

    The gradient is given as the adjoint filter itself, so that penalties on gradients (R1, path length) cost two
    more filters instead of the general second derivative of a grouped convolution, which is slow.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int, padding: int, gain: float, adjoint: bool) -> Tensor:
        ctx.options = (stride, padding, gain, adjoint)
        line = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
        kernel = (torch.outer(line, line) * gain).expand(x.shape[1], 1, 4, 4)
        with full_precision(x):  # for pictures; maps keep their own
            if adjoint and stride > 1:
                return F.conv_transpose2d(x, kernel, stride=stride, padding=padding, groups=x.shape[1])
            padding = 3 - padding if adjoint else padding  # the filter is symmetric
            return F.conv2d(x, kernel, stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        stride, padding, gain, adjoint = ctx.options
        return _Filter.apply(gradients[0], stride, padding, gain, not adjoint), None, None, None, None


def low_pass(x: Tensor, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
    """Filter with the outer product of [1, 3, 3, 1] / 8, zeros outside; sides H + 2 padding - 3, every `stride`-th."""
    return _Filter.apply(x, stride, padding, gain, False)


def upsample(x: Tensor) -> Tensor:
    """Twice the size: zeros between the pixels, then the low-pass filter with gain 4."""
    return _Filter.apply(x, 2, 1, 4.0, True)


class EqualLinear(nn.Module):
    """Fully connected layer with equalised learning rate: weights N(0, 1/rate²), scaled by rate / sqrt(inputs)."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0, activate: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.rate, self.activate = rate / math.sqrt(inputs), rate, activate

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.scale, self.bias * self.rate)
        return F.leaky_relu(x, 0.2) * GAIN if self.activate else x


class EqualConv2d(nn.Module):
    """Convolution with equalised learning rate: weights N(0, 1), scaled by 1 / sqrt(fan in)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * kernel**2), stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class Activation(nn.Module):
    """Bias, leaky ReLU (0.2), times sqrt(2); values limited to ± `clamp` where it is given."""

    def __init__(self, channels: int, clamp: float | None = None):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.clamp = clamp

    def forward(self, x: Tensor) -> Tensor:
        return self.limited(x + self.bias.to(x.dtype).view(1, -1, 1, 1))

    def limited(self, x: Tensor) -> Tensor:
        """Leaky ReLU and limit, which takes a third of the time in place, where no gradient needs what it cuts."""
        x = F.leaky_relu(x, 0.2).mul_(GAIN)
        if self.clamp is None:
            return x
        limit = torch.clamp if torch.is_grad_enabled() else torch.clamp_
        return limit(x, -self.clamp, self.clamp)


class Blur(nn.Module):
    """The low-pass filter as a layer."""

    def __init__(self, padding: int, stride: int = 1):
        super().__init__()
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        return low_pass(x, self.padding, self.stride)


class ConvLayer(nn.Sequential):
    """[Blur,] equalised convolution [, activation]; `down` halves the size.

    A 1 x 1 convolution that halves the size reads every second pixel, so the filter computes only those.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        down: bool = False,
        activate: bool = True,
        clamp: float | None = None,
    ):
        layers: list[nn.Module] = []
        if down and kernel == 1:
            layers = [Blur(1, stride=2), EqualConv2d(inputs, outputs, 1)]
        elif down:
            layers = [Blur(2), EqualConv2d(inputs, outputs, kernel, stride=2)]
        else:
            layers = [EqualConv2d(inputs, outputs, kernel, padding=kernel // 2)]
        if activate:
            layers.append(Activation(outputs, clamp))
        elif clamp is not None:
            layers.append(nn.Hardtanh(-clamp, clamp))
        super().__init__(*layers)


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a code, its filters normalised to unit length (section 2.2).

    The code scales the channels of the input and the normalisation those of the output: the same function as one
    filter an image, but one ordinary convolution for the whole batch. For a single image the filters are scaled where
    they hold fewer numbers than its maps: mostly from 64 px on (at 8 px, with 512 channels, that would take twice as
    long; at 256 px, with 64, the maps take a quarter longer).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, code: int = 512, demodulate: bool = True, up: bool = False
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(code, inputs, bias=1.0)
        self.scale, self.demodulate, self.up = 1 / math.sqrt(inputs * kernel**2), demodulate, up

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        weight, style = self.weight[0], self.modulation(code) * self.scale
        norm = self.norm(style) if self.demodulate else None
        if len(x) == 1 and weight.numel() < x.numel():
            weight = weight * style[0, :, None, None]
            return self.convolve(x, weight if norm is None else weight * norm[0, :, None, None, None])
        x = self.convolve(x * style[:, :, None, None], weight)
        return x if norm is None else x * norm.to(x.dtype)[:, :, None, None]

    def norm(self, style: Tensor) -> Tensor:
        """One over the length of each filter (N, outputs) under a style (N, inputs)."""
        return torch.rsqrt(style.square() @ self.weight[0].square().sum((2, 3)).T + 1e-8)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """The plain convolution; `up` doubles the size."""
        if self.up:
            return low_pass(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class NoiseInjection(nn.Module):
    """x + weight * noise: one map (N or 1, 1, H, W) for all channels. Without gradients it overwrites x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None:
            return x
        noise = (self.weight * noise).to(x.dtype)
        return x + noise if torch.is_grad_enabled() else x.add_(noise)


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, code: int = 512, up: bool = False, clamp: float | None = None):
        super().__init__()
        self.conv = ModulatedConv2d(inputs, outputs, 3, code, up=up)
        self.noise = NoiseInjection()
        self.activate = Activation(outputs, clamp)

    def forward(self, x: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.activate(self.noise(self.conv(x, code), noise))


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to three channels without demodulation, added to the picture of half the size."""

    def __init__(self, inputs: int, code: int = 512, clamp: float | None = None):
        super().__init__()
        self.conv = ModulatedConv2d(inputs, 3, 1, code, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.clamp = clamp

    def forward(self, x: Tensor, code: Tensor, image: Tensor | None = None) -> Tensor:
        x = self.conv(x, code) + self.bias
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp)
        return x if image is None else upsample(image) + x


class UnitMoment(nn.Module):
    """A vector divided by the root of its mean square."""

    def forward(self, z: Tensor) -> Tensor:
        return z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)


class Mapping(nn.Sequential):
    """The mapping network: latent z (N, D) to code w (N, D), `depth` layers at a hundredth of the learning rate.

    It runs in full precision.
    """

    def __init__(self, dim: int = 512, depth: int = 8):
        super().__init__(UnitMoment(), *(EqualLinear(dim, dim, rate=0.01, activate=True) for _ in range(depth)))

    def forward(self, z: Tensor) -> Tensor:
        with full_precision(z):
            return super().forward(z)


class ResBlock(nn.Module):
    """Residual block of the discriminator: two convolutions and a 1 x 1 shortcut, half the size, sum / sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, clamp: float | None = None):
        super().__init__()
        self.conv1 = ConvLayer(inputs, inputs, 3, clamp=clamp)
        self.conv2 = ConvLayer(inputs, outputs, 3, down=True, clamp=clamp)
        self.skip = ConvLayer(inputs, outputs, 1, down=True, activate=False, clamp=clamp)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / GAIN


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """Append a channel with the standard deviation over groups of images, mean over channels and pixels.

    Groups are as large as `group` allows and as the batch divides into.
    """
    every = across.whole(x.to(torch.promote_types(x.dtype, torch.float32)))
    n = len(every)
    size = max(g for g in range(1, min(n, group) + 1) if n % g == 0)
    deviation = (every.unflatten(0, (size, n // size)).var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    channel = across.part(deviation.repeat(size)).to(x.dtype).view(-1, 1, 1, 1)
    return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], dim=1)
