"""Alignment of a reference picture's features by deformable convolution (SSEN: Shim et al., CVPR 2020).

Shared by RGTSI and TransRef. Names are those of the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d


class DeformableConv2d(nn.Conv2d):
    """A convolution that reads each tap of its kernel at an offset of its own (Dai et al., 2017), without bias.

    x (N, inputs, H, W), offsets (N, 2 k², H, W): (dy, dx) of each tap, row by row. Counters that know exactly
    nn.Conv2d pass this class over, as in the published columns.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[override]
        padding, kind = int(self.padding[0]), self.weight.dtype  # torchvision knows no half precision on CPUs
        return deform_conv2d(x.to(kind), offsets.to(kind), self.weight, padding=(padding, padding)).to(x.dtype)


class NonLocal(nn.Module):
    """Self-attention (Wang et al., CVPR 2018) over keys of half the size, added to its input. (N, C, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        inner = channels // 2
        self.g = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels))
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        attention = (queries.transpose(1, 2) @ keys).softmax(2)  # (N, H W, H W / 4)
        found = (values @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return self.W(found) + x


class OffsetEstimator(nn.Module):
    """An hourglass with attention before each doubling. (N, inputs, H, W) -> (N, outputs, H, W).

    H and W are multiples of 2 ** halvings, and twice that at least.
    """

    def __init__(self, inputs: int, outputs: int, width: int, halvings: int):
        super().__init__()
        self.halvings = halvings
        for number in range(1, halvings + 1):
            down = nn.Conv2d(inputs if number == 1 else width, width, 3, 2, 1)
            up = nn.ConvTranspose2d(width, width, 3, 2, 1, 1)
            self.add_module(f"downblock{number}", nn.Sequential(down, nn.LeakyReLU(0.01)))
            self.add_module(f"attentionblock{number}", NonLocal(width))
            self.add_module(f"upblock{number}", nn.Sequential(up, nn.LeakyReLU(0.01)))
        self.channelscaling_block = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for number in range(1, self.halvings + 1):
            x = self.get_submodule(f"downblock{number}")(x)
            maps.append(x)
        for number, beside in enumerate(reversed(maps), start=1):
            x = self.get_submodule(f"attentionblock{number}")(x) + beside
            x = self.get_submodule(f"upblock{number}")(x)
        return self.channelscaling_block(x)


class Alignment(nn.Module):
    """Features of a reference, moved to where those of the picture want them. (N, channels, H, W) twice -> same.

    `inner`: channels of the map that offsets are made of. `width`, `halvings`: of the estimator of offsets.
    """

    def __init__(self, channels: int, inner: int, width: int, halvings: int = 3):
        super().__init__()
        self.offset_estimator = OffsetEstimator(2 * channels, inner, width, halvings)
        self.offset_conv = nn.Conv2d(inner, 18, 3, padding=1, bias=False)
        self.deformconv = DeformableConv2d(channels, channels)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        offsets = self.offset_conv(self.offset_estimator(torch.cat([x, reference], dim=1)))
        return self.deformconv(reference, offsets)
