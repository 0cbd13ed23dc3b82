"""The autoencoder of latent diffusion (Rombach et al., 2022): latents are normal values, of which pictures are made.

Names are those of the released files.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.vqgan import Attention, Down, ResidualBlock, Up, conv, group_norm


class Level(nn.Module):
    """Residual blocks of one size."""

    def __init__(self, inputs: int, width: int, blocks: int, groups: int):
        super().__init__()
        widths = [inputs, *[width] * (blocks - 1)]
        self.block = nn.Sequential(*(ResidualBlock(before, width, groups) for before in widths))


class Middle(nn.Module):
    """Residual block, attention, residual block."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.block_1, self.block_2 = (ResidualBlock(width, width, groups) for _ in range(2))
        self.attn_1 = Attention(width, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """Pictures (N, 3, H, W) -> (N, 2 latents, h, w); levels of `widths` channels, fine to coarse."""

    def __init__(self, widths: Sequence[int], latents: int, blocks: int, groups: int):
        super().__init__()
        self.conv_in = conv(3, widths[0])
        self.down = nn.ModuleList(Level(widths[max(i - 1, 0)], width, blocks, groups) for i, width in enumerate(widths))
        for level, width in zip(self.down[:-1], widths, strict=False):
            level.add_module("downsample", Down(width))
        self.mid = Middle(widths[-1], groups)
        self.norm_out = group_norm(widths[-1], groups)
        self.conv_out = conv(widths[-1], 2 * latents)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            for part in level.children():
                x = part(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """Latents (N, latents, h, w) -> pictures (N, 3, H, W), with a block more in each level."""

    def __init__(self, widths: Sequence[int], latents: int, blocks: int, groups: int):
        super().__init__()
        coarsest = len(widths) - 1
        self.conv_in = conv(latents, widths[-1])
        self.mid = Middle(widths[-1], groups)
        self.up = nn.ModuleList(  # fine to coarse
            Level(widths[min(i + 1, coarsest)], width, blocks + 1, groups) for i, width in enumerate(widths)
        )
        for level, width in zip(self.up[1:], widths[1:], strict=True):
            level.add_module("upsample", Up(width))
        self.norm_out = group_norm(widths[0], groups)
        self.conv_out = conv(widths[0], 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            for part in level.children():
                x = part(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Autoencoder(nn.Module):
    """Encoder and decoder, whose latents are kept near normal values. Sides are halved once less than there are levels.

    `deviation`: of the latents in training, by which they are divided for the networks that denoise them.
    """

    deviation: Tensor

    def __init__(self, widths: Sequence[int], latents: int, blocks: int, groups: int):
        super().__init__()
        self.encoder = Encoder(widths, latents, blocks, groups)
        self.decoder = Decoder(widths, latents, blocks, groups)
        self.quant_conv = conv(2 * latents, 2 * latents, 1)
        self.post_quant_conv = conv(latents, latents, 1)
        self.register_buffer("deviation", torch.ones(()))

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of the variances of pictures' latents (N, latents, h, w)."""
        mean, log_variance = self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (N, 3, H, W), linear, of latents as `encode` has them."""
        return self.decoder(self.post_quant_conv(latents))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """From normal values, summed over each latent: (N,)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)) / 2
