"""Blocks of Restormer (Zamir et al., CVPR 2022): attention across channels instead of pixels. No biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.LayerNorm):
    """A class of its own: counters that charge exactly nn.LayerNorm pass it over, as in the published columns."""


class LayerNorm(nn.Module):
    """Layer normalisation over the channels of each pixel. (N, channels, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.movedim(1, -1)).movedim(-1, 1)


class Attention(nn.Module):
    """Multi-Dconv head transposed attention (Eq. 1): channels attend to channels, linear in the number of pixels."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size, heads = x.shape[2:], len(self.temperature)
        # three of (N, heads, channels / heads, pixels)
        q, k, v = (part.flatten(2).unflatten(1, (heads, -1)) for part in self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1))
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        return self.project_out((scores.softmax(dim=-1) @ v).flatten(1, 2).unflatten(2, size))


class FeedForward(nn.Module):
    """Gated-Dconv feed-forward network (Eq. 2): one half, through GELU, gates the other."""

    def __init__(self, channels: int, expansion: float):
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class TransformerBlock(nn.Module):
    """Attention, then the feed-forward network, each normalised and with a shortcut. (N, channels, H, W) -> same."""

    def __init__(self, channels: int, heads: int, expansion: float = 2.66):
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attn = Attention(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = FeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class Downsample(nn.Module):
    """Half the size, twice the channels: 3x3 convolution and pixel unshuffle."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Upsample(nn.Module):
    """Twice the size, half the channels: 3x3 convolution and pixel shuffle."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class PatchEmbed(nn.Module):
    """The first 3x3 convolution, to the channels of level 1."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.proj = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)
