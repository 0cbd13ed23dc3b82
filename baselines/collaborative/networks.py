"""Collaborative Diffusion's networks: denoisers of latents, and dynamic diffusers that say whom to follow where.

Both are the U-Net of latent diffusion (Rombach et al., 2022), whose names are inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.adm import Residual, Told, UNet, zeroed
from bench.nn.diffusion import STEPS
from bench.nn.vqgan import group_norm

LABELS, SIDE = 19, 32  # planes of a label map, and its sides as the network reads it


class AddedBlock(Residual):
    """Two convolutions, the time added in between."""

    def __init__(self, inputs: int, outputs: int, time: int, groups: int, resample: nn.Module | None = None):
        super().__init__(inputs, outputs, time, groups, resample)
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, outputs))

    def modulated(self, h: Tensor, time: Tensor, *more: Any) -> Tensor:
        return self.out_layers[0](h + self.emb_layers(time)[:, :, None, None])


class Half(nn.Module):
    """To half the size."""

    def __init__(self, channels: int):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Twice(nn.Module):
    """To twice the size."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class CrossAttention(nn.Module):
    """Tokens (N, L, width) ask tokens (N, M, context)."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = (nn.Linear(context, width, bias=False) for _ in range(2))
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, asking: Tensor, answering: Tensor) -> Tensor:
        given = self.to_q(asking), self.to_k(answering), self.to_v(answering)
        q, k, v = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in given)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    """A layer, one half of which lets the other through."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.proj = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = self.proj(x).chunk(2, dim=-1)
        return kept * F.gelu(gate)


class FeedForward(nn.Module):
    """Two layers at each token, four times as wide in between."""

    def __init__(self, width: int):
        super().__init__()
        self.net = nn.Sequential(GEGLU(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Places look at each other, then at the context."""

    def __init__(self, width: int, context: int, heads: int):
        super().__init__()
        self.attn1, self.attn2 = CrossAttention(width, width, heads), CrossAttention(width, context, heads)
        self.ff = FeedForward(width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        seen = self.norm1(x)
        x = x + self.attn1(seen, seen)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(Told):
    """A transformer over all places, around a shortcut: of (N, C, H, W) and tokens (N, M, `context`)."""

    def __init__(self, context: int, heads: int, groups: int, channels: int):
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context, heads)])
        self.proj_out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, time: Tensor, *more: Any) -> Tensor:
        (context,) = more
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        return x + self.proj_out(tokens.transpose(1, 2).unflatten(2, x.shape[2:]))


def unet(
    width: int, multipliers: Sequence[int], blocks: int, attention: Sequence[int], groups: int, context: int,
    heads: int, inputs: int, outputs: int,
) -> UNet:  # fmt: skip
    """The U-Net: (N, inputs, h, w), times (N,), tokens (N, M, context) -> (N, outputs, h, w)."""
    return UNet(
        width, multipliers, blocks, attention, groups=groups, inputs=inputs, outputs=outputs, block=AddedBlock,
        look=partial(SpatialTransformer, context, heads, groups), down=Half, up=Twice,
    )  # fmt: skip


class LabelTokens(nn.Module):
    """A token for each plane of a label map, whose places are its values."""

    def __init__(self, context: int):
        super().__init__()
        self.linear = nn.Linear(SIDE * SIDE, context)

    def forward(self, planes: Tensor) -> Tensor:
        """(N, 19, context) of planes (N, 19, H, W)."""
        return self.linear(F.interpolate(planes, (SIDE, SIDE), mode="nearest").flatten(2))


def influence(by_labels: Tensor, by_text: Tensor) -> Tensor:
    """How much the denoiser of labels counts at each latent, of what both dynamic diffusers say (N, 1, h, w)."""
    return torch.cat([by_labels, by_text], dim=1).softmax(dim=1)[:, :1]


def scheduled(share: Tensor, k: int) -> Tensor:
    """The influence of the labels as the released sampler changes it: it falls to 0 at the end, and counts twice."""
    share = share * (math.cos((1 - k / STEPS) * math.pi) + 1) / 2
    return 2 * share / (2 * share + 1 - share)


def mixed(share: Tensor, by_labels: Tensor, by_text: Tensor) -> Tensor:
    """One noise (N, C, h, w) of two."""
    return share * by_labels + (1 - share) * by_text
