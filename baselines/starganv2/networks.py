"""StarGAN v2's networks: a generator that a style modulates, and what makes styles, of noise or of pictures.

Names inside are those of the released files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF = 1 / math.sqrt(2)  # so that the sum of two branches has the variance of one
SLOPE = 0.2  # of the leaky ReLU


def he_init(module: nn.Module) -> None:
    """Weights of convolutions and linear layers N(0, 2 / fan in), all biases 0 (He et al., 2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class ResBlock(nn.Module):
    """Activation before each of two 3 x 3 convolutions, a shortcut; `down`: half the size between them."""

    def __init__(self, inputs: int, outputs: int, normal: bool = False, down: bool = False):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inputs, inputs, 3, 1, 1), nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = (nn.InstanceNorm2d(inputs, affine=True) if normal else nn.Identity() for _ in range(2))
        self.conv1x1 = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        shortcut, inner = self.conv1x1(x), self.conv1(F.leaky_relu(self.norm1(x), SLOPE))
        if self.down:
            shortcut, inner = F.avg_pool2d(shortcut, 2), F.avg_pool2d(inner, 2)
        return (shortcut + self.conv2(F.leaky_relu(self.norm2(inner), SLOPE))) * HALF


class AdaIN(nn.Module):
    """Adaptive instance normalisation: (1 + gamma(s)) n + beta(s) of normalised maps n."""

    def __init__(self, style: int, channels: int):
        super().__init__()
        self.fc = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.fc(style)[:, :, None, None].chunk(2, dim=1)
        return (1 + gamma) * F.instance_norm(x) + beta


class StyledBlock(nn.Module):
    """AdaIN, activation, 3 x 3 convolution, twice; nearest pixels at twice the size before the first one if `up`.

    `shortcut`: whether the input is added. Where it is not, released files hold its 1 x 1 convolution all the same.
    """

    def __init__(self, inputs: int, outputs: int, style: int, up: bool = False, shortcut: bool = True):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = AdaIN(style, inputs), AdaIN(style, outputs)
        self.conv1x1 = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.scale, self.shortcut = 2 if up else 1, shortcut

    def larger(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.scale, mode="nearest") if self.scale > 1 else x

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        inner = self.conv1(self.larger(F.leaky_relu(self.norm1(x, style), SLOPE)))
        inner = self.conv2(F.leaky_relu(self.norm2(inner, style), SLOPE))
        return (self.conv1x1(self.larger(x)) + inner) * HALF if self.shortcut else inner


def high_pass(x: Tensor, strength: float) -> Tensor:
    """Each map's differences from its eight neighbours, summed and divided by `strength`."""
    filtered = torch.full((3, 3), -1.0, dtype=x.dtype, device=x.device)
    filtered[1, 1] = 8
    return F.conv2d(x, (filtered / strength).expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])


