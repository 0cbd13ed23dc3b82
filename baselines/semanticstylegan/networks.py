"""SemanticStyleGAN's networks: a small generator for each part of a face, their composition, and a renderer.

Names inside are those of the released files.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.semanticstylegan.parts import BASE, CODES, PARTS, TRANSPARENT, shape, texture
from bench.nn import stylegan2
from bench.nn.stylegan2 import NoiseMaps, Width, check_size
from bench.nn.stylegan2_blocks import (
    Activation,
    EqualLinear,
    Mapping,
    ModulatedConv2d,
    NoiseInjection,
    low_pass,
    upsample,
)

LAYERS = 10  # of a local generator, each with a code
SHAPED = 6  # of them, after which it says the part's depth


def _order() -> list[int]:
    """Which code each layer of each local generator takes. The background has none of the whole face."""
    found = []
    for part in PARTS:
        first = [shape(part)] * BASE if part == "background" else [*range(BASE)]
        found += [*first, *[shape(part)] * (SHAPED - BASE), *[texture(part)] * (LAYERS - SHAPED)]
    return found


ORDER = _order()


class Drawn(NamedTuple):
    """What the generator gives."""

    image: Tensor  # (N, 3, size, size), linear, trained to [-1, 1]
    segmentation: Tensor  # (N, 13, size, size), linear, trained to -1 and 1
    coarse: Tensor  # (N, 13, h, w) in [-1, 1]: the segmentation as the depths say it
    depths: Tensor  # (N, 13, h, w), the nearest part is the largest; the background's are 0


class FixedConv(nn.Module):
    """A modulated convolution whose scales are learned, the same for every picture; `up` doubles the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, demodulate: bool = True, up: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.modulation = nn.Parameter(torch.ones(1, inputs, 1, 1))
        self.scale, self.demodulate, self.up = 1 / math.sqrt(inputs * kernel**2), demodulate, up

    def forward(self, x: Tensor) -> Tensor:
        weight = self.scale * self.weight * self.modulation
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if self.up:
            return low_pass(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class FixedOutput(nn.Module):
    """Such a 1 x 1 convolution without demodulation, with bias, added to the maps of half the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = FixedConv(inputs, outputs, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        x = self.conv(x) + self.bias
        return x if before is None else upsample(before) + x


class PositionEmbedding(nn.Module):
    """Coordinates in [-1, 1] with their sines and cosines of doubling frequencies, mixed to `channels`."""

    def __init__(self, size: int, channels: int):
        super().__init__()
        self.octaves = check_size(size)
        inputs = 2 * (1 + 2 * self.octaves)
        self.weights = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, side: int) -> Tensor:
        """(1, channels, side, side)."""
        line = torch.linspace(-1, 1, side, dtype=self.weights.dtype, device=self.weights.device)
        place = torch.stack(torch.meshgrid(line, line, indexing="xy"))[None]
        waves = [wave(2**octave * place) for octave in range(self.octaves) for wave in (torch.sin, torch.cos)]
        return F.conv2d(torch.cat([place, *waves], dim=1), self.weights * self.scale)


class StyledLinear(nn.Module):
    """Modulated 1 x 1 convolution, bias, leaky ReLU: every place for itself."""

    def __init__(self, channels: int, code: int):
        super().__init__()
        self.conv, self.activate = ModulatedConv2d(channels, channels, 1, code), Activation(channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return self.activate(self.conv(x, code))


class LocalGenerator(nn.Module):
    """A part of the face (section 3.1): its depth, which the first layers make, and its features."""

    def __init__(self, channels: int, features: int, code: int, background: bool):
        super().__init__()
        self.linears = nn.ModuleList(StyledLinear(channels, code) for _ in range(LAYERS))
        self.to_feat = FixedOutput(channels, features)
        self.to_depth = None if background else FixedOutput(channels, 1)

    def forward(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, F, h, w) and depth (N, 1, h, w) of embedded places (N, C, h, w) and codes (N, 10, D)."""
        depth = torch.zeros_like(x[:, :1])
        for layer, (linear, code) in enumerate(zip(self.linears, codes.unbind(1), strict=True), start=1):
            x = linear(x, code)
            if layer == SHAPED and self.to_depth is not None:
                depth = self.to_depth(x)
        return self.to_feat(x), depth


def shares(depths: Tensor) -> tuple[Tensor, Tensor]:
    """How much each part counts at each place (N, 13, h, w), and how much of the place is its own.

    Transparent parts take nothing away from what is behind them.
    """
    own = depths.softmax(1)
    through = own.new_tensor([part in TRANSPARENT for part in PARTS]).view(1, -1, 1, 1)
    solid = own * (1 - through)
    return solid / (solid.sum(1, keepdim=True) + 1e-8) + own * through, own


class RenderLayer(FixedConv):
    """Convolution without a style, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, up: bool = False):
        super().__init__(inputs, outputs, 3, up=up)
        self.noise, self.activate = NoiseInjection(), Activation(outputs)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.activate(self.noise(super().forward(x), noise))


class Renderer(nn.Module):
    """Composed features (N, F, coarse, coarse) to picture and segmentation (section 3.3).

    It begins with the features made small, to sides of `start`, and sees them again at their own size.
    """

    def __init__(self, size: int, coarse: int, start: int, features: int, width: Width):
        super().__init__()
        self.coarse, self.start = coarse, start
        powers = range(check_size(start) + 1, check_size(size) + 1)
        self.sides = [2**power for power in powers for _ in range(2)]  # of the noise maps
        self.convs, self.to_rgbs, self.to_segs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = features
        for side in self.sides[::2]:
            here = width(side)
            self.convs.append(RenderLayer(before + features * (side == 2 * coarse), here, up=True))
            self.convs.append(RenderLayer(here, here))
            self.to_rgbs.append(FixedOutput(here, 3))
            self.to_segs.append(FixedOutput(here, len(PARTS)))
            before = here

    def forward(self, features: Tensor, coarse: Tensor, noise: NoiseMaps) -> tuple[Tensor, Tensor]:
        x, image, segmentation = F.adaptive_avg_pool2d(features, self.start), None, None
        for k, (to_rgb, to_seg) in enumerate(zip(self.to_rgbs, self.to_segs, strict=True)):
            if x.shape[-1] == self.coarse:
                x = torch.cat([x, features], dim=1)
            for layer in (2 * k, 2 * k + 1):
                x = self.convs[layer](x, None if noise is None else noise[layer])
            image, segmentation = to_rgb(x, image), to_seg(x, segmentation)
            if x.shape[-1] == self.coarse:
                segmentation = segmentation + coarse
        assert image is not None and segmentation is not None
        return image, segmentation


class Generator(nn.Module):
    """Mapping network, local generators, composition by depth, renderer (Fig. 2).

    `coarse`: side of the parts' maps; `local`: channels of their generators; `features`: of what they give.
    """

    def __init__(
        self,
        size: int,
        width: Width,
        code: int = 512,
        depth: int = 8,
        coarse: int = 64,
        start: int = 16,
        local: int = 64,
        features: int = 512,
    ):
        super().__init__()
        self.coarse = coarse
        self.pos_embed = PositionEmbedding(size, local)
        self.local_nets = nn.ModuleList(LocalGenerator(local, features, code, part == "background") for part in PARTS)
        self.render_net = Renderer(size, coarse, start, features, width)
        self.style = Mapping(code, depth)

    @property
    def sides(self) -> list[int]:
        """Of the noise maps."""
        return self.render_net.sides

    @staticmethod
    def expanded(codes: Tensor) -> Tensor:
        """A code for each layer of each local generator (N, 130, D), of one code (N, D) or a picture's (N, 28, D)."""
        if codes.ndim == 2:
            codes = codes[:, None].expand(-1, CODES, -1)
        return codes[:, ORDER] if codes.shape[1] == CODES else codes

    def forward(self, codes: Tensor, noise: NoiseMaps = None) -> Drawn:
        """What is drawn of codes (N, D), (N, 28, D) or (N, 130, D), with a noise map for each of `sides`, or none."""
        each = self.expanded(codes).unflatten(1, (len(PARTS), LAYERS)).unbind(1)
        place = self.pos_embed(self.coarse).expand(len(codes), -1, -1, -1)
        made = [part(place, own) for part, own in zip(self.local_nets, each, strict=True)]
        depths = torch.cat([depth for _, depth in made], dim=1)
        counted, own = shares(depths)
        parts = [share[:, None] * one for share, (one, _) in zip(counted.unbind(1), made, strict=True)]
        coarse = 2 * own - 1
        image, segmentation = self.render_net(reduce(torch.add, parts), coarse, noise)
        return Drawn(image, segmentation, coarse, depths)


class Discriminator(stylegan2.Discriminator):
    """StyleGAN2's, with a second trunk for segmentations, whose features are added to the picture's (section 3.4)."""

    def __init__(self, size: int, width: Width):
        super().__init__(size, width)
        self.convs_seg = stylegan2.trunk(size, width, len(PARTS))

    def both(self, images: Tensor, segmentations: Tensor) -> Tensor:
        """Logits (N, 1) of pictures and their segmentations (N, 13, size, size)."""
        return self.judge(self.convs(images) + self.convs_seg(segmentations))


class Encoder(nn.Module):
    """Pictures and their segmentations to codes (N, 28, D); an aid of training, which the paper does without.

    Textures are read from the picture, all else from the segmentation, so that no shape knows a colour.
    """

    def __init__(self, size: int, width: Width, code: int):
        super().__init__()
        self.convs, self.convs_seg = stylegan2.trunk(size, width), stylegan2.trunk(size, width, len(PARTS))
        read, self.textures = width(4) * 16, [texture(part) for part in PARTS]
        self.seen = EqualLinear(read, len(PARTS) * code)
        self.placed = EqualLinear(read, (CODES - len(PARTS)) * code)

    def forward(self, images: Tensor, segmentations: Tensor) -> Tensor:
        seen = self.seen(self.convs(images).flatten(1)).unflatten(1, (len(PARTS), -1))
        placed = self.placed(self.convs_seg(segmentations).flatten(1)).unflatten(1, (CODES - len(PARTS), -1))
        order = [*(i for i in range(CODES) if i not in self.textures), *self.textures]
        return torch.cat([placed, seen], dim=1)[:, torch.tensor(order).argsort()]
