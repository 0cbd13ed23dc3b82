"""The scratch detector: a U-Net with filtered halvings. Names inside are those of the released file."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)
MULTIPLE = 16  # of which the sides are multiples
LIKELY = 0.4  # probability from which on a pixel is scratched


def activated(inputs: int, outputs: int) -> list[nn.Module]:
    """3 x 3 with reflected borders, batch norm, leaky ReLU."""
    return [
        nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2),
    ]  # fmt: skip


class Halving(nn.Module):
    """A binomial filter, 3 x 3, then every second pixel of every second row; borders are reflected."""

    filt: Tensor

    def __init__(self, channels: int):
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(line, line).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


class Twice(nn.Module):
    """Two activated layers."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.block = nn.Sequential(*activated(inputs, outputs), *activated(outputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Doubling(nn.Module):
    """Twice the size with half the channels, beside the maps of that size from before."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3),
        )  # fmt: skip
        self.conv_block = Twice(2 * outputs, outputs)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return self.conv_block(torch.cat([self.up(x), before], dim=1))


class Detector(nn.Module):
    """Grey pictures (N, 1, H, W) in [-1, 1], with sides that are multiples of 16 -> logits of scratches, the same.

    `side`: the shorter side at which it looks at images.
    """

    def __init__(self, width: int, side: int, levels: int = 4):
        super().__init__()
        self.side = side
        widths = [width * 2**i for i in range(levels + 1)]
        self.first = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(1, width, 7), nn.LeakyReLU(0.2))
        self.down_sample = nn.ModuleList(nn.Sequential(*activated(n, n), Halving(n)) for n in widths[:-1])
        self.down_path = nn.ModuleList(Twice(before, here) for before, here in pairwise(widths))
        self.up_path = nn.ModuleList(Doubling(before, here) for before, here in pairwise(widths[::-1]))
        self.last = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(width, 1, 3))

    def forward(self, grey: Tensor) -> Tensor:
        x, seen = self.first(grey), []
        for halve, layers in zip(self.down_sample, self.down_path, strict=True):
            seen.append(x)
            x = layers(halve(x))
        for double in self.up_path:
            x = double(x, seen.pop())
        return self.last(x)

    def look(self, images: Tensor) -> Tensor:
        """Logits of images (N, 3, H, W) in [-1, 1], at the size at which it looks at them."""
        size = images.shape[2:]
        sides = [max(1, round(self.side * side / min(size) / MULTIPLE)) * MULTIPLE for side in size]
        luma = (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        return self(F.interpolate(luma, sides, mode="bilinear", align_corners=False))

    def find(self, images: Tensor) -> Tensor:
        """The scratches of images (N, 3, H, W) in [-1, 1]: (N, 1, H, W), 1 = scratch."""
        likely = F.interpolate(self.look(images).sigmoid(), images.shape[2:], mode="nearest")
        return (likely >= LIKELY).to(images.dtype)
