"""Layers that both versions of VQFR share: residual blocks, and the warping of textures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from bench.nn.vqgan import group_norm

REGIONS, TAPS = 4, 9  # of a deformable convolution: groups with offsets of their own, positions of its kernel


def level(number: int) -> str:
    """The name of level `number`: by how much its maps are smaller than the picture."""
    return f"Level_{2**number}"


def activated(channels: int, groups: int) -> list[nn.Module]:
    """Normalisation and SiLU."""
    return [group_norm(channels, groups), nn.SiLU()]


def resized(x: Tensor, factor: float) -> Tensor:
    """Maps resized bilinearly, without a filter before it."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class Residual(nn.Module):
    """Normalisation, SiLU, 3 x 3, twice, plus the input. (N, inputs, H, W) -> (N, outputs, H, W).

    `shortcut`: the name of the 1 x 1 convolution of the input, where channels change.
    """

    def __init__(self, inputs: int, outputs: int, groups: int, shortcut: str):
        super().__init__()
        self.norm1, self.conv1 = group_norm(inputs, groups), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = group_norm(outputs, groups), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = shortcut if inputs != outputs else ""
        if self.shortcut:
            self.add_module(shortcut, nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(x)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        return inner + (self.get_submodule(self.shortcut)(x) if self.shortcut else x)


class Deformable(nn.Module):
    """Modulated deformable 3 x 3 convolution (Zhu et al., 2019); other maps say where it reads and how much counts."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.conv_offset = nn.Conv2d(channels, 3 * REGIONS * TAPS, 3, padding=1)
        bound = 1 / math.sqrt(channels * TAPS)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        offsets, masks = self.conv_offset(guide).split([2 * REGIONS * TAPS, REGIONS * TAPS], dim=1)
        return deform_conv2d(x, offsets, self.weight, self.bias, padding=1, mask=masks.sigmoid())


class TextureWarping(nn.Module):
    """Warps the textures of one level to the face of the degraded picture (section 3.3).

    `above`: channels of the next smaller level, whose offset features are taken along; 0 at the smallest.
    `downsample` brings the guide from the picture's size to the level's.
    """

    def __init__(self, channels: int, guide: int, above: int, groups: int, downsample: nn.Module):
        super().__init__()
        self.downsample = downsample
        self.offset_conv1 = nn.Sequential(
            nn.Conv2d(channels + guide, channels, 1),
            *activated(channels, groups),
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            *activated(channels, groups),
            nn.Conv2d(channels, channels, 1),
        )
        self.offset_conv2 = nn.Sequential(
            nn.Conv2d(channels + above, channels, 3, padding=1), *activated(channels, groups)
        )
        self.dcn = Deformable(channels)

    def forward(self, texture: Tensor, guide: Tensor, above: Tensor | None) -> tuple[Tensor, Tensor]:
        """The warped texture (N, C, H, W), and the offset features: of this shape, too.

        `guide`: features of the degraded picture. Offsets of the level above are twice as long here.
        """
        features = self.offset_conv1(torch.cat([self.downsample(guide), texture], dim=1))
        if above is not None:
            features = torch.cat([features, 2 * resized(above, 2)], dim=1)
        features = self.offset_conv2(features)
        return self.dcn(texture, features), features


class Branch(nn.Module):
    """From the warped textures of the smallest level up; the textures of each level join (section 3.3).

    Its dictionaries go from the smallest level to the picture.
    """

    align_func_dict: nn.ModuleDict  # texture warping, of all levels
    pre_upsample_dict: nn.ModuleDict  # of all but the smallest
    decoder_dict: nn.ModuleDict

    def merge(self, guide: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """The last maps (N, C, H, W), of features of the degraded picture and the texture decoder's maps by level."""
        x = offsets = None
        for (name, warping), texture in zip(self.align_func_dict.items(), reversed(maps), strict=True):
            warped, offsets = warping(texture, guide, offsets)
            x = (
                warped
                if x is None
                else self.decoder_dict[name](torch.cat([self.pre_upsample_dict[name](x), warped], 1))
            )
        assert x is not None
        return x


def initialise(network: nn.Module) -> None:
    """All convolutions and linear layers: truncated normal values of deviation 0.02, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
