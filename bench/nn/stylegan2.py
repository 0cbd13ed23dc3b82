"""StyleGAN2's networks (Karras et al., 2020): synthesis, generator, residual discriminator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.batch import Noise
from bench.errors import BenchError
from bench.nn import stylegan2_blocks as blocks
from bench.nn.sizes import Sizes
from bench.nn.stylegan2_blocks import ConvLayer, EqualLinear, ResBlock, StyledConv, ToRGB, minibatch_deviation

NoiseMaps = Sequence[Tensor] | None  # one map (N or 1, 1, H, W) a styled layer, or none
Edit = Callable[[int, Tensor], Tensor]  # (styled layer, its output) -> what goes on


class Width:
    """Channels by resolution: base / resolution, at most `limit`."""

    def __init__(self, base: int = 32768, limit: int = 512):
        self.base, self.limit = base, limit

    def __call__(self, resolution: int) -> int:
        return min(self.base // resolution, self.limit)


def check_size(size: int) -> int:
    """log2 of a side; raises BenchError unless it is a power of two of at least 8."""
    power = size.bit_length() - 1
    if size < 8 or size != 2**power:
        raise BenchError(f"StyleGAN2's networks take sizes that are powers of two from 8 on, not {size}")
    return power


def fixed(size: int) -> Sizes:
    """What networks of that `size` take, which an option of their method says."""
    return Sizes(smallest=8, powers=True, only=size, option="size")


class Synthesis(nn.Module):
    """The 'skip' synthesis network (Fig. 7): a 4 x 4 map to an image of `size`, one code a layer.

    Styled layer 0 works at 4 x 4, layers 2k - 1 (upsampling) and 2k at 4 * 2^k. There are 2 log2(size) - 2 codes:
    the picture made at one resolution shares its code with the first layer of the next.
    """

    def __init__(self, size: int, width: Width | None = None, code: int = 512, clamp: float | None = None):
        super().__init__()
        width = width or Width()
        powers = range(3, check_size(size) + 1)
        self.size, self.codes = size, 2 * len(powers) + 2
        self.sides = [4, *(2**power for power in powers for _ in range(2))]  # of the noise maps
        self.conv1 = StyledConv(width(4), width(4), code, clamp=clamp)
        self.to_rgb1 = ToRGB(width(4), code, clamp)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for power in powers:
            before, here = width(2 ** (power - 1)), width(2**power)
            self.convs.append(StyledConv(before, here, code, up=True, clamp=clamp))
            self.convs.append(StyledConv(here, here, code, clamp=clamp))
            self.to_rgbs.append(ToRGB(here, code, clamp))

    def synthesise(
        self, start: Tensor, codes: Tensor, noise: NoiseMaps = None, edit: Edit | None = None, size: int | None = None
    ) -> Tensor:
        """The image (N, 3, size, size), linear; of a smaller `size` than the network's, it ends there.

        `start`: (N, C, 4, 4). `codes`: (N, codes, D), or (N, D) for the same in every layer. `noise`: one map a styled
        layer, of `sides`, or none. `edit(layer, x)` is called after every styled layer (noise, bias and activation
        done) and returns what goes on: features that are added, replaced or only read.
        """
        if codes.ndim == 2:
            codes = codes[:, None].expand(-1, self.codes, -1)

        def styled(layer: int, x: Tensor, code: int) -> Tensor:
            module = self.convs[layer - 1] if layer else self.conv1
            x = module(x, codes[:, code], None if noise is None else noise[layer])
            return x if edit is None else edit(layer, x)

        x = styled(0, start, 0)
        image = self.to_rgb1(x, codes[:, 1])
        steps = check_size(size or self.size) - 2
        for k, to_rgb in zip(range(steps), self.to_rgbs, strict=False):
            x = styled(2 * k + 1, x, 2 * k + 1)
            x = styled(2 * k + 2, x, 2 * k + 2)
            image = to_rgb(x, codes[:, 2 * k + 3], image)
        return image


class Constant(nn.Module):
    """The learned 4 x 4 map that synthesis starts from."""

    def __init__(self, channels: int):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, count: int) -> Tensor:
        return self.input.repeat(count, 1, 1, 1)


class Generator(Synthesis):
    """Mapping network and synthesis from a learned constant."""

    def __init__(
        self, size: int, width: Width | None = None, code: int = 512, depth: int = 8, clamp: float | None = None
    ):
        width = width or Width()
        super().__init__(size, width, code, clamp)
        self.style = blocks.Mapping(code, depth)
        self.input = Constant(width(4))

    def forward(
        self, codes: Tensor, noise: NoiseMaps = None, edit: Edit | None = None, size: int | None = None
    ) -> Tensor:
        """The image (N, 3, size, size) of codes w (N, D) or (N, codes, D); see `synthesise`."""
        return self.synthesise(self.input(len(codes)), codes, noise, edit, size)


def feature_bank(
    generator: Generator, codes: Tensor, noise: NoiseMaps = None, size: int | None = None
) -> tuple[Tensor, dict[int, Tensor]]:
    """The image of codes (N, layers, D), and by side, up to `size`, the map that the first layer of each size gives."""
    maps: dict[int, Tensor] = {}

    def read(layer: int, x: Tensor) -> Tensor:
        if layer == 0 or layer % 2:
            maps[x.shape[-1]] = x
        return x

    return generator(codes, noise, read, size), maps


def bank_channels(generator: Generator) -> list[int]:
    """Channels of these maps from 8 px on."""
    return [layer.activate.bias.numel() for layer in generator.convs[::2] if isinstance(layer, StyledConv)]


@torch.no_grad()
def mean_code(mapping: nn.Module, dim: int = 512, samples: int = 4096, seed: int = 0) -> Tensor:
    """The mean (D,) of w over random z: the centre for truncation and for encoders."""
    device = next(mapping.parameters()).device
    return mapping(Noise.shared(seed, samples, device).normal(dim)).mean(0)


def trunk(size: int, width: Width, channels: int = 3, clamp: float | None = None) -> nn.Sequential:
    """The residual blocks of the discriminator: (N, channels, size, size) to features (N, width(4), 4, 4)."""
    sides = [2**power for power in range(check_size(size), 2, -1)]
    first = ConvLayer(channels, width(size), 1, clamp=clamp)
    return nn.Sequential(first, *(ResBlock(width(side), width(side // 2), clamp) for side in sides))


class Discriminator(nn.Module):
    """The 'resnet' discriminator (Fig. 7): (N, channels, size, size) to logits (N, 1)."""

    def __init__(
        self, size: int, width: Width | None = None, channels: int = 3, group: int = 4, clamp: float | None = None
    ):
        super().__init__()
        width = width or Width()
        self.size, self.group = size, group
        self.convs = trunk(size, width, channels, clamp)
        self.final_conv = ConvLayer(width(4) + 1, width(4), 3, clamp=clamp)
        self.final_linear = nn.Sequential(EqualLinear(width(4) * 16, width(4), activate=True), EqualLinear(width(4), 1))

    def judge(self, features: Tensor) -> Tensor:
        """The logits of what the trunk gives."""
        return self.final_linear(self.final_conv(minibatch_deviation(features, self.group)).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.judge(self.convs(images))


def without_constants(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict without its fixed filters and stored noise maps, which are no weights."""
    fixed = re.compile(r"(^|\.)(kernel|resample_filter|noise_const|w_avg|noises\.noise_\d+)$")
    return {key: value for key, value in state.items() if not fixed.search(key)}
