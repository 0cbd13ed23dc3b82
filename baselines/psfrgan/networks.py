"""PSFR-GAN's networks: one finds the parts of a face, a second one draws it by them from coarse to fine.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

PARTS = 19  # labels of CelebAMask-HQ


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3 x 3 under spectral norm."""
    return spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))


class SPADE(nn.Module):
    """Instance normalisation; the condition says scale and shift of every pixel (Park et al., 2019)."""

    def __init__(self, channels: int, condition: int, hidden: int):
        super().__init__()
        self.conv1 = nn.Sequential(convolution(condition, hidden), nn.LeakyReLU(0.2))
        self.gamma_conv, self.beta_conv = convolution(hidden, channels), convolution(hidden, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (N, C, H, W) by a condition (N, D, H, W)."""
        seen = self.conv1(condition)
        return F.instance_norm(x) * self.gamma_conv(seen) + self.beta_conv(seen)


class SPADEBlock(nn.Module):
    """Residual block: SPADE, leaky ReLU, 3 x 3, twice. (N, C, H, W) -> same."""

    def __init__(self, channels: int, condition: int, hidden: int):
        super().__init__()
        self.conv_0, self.conv_1 = convolution(channels, channels), convolution(channels, channels)
        self.norm_0, self.norm_1 = SPADE(channels, condition, hidden), SPADE(channels, condition, hidden)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`condition`: (N, D, any, any); its bicubic resizing overshoots, as released."""
        if condition.shape[2:] != x.shape[2:]:
            condition = F.interpolate(condition, x.shape[2:], mode="bicubic", align_corners=False)
        inner = self.conv_0(F.leaky_relu(self.norm_0(x, condition), 0.2))
        return x + self.conv_1(F.leaky_relu(self.norm_1(inner, condition), 0.2))


class Generator(nn.Module):
    """Semantic-aware style transformation (section 3.1): a learned map that picture and parts turn into a face.

    `width`: resolution -> channels; `start`: side of the learned map.
    """

    def __init__(self, size: int, start: int, width: Callable[[int], int], hidden: int):
        super().__init__()
        sides, condition = [start], 3 + PARTS
        while sides[-1] < size:
            sides.append(2 * sides[-1])
        first = width(start)
        self.const_input = nn.Parameter(torch.randn(1, first, start, start))
        self.head = nn.Sequential(convolution(first, first), SPADEBlock(first, condition, hidden))
        self.body = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), convolution(before, here), SPADEBlock(here, condition, hidden))
            for before, here in pairwise(map(width, sides))
        )
        self.img_out = convolution(width(size), 3)

    def forward(self, degraded: Tensor, parts: Tensor) -> Tensor:
        """The restored picture, linear, of (N, 3, H, W) in [-1, 1] and parts (N, 19, H, W) in {0, 1}."""
        condition = torch.cat([degraded, parts], dim=1)
        x = self.const_input.repeat(len(degraded), 1, 1, 1)
        for layers in (self.head, *self.body):
            *before, block = layers
            for layer in before:
                x = layer(x)
            x = block(x, condition)
        return self.img_out(x)


class Normalised(nn.Module):
    """Batch normalisation, under the name that it has in the released file."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class ConvLayer(nn.Module):
    """3 x 3 with reflected borders [, batch norm] [, leaky ReLU]; `scale` 2 doubles the size before, 0.5 halves it."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1, normal: bool = True, activate: bool = True):
        super().__init__()
        stride = 2 if scale < 1 else 1
        self.conv2d = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not normal, padding_mode="reflect")
        self.norm = Normalised(outputs) if normal else nn.Identity()
        self.activate, self.scale = activate, scale

    def forward(self, x: Tensor) -> Tensor:
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        x = self.norm(self.conv2d(x))
        return F.leaky_relu(x, 0.2) if self.activate else x


class ResidualBlock(nn.Module):
    """Two layers and a shortcut; the first doubles the size, or the second halves it."""

    def __init__(self, inputs: int, outputs: int, scale: float = 1):
        super().__init__()
        self.shortcut_func: nn.Module = nn.Identity()
        if scale != 1 or inputs != outputs:
            self.shortcut_func = ConvLayer(inputs, outputs, scale, normal=False, activate=False)
        self.conv1 = ConvLayer(inputs, outputs, max(scale, 1))
        self.conv2 = ConvLayer(outputs, outputs, min(scale, 1), activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_func(x) + self.conv2(self.conv1(x))


class ParseNet(nn.Module):
    """The face parsing network: (N, 3, H, W) in [-1, 1] -> logits of the parts (N, 19, H, W), a cleaner picture.

    `downs`: how often the size is halved.
    """

    def __init__(self, width: int, limit: int, downs: int, blocks: int):
        super().__init__()
        widths = [min(width * 2**i, limit) for i in range(downs + 1)]
        self.encoder = nn.Sequential(
            ConvLayer(3, width, normal=False, activate=False),
            *(ResidualBlock(before, here, 0.5) for before, here in pairwise(widths)),
        )
        self.body = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(blocks)))
        self.decoder = nn.Sequential(*(ResidualBlock(before, here, 2) for before, here in pairwise(widths[::-1])))
        self.out_img_conv = ConvLayer(width, 3, normal=False, activate=False)
        self.out_mask_conv = ConvLayer(width, PARTS, normal=False, activate=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        coarse = self.encoder(images)
        x = self.decoder(coarse + self.body(coarse))
        return self.out_mask_conv(x), self.out_img_conv(x)


def one_hot(logits: Tensor) -> Tensor:
    """1 where a channel is the largest, else 0."""
    return (logits == logits.amax(1, keepdim=True)).to(logits.dtype)


class JudgeLayer(nn.Module):
    """3 x 3 under spectral norm with reflected borders [, half the size, instance norm], leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, halves: bool):
        super().__init__()
        self.conv2d = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect"))
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2d(x)
        return F.leaky_relu(F.instance_norm(F.avg_pool2d(x, 2)) if self.halves else x, 0.2)


class Score(nn.Module):
    """3 x 3 under spectral norm, without a border."""

    def __init__(self, inputs: int):
        super().__init__()
        self.conv2d = spectral_norm(nn.Conv2d(inputs, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(x)


class Judge(nn.Module):
    """The discriminator of one scale: its maps, the logits at the end."""

    def __init__(self, inputs: int, width: int, halvings: int):
        super().__init__()
        widths = [width * 2**i for i in range(halvings + 1)]
        self.model = nn.Sequential(
            JudgeLayer(inputs, width, halves=False),
            *(JudgeLayer(before, here, halves=True) for before, here in pairwise(widths)),
        )
        self.score_out = Score(widths[-1])

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in (*self.model, self.score_out):
            x = layer(x)
            maps.append(x)
        return maps


class Discriminator(nn.Module):
    """Judges of a picture with its parts at several scales: a list of maps, the logits at the end, for each."""

    def __init__(self, width: int, halvings: int, scales: int):
        super().__init__()
        self.D_pool = nn.ModuleList(Judge(3 + PARTS, width, halvings) for _ in range(scales))

    def forward(self, images: Tensor, parts: Tensor) -> list[list[Tensor]]:
        """`images` (N, 3, H, W) in [-1, 1], `parts` (N, 19, H, W)."""
        x, found = torch.cat([images, parts], dim=1), []
        for number, judge in enumerate(self.D_pool):
            if number:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            found.append(judge(x))
        return found
