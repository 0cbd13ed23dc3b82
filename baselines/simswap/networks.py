"""SimSwap's networks: an encoder-decoder whose middle takes an identity in, and the discriminators of its paper.

Names inside are those of the released files.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.perceptual import IMAGENET

Maps = list[list[Tensor]]
"""Of each scale, full size first: the maps of all layers, the last of which are the logits."""


class InstanceNorm(nn.Module):
    """Each map without its mean, divided by its deviation."""

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean((2, 3), keepdim=True)
        return x * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + 1e-8)


class Style(nn.Module):
    """Scale and shift of each map by the identity: x (1 + s) + b (Eq. 1, after the normalisation)."""

    def __init__(self, code: int, channels: int):
        super().__init__()
        self.linear = nn.Linear(code, 2 * channels)

    def forward(self, x: Tensor, identity: Tensor) -> Tensor:
        scale, shift = self.linear(identity)[:, :, None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class IDBlock(nn.Module):
    """Residual block with the identity in both of its normalisations (ID-Block, Fig. 2)."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm()) for _ in range(2)
        )
        self.style1, self.style2 = Style(code, channels), Style(code, channels)

    def forward(self, x: Tensor, identity: Tensor) -> Tensor:
        inner = self.style1(self.conv1(x), identity).relu()
        return x + self.style2(self.conv2(inner), identity)


def normalised(outputs: int, *before: nn.Module) -> nn.Sequential:
    """The layers, batch norm, ReLU."""
    return nn.Sequential(*before, nn.BatchNorm2d(outputs), nn.ReLU())


class Generator(nn.Module):
    """Encoder, identity injection, decoder (Fig. 2).

    `width`: channels after the first layer, doubled with each of `halvings`. `centred`: the form of the authors' newer
    programs, linear, on colours normalised by ImageNet's.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int = 64, halvings: int = 3, blocks: int = 9, code: int = 512, centred: bool = False):
        super().__init__()
        widths = [width * 2**i for i in range(halvings + 1)]
        sizes = range(4 - halvings, 4)  # names: the last halving is number 3
        self.downs, self.ups = [f"down{i}" for i in sizes], [f"up{i}" for i in reversed(sizes)]
        self.centred = centred
        self.first_layer = normalised(width, nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7))
        for name, (before, here) in zip(self.downs, pairwise(widths), strict=True):
            self.add_module(name, normalised(here, nn.Conv2d(before, here, 3, 2, 1)))
        self.BottleNeck = nn.ModuleList(IDBlock(widths[-1], code) for _ in range(blocks))
        for name, (before, here) in zip(self.ups, pairwise(widths[::-1]), strict=True):
            twice = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            self.add_module(name, normalised(here, twice, nn.Conv2d(before, here, 3, 1, 1)))
        self.last_layer = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7))
        for name, value in zip(("mean", "deviation"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def forward(self, target: Tensor, identity: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [0, 1], identities (N, code) of length 1 -> the swapped faces, in [0, 1], too.

        Nothing keeps a centred generator's within that range.
        """
        x = self.first_layer((target - self.mean) / self.deviation if self.centred else target)
        for name in self.downs:
            x = self.get_submodule(name)(x)
        for block in self.BottleNeck:
            x = block(x, identity)
        for name in self.ups:
            x = self.get_submodule(name)(x)
        x = self.last_layer(x)
        return x * self.deviation + self.mean if self.centred else (x.tanh() + 1) / 2


class Judge(nn.Module):
    """Patch discriminator of one scale: `halvings` 4 x 4 convolutions of stride 2, two of stride 1, padded by 1.

    Batch norm after all but the first and the last, leaky ReLU after all but the last. (N, 3, H, W) -> all maps.
    """

    def __init__(self, width: int = 64, halvings: int = 4, limit: int = 512):
        super().__init__()
        widths = [3, *(min(width * 2**i, limit) for i in range(halvings))]
        for number, (before, here) in enumerate(pairwise(widths), start=1):
            norm = [nn.BatchNorm2d(here)] if number > 1 else []
            self.add_module(f"down{number}", nn.Sequential(nn.Conv2d(before, here, 4, 2, 1), *norm, nn.LeakyReLU(0.2)))
        last = widths[-1]
        self.conv1 = nn.Sequential(nn.Conv2d(last, last, 4, 1, 1), nn.BatchNorm2d(last), nn.LeakyReLU(0.2))
        self.conv2 = nn.Sequential(nn.Conv2d(last, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.children():
            x = layer(x)
            maps.append(x)
        return maps


class Judges(nn.Module):
    """Two judges, of the picture and of half of it."""

    def __init__(self, width: int = 64, halvings: int = 4):
        super().__init__()
        self.fine, self.coarse = Judge(width, halvings), Judge(width, halvings)

    def forward(self, images: Tensor) -> Maps:
        """Pictures (N, 3, H, W)."""
        return [self.fine(images), self.coarse(F.avg_pool2d(images, 3, 2, 1, count_include_pad=False))]
