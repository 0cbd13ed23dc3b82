"""SEAN's networks: style codes of a face's regions, a generator that draws each region in its own, the discriminators.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from bench.method import Noise
from bench.nn.multiscale import Maps
from bench.nn.spade import SPADE, START, SPADEGenerator

LABELS = 19  # of CelebAMask-HQ
NORMS = (2, 4, 3, 3, 3, 3)  # at each size of the generator, from the smallest on


def nearest(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Planes (N, 19, H, W) of a label map at another size."""
    return F.interpolate(planes, size, mode="nearest")


class StyleEncoder(nn.Module):
    """Per-region style encoding (section 3.1): ST, a matrix of one code a region."""

    def __init__(self, width: int, code: int):
        super().__init__()
        w = width

        def normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
            return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.LeakyReLU(0.2)]

        self.model = nn.Sequential(
            nn.ReflectionPad2d(1), *normed(nn.Conv2d(3, w, 3)),
            *normed(nn.Conv2d(w, 2 * w, 3, 2, 1)), *normed(nn.Conv2d(2 * w, 4 * w, 3, 2, 1)),
            *normed(nn.ConvTranspose2d(4 * w, 8 * w, 3, 2, 1, 1)),
            nn.ReflectionPad2d(1), nn.Conv2d(8 * w, code, 3), nn.Tanh(),
        )  # fmt: skip

    def forward(self, images: Tensor, planes: Tensor) -> Tensor:
        """Codes (N, 19, code), means over the regions, of images (N, 3, H, W) in [-1, 1] and planes (N, 19, H, W).

        The code of a region that is absent is 0.
        """
        features = self.model(images)
        inside = nearest(planes, features.shape[2:]).flatten(2)
        return inside @ features.flatten(2).transpose(1, 2) / inside.sum(2, keepdim=True).clamp(min=1)


class ACE(nn.Module):
    """The normalisation (section 3.2): scale and shift of a pixel are mixed of its region's style and of the layout.

    gamma = a gamma_style + (1 - a) gamma_layout with a learned a, and beta likewise; without `styled` the layout alone.
    """

    def __init__(self, channels: int, hidden: int, code: int, styled: bool):
        super().__init__()
        self.styled = styled
        self.noise_var = nn.Parameter(torch.zeros(channels))
        self.blending_gamma, self.blending_beta = (nn.Parameter(torch.zeros(1)) for _ in range(2))
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)
        self.Spade = SPADE(LABELS, channels, hidden)  # its own norm is in the files, and is not used
        if styled:
            for label in range(LABELS):
                self.add_module(f"fc_mu{label}", nn.Linear(code, code))
            self.conv_gamma, self.conv_beta = (nn.Conv2d(code, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, planes: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
        """Maps (N, C, h, w) by planes (N, 19, H, W), codes (N, 19, code) and normal noise (N, 1, h, w)."""
        planes = nearest(planes, x.shape[2:])
        x = self.param_free_norm(x + self.noise_var[:, None, None] * noise.to(x))
        gamma, beta = self.Spade.modulation(planes)
        if self.styled:
            styles = self.styles(planes, codes)
            a, b = self.blending_gamma.sigmoid(), self.blending_beta.sigmoid()
            gamma = a * self.conv_gamma(styles) + (1 - a) * gamma
            beta = b * self.conv_beta(styles) + (1 - b) * beta
        return x * (1 + gamma) + beta

    def styles(self, planes: Tensor, codes: Tensor) -> Tensor:
        """The style map (N, code, h, w): at each pixel what a layer of its region's own makes of the region's code."""
        each = [self.get_submodule(f"fc_mu{label}")(code) for label, code in enumerate(codes.unbind(1))]
        styles = torch.stack(each, dim=2).relu() @ planes.flatten(2)
        return styles.unflatten(2, planes.shape[2:])


class ACEBlock(nn.Module):
    """Residual block: ACE, leaky ReLU, 3 x 3, twice; a shortcut to other channels is ACE and 1 x 1."""

    def __init__(self, inputs: int, outputs: int, hidden: int, code: int, styled: bool = True):
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.ace_0, self.ace_1 = (ACE(channels, hidden, code, styled) for channels in (inputs, middle))
        self.learned = inputs != outputs
        if self.learned:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.ace_s = ACE(inputs, hidden, code, styled)

    def forward(self, x: Tensor, planes: Tensor, codes: Tensor, noise: Iterator[Tensor]) -> Tensor:
        """Maps (N, inputs, h, w) -> (N, outputs, h, w); of the noise, one map is taken for each norm."""
        shortcut = self.conv_s(self.ace_s(x, planes, codes, next(noise))) if self.learned else x
        x = self.conv_0(F.leaky_relu(self.ace_0(x, planes, codes, next(noise)), 0.2))
        return shortcut + self.conv_1(F.leaky_relu(self.ace_1(x, planes, codes, next(noise)), 0.2))


class Generator(SPADEGenerator):
    """A face of a given layout, each region of it in the style that its code says. Sides are multiples of 32."""

    def __init__(self, width: int, hidden: int, encoder_width: int, code: int):
        def block(before: int, here: int) -> nn.Module:
            return ACEBlock(before, here, hidden, code)

        def plain(before: int, here: int) -> nn.Module:
            return ACEBlock(before, here, hidden, code, styled=False)

        super().__init__(LABELS, width, block, last=plain)
        self.Zencoder = StyleEncoder(encoder_width, code)

    def forward(self, planes: Tensor, codes: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] of planes (N, 19, H, W), codes (N, 19, code) and the noise of `maps`."""
        small = nearest(planes, [side // START for side in planes.shape[2:]])
        return self.draw(small, planes, codes, iter(noise))


def maps(noise: Noise, size: Sequence[int]) -> list[Tensor]:
    """Normal maps (N, 1, h, w) for the norms of a generator of pictures of this height and width."""
    height, width = (side // START for side in size)
    return [noise.normal(1, height << i, width << i) for i, count in enumerate(NORMS) for _ in range(count)]


class Judge(nn.Module):
    """The discriminator of one scale: 4 x 4 convolutions of stride 2, the last of stride 1, all padded by 2."""

    def __init__(self, width: int, halvings: int):
        super().__init__()
        widths = [width * 2**i for i in range(halvings)]
        self.layers = halvings + 1
        self.model0 = nn.Sequential(nn.Conv2d(LABELS + 3, width, 4, 2, 2), nn.LeakyReLU(0.2))
        for i, (before, here) in enumerate(pairwise(widths), start=1):
            convolution = spectral_norm(nn.Conv2d(before, here, 4, 2, 2, bias=False))
            normed = nn.Sequential(convolution, nn.InstanceNorm2d(here))
            self.add_module(f"model{i}", nn.Sequential(normed, nn.LeakyReLU(0.2)))
        self.add_module(f"model{halvings}", nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of all layers, the logits at the end."""
        found = []
        for i in range(self.layers):
            x = self.get_submodule(f"model{i}")(x)
            found.append(x)
        return found


class Discriminator(nn.Module):
    """Judges of planes and picture at full size and half of it: (N, 22, H, W) -> `Maps`."""

    def __init__(self, width: int, halvings: int):
        super().__init__()
        self.discriminator_0, self.discriminator_1 = Judge(width, halvings), Judge(width, halvings)

    def forward(self, x: Tensor) -> Maps:
        return [self.discriminator_0(x), self.discriminator_1(F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))]
