"""The U-Net of ADM (Dhariwal and Nichol, NeurIPS 2021), which many face models of diffusion share.

Names are those of its official checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

M = TypeVar("M", bound=nn.Module)


class Told(nn.Module):
    """A layer that is told the time (N, 4 width), and all that the network is told beside it."""


class Residual(Told):
    """Two convolutions whose second norm is scaled and shifted by the time. (N, inputs, H, W) -> (N, outputs, ...).

    With `resample`, both paths pass it before the first convolution: the block then halves or doubles the sides.
    """

    def __init__(self, inputs: int, outputs: int, time: int, groups: int, resample: nn.Module | None = None):
        super().__init__()
        self.resample = resample or nn.Identity()
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, 1, 1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * outputs))
        dropout = nn.Identity()  # its place in the names; faces are learned without
        last = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.out_layers = nn.Sequential(nn.GroupNorm(groups, outputs), nn.SiLU(), dropout, zeroed(last))
        self.skip_connection = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor, *more: Any) -> Tensor:
        norm, activate, first = self.in_layers
        h = first(self.resample(activate(norm(x))))
        h = self.modulated(h, time, *more)
        return self.skip_connection(self.resample(x)) + self.out_layers[1:](h)

    def modulated(self, h: Tensor, time: Tensor, *more: Any) -> Tensor:
        """What lies between the convolutions, before the activation. (N, outputs, h, w) -> same."""
        return modulate(self.out_layers[0](h), self.emb_layers(time))


def modulate(x: Tensor, told: Tensor) -> Tensor:
    """Maps (N, C, H, W), scaled and shifted by (N, 2 C)."""
    scale, shift = told[:, :, None, None].chunk(2, dim=1)
    return x * (1 + scale) + shift


class Attention(nn.Module):
    """Self-attention of all places. (N, C, H, W) -> same. A head's channels are (query, key, value), head by head."""

    def __init__(self, channels: int, head: int, groups: int):
        super().__init__()
        self.heads = channels // head
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        given = self.qkv(self.norm(x).flatten(2)).unflatten(1, (self.heads, -1))
        q, k, v = given.transpose(2, 3).chunk(3, dim=3)  # (N, heads, places, channels of a head)
        found = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(1, 2)
        return x + self.proj_out(found).unflatten(2, x.shape[2:])


class Level(nn.ModuleList):
    """Layers in a row."""

    def forward(self, x: Tensor, time: Tensor, *more: Any) -> Tensor:
        for layer in self:
            x = layer(x, time, *more) if isinstance(layer, Told) else layer(x)
        return x


Block = Callable[[int, int, int, int, nn.Module | None], Told]
"""Makes a residual block of what `Residual` is made of."""
Layer = Callable[[int], nn.Module]
"""Makes one that keeps the channels, of their number."""


class UNet(nn.Module):
    """Maps (N, inputs, H, W) and times (N,) to (N, outputs, H, W); sides are multiples of 2^(levels - 1).

    width: channels at the whole size; `multipliers` of it, one for each level, the sides halve from one to the next.
    blocks: residual blocks of a level on the way down; one more on the way up.
    attention: levels with attention, counted from 0; the middle has it always. head: channels of one of its heads.
    groups: of every norm.
    The others are for networks that differ in a kind of layer: `block`, and `later` in the middle and on the way up;
    `look` in the place of attention; `down` and `up` in the place of blocks that resample.
    """

    def __init__(
        self,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        head: int = 64,
        groups: int = 32,
        inputs: int = 3,
        outputs: int = 6,
        block: Block = Residual,
        later: Block | None = None,
        look: Layer | None = None,
        down: Layer | None = None,
        up: Layer | None = None,
    ):
        super().__init__()
        self.width, time = width, 4 * width
        kind = block

        def residual(before: int, after: int, resample: nn.Module | None = None) -> nn.Module:
            return kind(before, after, time, groups, resample)

        look = look or (lambda channels: Attention(channels, head, groups))
        down = down or (lambda channels: residual(channels, channels, nn.AvgPool2d(2)))
        up = up or (lambda channels: residual(channels, channels, nn.Upsample(scale_factor=2)))

        def layers(level: int, before: int, after: int) -> list[nn.Module]:
            looked = [look(after)] if level in attention else []
            return [residual(before, after), *looked]

        self.time_embed = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        channels, last = width, len(multipliers) - 1
        descent, kept = [Level([nn.Conv2d(inputs, width, 3, 1, 1)])], [width]
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                descent.append(Level(layers(level, channels, channels := multiplier * width)))
                kept.append(channels)
            if level < last:
                descent.append(Level([down(channels)]))
                kept.append(channels)
        self.input_blocks = nn.ModuleList(descent)
        kind, looked = later or block, look(channels)
        self.middle_block = Level([residual(channels, channels), looked, residual(channels, channels)])
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for number in range(blocks + 1):
                made = layers(level, channels + kept.pop(), channels := multiplier * width)
                if level and number == blocks:
                    made.append(up(channels))
                self.output_blocks.append(Level(made))
        self.out = nn.Sequential(
            nn.GroupNorm(groups, channels), nn.SiLU(), zeroed(nn.Conv2d(channels, outputs, 3, 1, 1))
        )

    def forward(self, x: Tensor, times: Tensor, *more: Any) -> Tensor:
        """`more`: what layers are told beside the time."""
        return self.drawn(x, self.time(x, times), *more)

    def time(self, x: Tensor, times: Tensor) -> Tensor:
        """Times (N,) as the layers are told them (N, 4 width)."""
        return self.time_embed(waves(times.to(x.dtype), self.width))

    def drawn(self, x: Tensor, time: Tensor, *more: Any) -> Tensor:
        """(N, outputs, H, W) of x and what the layers are told."""
        x, kept = x.contiguous(memory_format=torch.channels_last), []  # a quarter quicker on a CPU
        for level in self.input_blocks:
            kept.append(x := level(x, time, *more))
        x = self.middle_block(x, time, *more)
        for level in self.output_blocks:
            x = level(torch.cat([x, kept.pop()], dim=1), time, *more)
        return self.out(x)


def waves(times: Tensor, count: int) -> Tensor:
    """Times (N,) as `count` cosines and sines (N, count), of wavelengths from 2 pi to 10,000 times that."""
    half = count // 2
    steps = torch.arange(half, device=times.device, dtype=times.dtype) / half
    angles = times[:, None] * torch.exp(-math.log(10_000) * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def zeroed(module: M) -> M:
    """The module with weights and biases of 0: what it is added to passes unchanged until it has learned."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
