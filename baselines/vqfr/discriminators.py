"""VQFR's discriminators: SWAGAN's on wavelets or StyleGAN2's for the whole picture, a PatchGAN for its parts."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn import compiled  # noqa: F401  registers the operator of the power iterations
from bench.nn.stylegan2 import Width, check_size
from bench.nn.stylegan2_blocks import Blur, low_pass, minibatch_deviation

HALF = 0.5 - 2**-25  # the authors' filters: 1 / sqrt(2), squared, in single precision


class SpectralNorm(nn.Module):
    """A layer whose weights are divided by their largest singular value (Miyato et al., 2018).

    One power iteration at every pass, in evaluation, too. Names are those of the authors: the two vectors are saved as
    parameters, which are not trained.
    """

    def __init__(self, module: nn.Conv2d | nn.Linear):
        super().__init__()
        weight = module.weight
        del module.weight
        module.weight_u = nn.Parameter(F.normalize(torch.randn(len(weight)), dim=0), requires_grad=False)
        module.weight_v = nn.Parameter(F.normalize(torch.randn(weight[0].numel()), dim=0), requires_grad=False)
        module.weight_bar = nn.Parameter(weight.detach())
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        layer, weight = self.module, self.module.get_parameter("weight_bar")
        matrix = weight.flatten(1)
        u, v = torch.ops.facebench.power_iterations(matrix.detach(), layer.weight_u, layer.weight_v, 1, 1e-12)
        weight = weight / (u @ (matrix @ v))
        if isinstance(layer, nn.Conv2d):
            return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding)
        return F.linear(x, weight, layer.bias)  # type: ignore[arg-type]


def convolution(inputs: int, outputs: int, stride: int = 1) -> SpectralNorm:
    """3 x 3; at every second pixel without padding."""
    return SpectralNorm(nn.Conv2d(inputs, outputs, 3, stride, padding=1 if stride == 1 else 0))


def haar(x: Tensor) -> Tensor:
    """Haar wavelets: (N, C, H, W) -> (N, 4 C, H / 2, W / 2).

    Low-pass maps, then differences of rows, of columns, and of both.
    """
    top, bottom = x[..., ::2, :], x[..., 1::2, :]
    low, high = ((part[..., ::2], part[..., 1::2]) for part in (top + bottom, top - bottom))
    return torch.cat([low[0] + low[1], high[0] + high[1], low[0] - low[1], high[0] - high[1]], dim=1) * HALF


class FromRGB(nn.Module):
    """Maps of a picture's wavelets."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Sequential(convolution(12, channels), nn.LeakyReLU(0.2))

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(haar(image))


class Block(nn.Module):
    """3 x 3, then the low-pass filter and 3 x 3 at every second pixel."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Sequential(convolution(inputs, inputs), nn.LeakyReLU(0.2))
        self.conv2 = nn.Sequential(Blur(2), convolution(inputs, outputs, stride=2), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class Whole(nn.Module):
    """A discriminator of whole pictures, which ends with maps (N, width, 4, 4)."""

    def __init__(self, width: int):
        super().__init__()
        self.final_conv = nn.Sequential(convolution(width + 1, width), nn.LeakyReLU(0.2))
        self.final_linear = nn.Sequential(
            SpectralNorm(nn.Linear(16 * width, width)), nn.LeakyReLU(0.2), SpectralNorm(nn.Linear(width, 1))
        )

    def judged(self, maps: Tensor) -> Tensor:
        """Logits (N, 1) of the last maps."""
        return self.final_linear(self.final_conv(minibatch_deviation(maps)).flatten(1))


class SWAGAN(Whole):
    """The discriminator of SWAGAN (Gal et al., 2021): (N, 3, size, size) -> logits (N, 1).

    At every resolution the wavelets of the picture, which is halved by the low-pass filter, are added.
    """

    def __init__(self, size: int, width: Width):
        widths = [width(size), *(width(2**power) for power in range(check_size(size) - 2, 1, -1))]
        super().__init__(widths[-1])
        self.from_rgbs = nn.ModuleList(FromRGB(channels) for channels in widths)
        self.convs = nn.ModuleList(Block(before, here) for before, here in pairwise(widths))

    def forward(self, image: Tensor) -> Tensor:
        first, *others = self.from_rgbs
        x = first(image)
        for block, from_rgb in zip(self.convs, others, strict=True):
            image = (2 * HALF) ** 2 * low_pass(image, 1, stride=2)  # from wavelets, and to them again
            x = block(x) + from_rgb(image)
        return self.judged(x)


class Residual(Block):
    """The same, and beside it the low-pass filter and 1 x 1 at every second pixel."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.skip = SpectralNorm(nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x) + self.skip(low_pass(x, 1, stride=2))) / math.sqrt(2)


class StyleGAN2(Whole):
    """The discriminator of StyleGAN2 (Karras et al., 2020) with spectral norms: (N, 3, size, size) -> logits (N, 1)."""

    def __init__(self, size: int, width: Width):
        widths = [width(2**power) for power in range(check_size(size), 1, -1)]
        super().__init__(widths[-1])
        first = nn.Sequential(SpectralNorm(nn.Conv2d(3, widths[0], 1)), nn.LeakyReLU(0.2))
        self.conv_body = nn.Sequential(first, *(Residual(before, here) for before, here in pairwise(widths)))

    def forward(self, image: Tensor) -> Tensor:
        return self.judged(self.conv_body(image))


class Patches(nn.Module):
    """The PatchGAN: 4 x 4 convolutions with batch normalisation, of which `halvings` have stride 2.

    (N, 3, H, W) -> logits (N, 1, h, w).
    """

    def __init__(self, width: int, halvings: int = 3):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(halvings + 1)]
        layers: list[nn.Module] = [SpectralNorm(nn.Conv2d(3, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        for i, (before, here) in enumerate(pairwise(widths), start=1):
            stride = 2 if i < halvings else 1
            layers += [
                SpectralNorm(nn.Conv2d(before, here, 4, stride, 1, bias=False)),
                nn.BatchNorm2d(here),
                nn.LeakyReLU(0.2),
            ]
        layers.append(SpectralNorm(nn.Conv2d(widths[-1], 1, 4, 1, 1)))
        self.main = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.main(images)
