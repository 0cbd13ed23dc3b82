"""LGNet's local refinement network and its discriminator (Quan et al., IEEE TIP 2022), which ISFRNet builds on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils import spectral_norm

Norm = Callable[[int], nn.Module]  # of a number of channels


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, padded by reflection; no activation after the sum. (N, channels, H, W) -> same."""

    def __init__(self, channels: int, norm: Norm, bias: bool):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class LocalRefiner(nn.Module):
    """A shallow network with a small receptive field: two downsamplings, residual blocks, two upsamplings.

    Image with its hole filled and mask, 4 channels -> image (N, 3, H, W) in [-1, 1]; H and W are multiples of 4.
    Convolutions have a bias where instance norm follows.
    """

    def __init__(self, width: int = 64, blocks: int = 4, norm: Norm = nn.BatchNorm2d):
        super().__init__()
        w, bias = width, norm is nn.InstanceNorm2d

        def half(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=bias), norm(outputs), nn.ReLU()]

        def double(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1, bias=bias), norm(outputs), nn.ReLU()]

        self.model = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(4, w, 7, bias=bias), norm(w), nn.ReLU(),
            *half(w, 2 * w), *half(2 * w, 4 * w),
            *(ResidualBlock(4 * w, norm, bias) for _ in range(blocks)),
            *double(4 * w, 2 * w), *double(2 * w, w),
            nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class SNDiscriminator(nn.Module):
    """Four 5x5 convolutions under spectral norm and a plain one. (N, 3, H, W) -> logits, 27 x 27 at 256 px."""

    smallest = 47  # pixels of a side, of which one logit is left

    def __init__(self, width: int = 64):
        super().__init__()
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(pairwise((3, width, 2 * width, 4 * width, 8 * width))):
            convolution = nn.Conv2d(inputs, outputs, 5, stride=2 if i < 3 else 1, padding=1, bias=False)
            layers += [spectral_norm(convolution), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(8 * width, 1, 5, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.encoder(x))
