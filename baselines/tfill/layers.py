"""Layers of TFill: convolutions that hand a confidence on, residual blocks, weighted self-attention."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Confidence:
    """How much of what each place of a map saw is known: (N or 1, 1, H, W) in [0, 1].

    What a convolution makes of it is worked out once, so where it depends on the size alone it is kept (`certain`).
    """

    def __init__(self, map: Tensor, full: bool = False):
        self.map, self.full = map, full  # full: 1 everywhere
        self.windows: dict[tuple[int, int, int], tuple[Tensor, Tensor, Confidence]] = {}

    def under(self, convolution: nn.Conv2d) -> tuple[Tensor, Tensor, Confidence]:
        """(what its output and its bias are multiplied by, the confidence of its output)."""
        kernel, stride, padding = convolution.kernel_size[0], convolution.stride[0], int(convolution.padding[0])
        key = kernel, stride, padding
        if key not in self.windows:
            with torch.inference_mode(False), torch.no_grad():  # what is kept must serve training, too
                known = F.avg_pool2d(self.map, kernel, stride, padding, divisor_override=1)
                share = known.clamp(0, 1)
                ratio = kernel**2 / (known + 1e-8) * share
                self.windows[key] = ratio * share, share, Confidence(known / kernel**2)
        return self.windows[key]


def certain(x: Tensor) -> Confidence:
    """The confidence 1 everywhere in a map; around it, zero padding counts as unknown."""
    return _certain(*x.shape[2:], x.dtype, x.device)


@lru_cache(maxsize=64)
def _certain(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Confidence:
    with torch.inference_mode(False):
        return Confidence(torch.ones(1, 1, height, width, dtype=dtype, device=device), full=True)


class PartialConv(nn.Conv2d):
    """Partial convolution whose mask may be fractional: (map, confidence) -> the same of its output.

    Unlike Liu et al.'s, the mask that it returns is the window's mean, not whether the window has known pixels.
    """

    def forward(self, x: Tensor, confidence: Confidence) -> tuple[Tensor, Confidence]:  # type: ignore[override]
        scale, share, after = confidence.under(self)
        y = self._conv_forward(x if confidence.full else x * confidence.map, self.weight, None).mul_(scale)
        return (y if self.bias is None else y.add_(self.bias.view(1, -1, 1, 1) * share)), after


class PlainConv(PartialConv):
    """The same on a map where all is known: only windows across the border are re-weighted."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        scale, _, _ = certain(x).under(self)
        y = self._conv_forward(x, self.weight, None).mul_(scale)
        return y if self.bias is None else y.add_(self.bias.view(1, -1, 1, 1))


class PixelNorm(nn.Module):
    """Unit mean square over the channels at each pixel, times a learned gain a channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8) * self.alpha


class ResBlock(nn.Module):
    """Pre-activation block of two partial convolutions; sum with the shortcut, divided by sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.norm1, self.conv1 = PixelNorm(inputs), PartialConv(inputs, outputs, kernel, padding=kernel // 2)
        self.norm2, self.conv2 = PixelNorm(outputs), PartialConv(outputs, outputs, kernel, padding=kernel // 2)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, confidence: Confidence) -> tuple[Tensor, Confidence]:
        h, confidence = self.conv1(F.leaky_relu(self.norm1(x), 0.2, inplace=True), confidence)
        h, confidence = self.conv2(F.leaky_relu(self.norm2(h), 0.2, inplace=True), confidence)
        return h.add_(self.short(x)).div_(math.sqrt(2)), confidence


class PlainBlock(ResBlock):
    """The same on a map where all is known; its second convolution still trusts border pixels less."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, certain(x))[0]


class ToRGB(nn.Module):
    """A picture from features and, but at the first level, from the picture of half the size."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Sequential(PixelNorm(channels), nn.LeakyReLU(0.2), PlainConv(channels, 3, 3, padding=1))

    def forward(self, x: Tensor, image: Tensor | None) -> Tensor:
        return self.conv(x if image is None else torch.cat([x, double(image)], dim=1)).tanh()


class Upsample(nn.Module):
    """Twice the size, then a 3x3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = PlainConv(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(double(x))


def double(x: Tensor) -> Tensor:
    """Twice the size, bilinear with aligned corners."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """The height and width of another map, bilinear with aligned corners."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def weighted(logits: Tensor, weight: Tensor, floor: float) -> Tensor:
    """Logits of attention under a weight in [0, 1] for each key: a small one always lowers them."""
    return torch.where(logits > 0, logits * weight, logits / (weight + floor))


class Attention(nn.Module):
    """Multi-head attention of tokens (N, T, dim), keys weighted by (N, T) where that is given."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None) -> Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.to_q, query), (self.to_k, key), (self.to_v, value))
        )
        logits = q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)  # (N, heads, T, T)
        if weight is not None:
            logits = weighted(logits, weight[:, None, None], 1e-5)
        return self.to_out((logits.softmax(3) @ v).transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network, each behind a norm, on the pixels of a map (N, dim, H, W).

    `position` (1, dim, H, W) is added to queries and keys; `weight` (N, 1, H, W) is that of the keys.
    """

    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.norm1, self.attn = PixelNorm(dim), Attention(dim, heads)
        self.norm2, self.conv1, self.conv2 = PixelNorm(dim), nn.Conv2d(dim, hidden, 1), nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor, position: Tensor | None = None, weight: Tensor | None = None) -> Tensor:
        value = self.norm1(x)
        place = value if position is None else value + position
        query, value = place.flatten(2).transpose(1, 2), value.flatten(2).transpose(1, 2)
        attended = self.attn(query, query, value, None if weight is None else weight.flatten(1))
        x = x + attended.transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.conv2(F.gelu(self.conv1(self.norm2(x))))


class AttentionAwareLayer(nn.Module):
    """Copies from visible features of the encoder and from generated ones, by how well each is attended (Fig. 4).

    x, before: (N, C, H, W); known (N, 1, H, W), 1 = known. Two heads.
    """

    def __init__(self, channels: int, heads: int = 2):
        super().__init__()
        self.heads = heads
        self.query_conv, self.key_conv = (
            nn.Sequential(PixelNorm(channels), nn.LeakyReLU(0.2), nn.Conv2d(channels, channels, 1)) for _ in range(2)
        )
        self.weight = nn.Conv2d(2 * heads, 2, 1)
        self.to_out = PlainBlock(2 * channels, channels, 1)

    def forward(self, x: Tensor, before: Tensor, known: Tensor) -> Tensor:
        q, k, v, b = (
            y.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
            for y in (self.query_conv(x), self.key_conv(x), x, before)
        )
        logits = q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)  # (N, heads, HW, HW)
        visible = known.flatten(1)[:, None, None]
        sides = ((visible, b), (1 - visible, v))
        with torch.no_grad():
            best = torch.cat([(logits * side).amax(3) for side, _ in sides], dim=1).unflatten(2, x.shape[2:])
        gates = self.weight(best).softmax(1).chunk(2, dim=1)
        copied = torch.zeros_like(x)
        for gate, (side, values) in zip(gates, sides, strict=True):
            attended = weighted(logits, side, 1e-8).softmax(3) @ values
            copied = copied + gate * attended.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])
        return self.to_out(torch.cat([copied, x], dim=1))
