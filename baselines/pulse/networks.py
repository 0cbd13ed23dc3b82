"""StyleGAN of 2019 (Karras et al., CVPR 2019): mapping and synthesis under the names of the converted weights."""

from __future__ import annotations

import math
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.stylegan2 import Width, check_size
from bench.nn.stylegan2_blocks import UnitMoment

FUSED = 128  # from this side on, enlarging and convolution are one operation


class Equalised(nn.Module):
    """Stored weights N(0, 1) / rate, which are scaled by gain * rate / sqrt(fan in) where they are used."""

    def __init__(self, *shape: int, gain: float = 1.0, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape) / rate)
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.scale, self.rate = gain * rate / math.sqrt(math.prod(shape[1:])), rate


class Linear(Equalised):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Convolution(Equalised):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)


class Enlarging(Equalised):
    """3 x 3 convolution to twice the size, a binomial blur, then the bias."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if 2 * x.shape[-1] < FUSED:
            x = F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=1)
        else:  # the kernel, as it acts on each pixel that becomes four
            weight = F.pad(weight, (1, 1, 1, 1))
            weight = weight[..., 1:, 1:] + weight[..., :-1, 1:] + weight[..., 1:, :-1] + weight[..., :-1, :-1]
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2, padding=1)
        return blurred(x) + self.bias[:, None, None]


def blurred(x: Tensor) -> Tensor:
    """The outer product of [1, 2, 1] / 4, zeros outside."""
    line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


class Noise(nn.Module):
    """x + strength * noise, a strength for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight[:, None, None] * noise


class Style(nn.Module):
    """Scale and shift of each channel, from a code."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.lin = Linear(2 * channels, code)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.lin(code)[:, :, None, None].chunk(2, dim=1)
        return x * (scale + 1) + shift


class Epilogue(nn.Module):
    """Noise, leaky ReLU (0.2), instance normalisation, style: adaptive instance normalisation (equation 1)."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.noise = Noise(channels)
        self.style_mod = Style(channels, code)

    def forward(self, x: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        return self.style_mod(F.instance_norm(F.leaky_relu(self.noise(x, noise), 0.2)), code)


class First(nn.Module):
    """The learned 4 x 4 map and the two layers on it."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.const = nn.Parameter(torch.ones(1, channels, 4, 4))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.epi1 = Epilogue(channels, code)
        self.conv = Convolution(channels, channels, 3, 3, gain=math.sqrt(2))
        self.epi2 = Epilogue(channels, code)

    def forward(self, codes: Tensor, noise: Sequence[Tensor]) -> Tensor:
        x = (self.const + self.bias[:, None, None]).expand(len(codes), -1, -1, -1)
        x = self.epi1(x, codes[:, 0], noise[0])
        return self.epi2(self.conv(x), codes[:, 1], noise[1])


class Block(nn.Module):
    """Two layers at twice the size."""

    def __init__(self, inputs: int, outputs: int, code: int):
        super().__init__()
        self.conv0_up = Enlarging(outputs, inputs, 3, 3, gain=math.sqrt(2))
        self.epi1 = Epilogue(outputs, code)
        self.conv1 = Convolution(outputs, outputs, 3, 3, gain=math.sqrt(2))
        self.epi2 = Epilogue(outputs, code)

    def forward(self, x: Tensor, codes: Tensor, noise: Sequence[Tensor]) -> Tensor:
        x = self.epi1(self.conv0_up(x), codes[:, 0], noise[0])
        return self.epi2(self.conv1(x), codes[:, 1], noise[1])


class Synthesis(nn.Module):
    """Codes w (N, codes, D), two for each size, and as many noise maps (N or 1, 1, r, r) to images (N, 3, size, size).

    The output is linear, trained to [-1, 1].
    """

    def __init__(self, size: int = 1024, width: int = 16384, limit: int = 512, code: int = 512):
        super().__init__()
        widths, powers = Width(width, limit), range(2, check_size(size) + 1)
        self.size, self.codes = size, 2 * len(powers)
        self.sides = [2**power for power in powers for _ in range(2)]
        self.blocks = nn.ModuleDict({"4x4": First(widths(4), code)})
        for side in (2**power for power in powers[1:]):
            self.blocks[f"{side}x{side}"] = Block(widths(side // 2), widths(side), code)
        self.torgb = Convolution(3, widths(size), 1, 1)

    def forward(self, codes: Tensor, noise: Sequence[Tensor]) -> Tensor:
        first, *others = self.blocks.values()
        x = first(codes[:, :2], noise[:2])
        for i, block in enumerate(others, start=1):
            x = block(x, codes[:, 2 * i : 2 * i + 2], noise[2 * i : 2 * i + 2])
        return self.torgb(x)

    def load_released(self, state: Dict[str, Any]) -> None:
        """Take a released state dict; the kernels of its blurs are constants."""
        self.load_state_dict({key: value for key, value in state.items() if not key.endswith("intermediate.kernel")})


class Mapping(nn.Module):
    """Latents z (N, D) to codes w (N, D), by `depth` layers at a hundredth of the learning rate."""

    def __init__(self, code: int = 512, depth: int = 8):
        super().__init__()
        self.unit = UnitMoment()
        for i in range(depth):
            self.add_module(f"dense{i}", Linear(code, code, gain=math.sqrt(2), rate=0.01))

    def forward(self, z: Tensor) -> Tensor:
        unit, *layers = self.children()
        z = unit(z)
        for layer in layers:
            z = F.leaky_relu(layer(z), 0.2)
        return z