class Generator(nn.Module):
    """Translates a picture into the style of another one (Fig. 2a).

    `width`, `limit`: channels at full size, and at most; `strength`: what high frequencies of the features around
    facial parts are divided by, which go past the bottleneck; 0: none do.
    """

    def __init__(self, size: int, width: int, limit: int, style: int, strength: float):
        super().__init__()
        passes = strength > 0
        halvings = size.bit_length() - 1 - (3 if passes else 4)  # to 8 x 8, or 16 x 16
        widths = [min(width * 2**i, limit) for i in range(halvings + 1)]
        last = widths[-1]
        self.strength, self.sides = strength, (size // 8, size // 4, size // 2)
        self.from_rgb = nn.Conv2d(3, width, 3, 1, 1)
        self.encode = nn.ModuleList(ResBlock(before, here, True, True) for before, here in pairwise(widths))
        self.encode.extend(ResBlock(last, last, True) for _ in range(2))
        self.decode = nn.ModuleList(StyledBlock(last, last, style, shortcut=not passes) for _ in range(2))
        self.decode.extend(
            StyledBlock(before, here, style, True, not passes) for before, here in pairwise(widths[::-1])
        )
        self.to_rgb = nn.Sequential(nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(SLOPE), nn.Conv2d(width, 3, 1))
        he_init(self)

    def forward(self, images: Tensor, style: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1], styles (N, S) -> pictures, linear.

        `masks`: where facial parts are, two maps (N, 1, any, any): of the features at an eighth of the size, and at a
        quarter and half of it.
        """
        x, kept = self.from_rgb(images), dict[int, Tensor]()
        for block in self.encode:
            if masks is not None and x.shape[-1] in self.sides:
                kept[x.shape[-1]] = x
            x = block(x)
        for block in self.decode:
            x = block(x, style)
            if masks is not None and (side := x.shape[-1]) in self.sides:
                mask = F.interpolate(masks[side > self.sides[0]], x.shape[2:], mode="bilinear", align_corners=False)
                x = x + high_pass(mask * kept[side], self.strength)
        return self.to_rgb(x)


class MappingNetwork(nn.Module):
    """Latent codes z to styles, one for each domain (Fig. 2b)."""

    def __init__(self, latent: int, hidden: int, style: int, domains: int):
        super().__init__()

        def layers(*widths: int) -> list[nn.Module]:
            found = [(nn.Linear(before, here), nn.ReLU()) for before, here in pairwise(widths)]
            return [layer for pair in found for layer in pair]

        self.shared = nn.Sequential(*layers(latent, *[hidden] * 4))
        self.unshared = nn.ModuleList(
            nn.Sequential(*layers(*[hidden] * 4), nn.Linear(hidden, style)) for _ in range(domains)
        )
        he_init(self)

    def forward(self, z: Tensor, domain: Tensor) -> Tensor:
        """z (N, L), domains (N,) -> styles (N, S)."""
        return chosen(self.unshared, self.shared(z), domain)


def chosen(heads: nn.ModuleList, x: Tensor, domain: Tensor) -> Tensor:
    """What each image's own head gives of x: (N, S)."""
    every = torch.stack([head(x) for head in heads], dim=1)
    return every[torch.arange(len(x), device=x.device), domain]


def trunk(size: int, width: int, limit: int) -> tuple[list[nn.Module], int]:
    """Layers from pictures (N, 3, size, size), halved down to 4 x 4, to values (N, C, 1, 1); and C."""
    widths = [min(width * 2**i, limit) for i in range(size.bit_length() - 2)]
    blocks = [ResBlock(before, here, down=True) for before, here in pairwise(widths)]
    last = widths[-1]
    end = [nn.LeakyReLU(SLOPE), nn.Conv2d(last, last, 4), nn.LeakyReLU(SLOPE)]
    return [nn.Conv2d(3, width, 3, 1, 1), *blocks, *end], last


class StyleEncoder(nn.Module):
    """Pictures to styles, one for each domain (Fig. 2c)."""

    def __init__(self, size: int, width: int, limit: int, style: int, domains: int):
        super().__init__()
        layers, channels = trunk(size, width, limit)
        self.shared = nn.Sequential(*layers)
        self.unshared = nn.ModuleList(nn.Linear(channels, style) for _ in range(domains))
        he_init(self)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1], their domains (N,) -> styles (N, S)."""
        return chosen(self.unshared, self.shared(images).flatten(1), domain)


class Discriminator(nn.Module):
    """Whether a picture is a real one of each domain (Fig. 2d)."""

    def __init__(self, size: int, width: int, limit: int, domains: int):
        super().__init__()
        layers, channels = trunk(size, width, limit)
        self.main = nn.Sequential(*layers, nn.Conv2d(channels, domains, 1))
        he_init(self)

    def every(self, images: Tensor) -> Tensor:
        """Logits (N, domains)."""
        return self.main(images).flatten(1)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Logits (N,) of the pictures' own domains (N,)."""
        logits = self.every(images)
        return logits[torch.arange(len(images), device=images.device), domain]
