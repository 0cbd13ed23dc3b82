"""MaskGAN's networks: the generator with its two encoders, and what edits label maps and blends pictures in training.

Names inside are those of the released files.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.lgnet import Norm
from bench.nn.translator import Conv, ResidualBlock, translator

LABELS = 19  # of CelebAMask-HQ
HALVED = 32  # by which the encoders divide sides


class LabelEncoder(nn.Module):
    """Planes of a label map (N, 19, H, W) -> maps (N, 4 width, H/4, W/4) and (N, 4 width, H/32, W/32)."""

    def __init__(self, width: int):
        super().__init__()
        w, most = width, 4 * width
        self.model = nn.Sequential(
            Conv(LABELS, w, 7), Conv(w, 2 * w, 4, 2), Conv(2 * w, most, 4, 2, activate=False)
        )  # fmt: skip
        self.model_last = nn.Sequential(
            nn.ReLU(), Conv(most, most, 4, 2), Conv(most, most, 4, 2), Conv(most, most, 4, 2, activate=False)
        )

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.model(planes)
        return fine, self.model_last(fine)


class SFT(nn.Module):
    """Spatial feature transform (Wang et al., 2018): x * scale(F) + shift(F), at each pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.SFT_scale_conv1, self.SFT_scale_conv2 = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.SFT_shift_conv1, self.SFT_shift_conv2 = (nn.Conv2d(channels, channels, 1) for _ in range(2))

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Both (N, C, H, W)."""
        scale = self.SFT_scale_conv2(F.leaky_relu(self.SFT_scale_conv1(features), 0.1))
        return x * scale + self.SFT_shift_conv2(F.leaky_relu(self.SFT_shift_conv1(features), 0.1))


class StyleEncoder(nn.Module):
    """A picture (N, 3, H, W) in [-1, 1] and the maps of its labels -> `styles` numbers for the adaptive norms."""

    def __init__(self, width: int, styles: int):
        super().__init__()
        w, most = width, 4 * width
        self.model = nn.Sequential(Conv(3, w, 7), Conv(w, 2 * w, 4, 2), Conv(2 * w, most, 4, 2))
        self.sft1, self.sft2 = SFT(most), SFT(most)
        self.model_middle = nn.Sequential(*(Conv(most, most, 4, 2) for _ in range(3)))
        self.model_last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(most, styles, 1))

    def forward(self, picture: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        x = self.sft1(self.model(picture), fine)
        x = self.sft2(self.model_middle(x), coarse)
        return self.model_last(x).flatten(1)


class Generator(nn.Module):
    """The dense mapping network (section 3.2): a picture of given labels, in the style of a picture and its own labels.

    `width`: channels at full size, `style_width`: in the encoders' first layers; `norm`: of layers after the blocks.
    """

    def __init__(self, width: int, halvings: int, blocks: int, style_width: int, norm: Norm = nn.InstanceNorm2d):
        super().__init__()
        self.blocks, self.channels = blocks, width * 2**halvings
        middle = (ResidualBlock(self.channels) for _ in range(blocks))
        self.model = translator(LABELS, width, halvings, middle, nn.Tanh(), after=norm)
        self.enc_style = StyleEncoder(style_width, blocks * 4 * self.channels)
        self.enc_label = LabelEncoder(style_width)

    def style(self, picture: Tensor, labels: Tensor) -> Tensor:
        """Of each block (N, blocks, 2, 2, C): of its two norms, shift and scale.

        `picture` (N, 3, H, W) in [-1, 1]; `labels` (N, 19, H, W), its planes. Sides are multiples of 32.
        """
        styles = self.enc_style(picture, *self.enc_label(labels))
        return styles.reshape(len(styles), self.blocks, 2, 2, self.channels)

    def forward(self, wanted: Tensor, labels: Tensor, picture: Tensor) -> Tensor:
        """G(M, M_p, P): the picture (N, 3, H, W) in [-1, 1] with the planes `wanted` in the style of `picture`."""
        styles, x = iter(self.style(picture, labels).unbind(1)), wanted
        for layer in self.model:
            x = layer(x, next(styles)) if isinstance(layer, ResidualBlock) else layer(x)
        return x


class Blend(nn.Module):
    """The alpha blender (section 3.3): a * first + (1 - a) * second, with a for each pixel and channel."""

    def __init__(self, width: int, halvings: int = 3, blocks: int = 3):
        super().__init__()
        middle = (ResidualBlock(width * 2**halvings) for _ in range(blocks))
        self.model = translator(6, width, halvings, middle, nn.Sigmoid())

    def alpha(self, first: Tensor, second: Tensor) -> Tensor:
        """The share of the first picture, (N, 3, H, W) in [0, 1]."""
        return self.model(torch.cat([first, second], dim=1))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Pictures (N, 3, H, W)."""
        return torch.lerp(second, first, self.alpha(first, second))


class MaskVAE(nn.Module):
    """A variational autoencoder of label maps of `size` x `size` pixels, 4 times a power of two (section 3.3).

    It is asked with planes of any size, and answers at the size that is wanted: nearest pixels stand between.
    """

    def __init__(self, size: int, width: int, code: int):
        super().__init__()
        self.size, self.halvings = size, (size // 4).bit_length() - 1
        widths = [LABELS, *(width * 2**i for i in range(self.halvings))]
        self.last = widths[-1]
        for i, (before, here) in enumerate(pairwise(widths), start=1):
            self.add_module(f"e{i}", nn.Conv2d(before, here, 4, 2, 1))
            self.add_module(f"bn{i}", nn.BatchNorm2d(here))
        self.fc1, self.fc2 = nn.Linear(16 * self.last, code), nn.Linear(16 * self.last, code)
        self.d1 = nn.Linear(code, 16 * self.last)
        for i, (before, here) in enumerate(pairwise(widths[::-1]), start=1):
            self.add_module(f"d{i + 1}", nn.Conv2d(before, here, 3, padding=1, padding_mode="replicate"))
            if i < self.halvings:
                self.add_module(f"bn{self.halvings + i}", nn.BatchNorm2d(here, eps=1e-3))

    def seen(self, planes: Tensor) -> Tensor:
        """Planes (N, 19, H, W) at the size that it codes."""
        return F.interpolate(planes, self.size, mode="nearest")

    def encode(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Planes (N, 19, size, size) -> mean and log variance, (N, code) each."""
        x = planes
        for i in range(1, self.halvings + 1):
            x = F.leaky_relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"e{i}")(x)), 0.2)
        x = x.flatten(1)
        return self.fc1(x), self.fc2(x)

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, code) -> logits of the labels (N, 19, size, size)."""
        x = F.relu(self.d1(z)).reshape(len(z), self.last, 4, 4)
        for i in range(1, self.halvings + 1):
            x = self.get_submodule(f"d{i + 1}")(F.interpolate(x, scale_factor=2, mode="nearest"))
            if i < self.halvings:
                x = F.leaky_relu(self.get_submodule(f"bn{self.halvings + i}")(x), 0.2)
        return x

    def drawn(self, z: Tensor, planes: Tensor) -> Tensor:
        """The label maps of codes (N, code), as planes like those given: their most likely labels."""
        logits = self.decode(z)
        found = torch.zeros_like(logits).scatter_(1, logits.argmax(1, keepdim=True), 1)
        return F.interpolate(found, planes.shape[2:], mode="nearest").to(planes)
