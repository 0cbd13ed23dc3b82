"""The two networks of latent diffusion, as the library diffusers has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from baselines.diffusers.folder import library
from baselines.latent.words import LENGTHS

if TYPE_CHECKING:
    from baselines.latent import LatentConfig

LATENTS = 4  # channels: the library's pipeline for 9 inputs takes no other
INPUTS = 2 * LATENTS + 1  # of the denoiser: noisy latents, the mask, latents of what is known


def autoencoder(config: LatentConfig) -> nn.Module:
    """The library's autoencoder."""
    c = config
    levels = len(c.autoencoder_multipliers)
    return library("AutoencoderKL")(
        block_out_channels=[c.autoencoder_width * m for m in c.autoencoder_multipliers],
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        layers_per_block=c.autoencoder_blocks,
        norm_num_groups=c.autoencoder_groups,
        latent_channels=LATENTS,
        scaling_factor=1.0,  # training brings the latents to it
    )


def denoiser(config: LatentConfig) -> nn.Module:
    """The library's U-Net. It sees noisy latents, the mask of cells, and the latents of what is known."""
    c = config
    channels = [c.width * m for m in c.multipliers]
    looks = [level in c.attention for level in range(len(channels))]
    return library("UNet2DConditionModel")(
        sample_size=64,  # the library compares it; calls say theirs
        in_channels=INPUTS,
        out_channels=LATENTS,
        block_out_channels=channels,
        layers_per_block=c.blocks,
        norm_num_groups=c.groups,
        down_block_types=["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in looks],
        up_block_types=["CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(looks)],
        attention_head_dim=[count // c.head for count in channels],  # the library means the number of heads
        cross_attention_dim=LENGTHS[c.text],
    )
