"""GFP-GAN's networks: a U-Net whose maps modulate half the channels of a trained StyleGAN2, and its discriminators.

The generator has three forms. `original`: StyleGAN2's layers, with its low-pass filters. `bilinear`: the same layers,
but sizes change by bilinear resampling alone. `clean`: plain convolutions, which compute what the bilinear form does
(`cleaned` turns its weights into theirs).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.stylegan2 import Generator, NoiseMaps, Width, check_size, fixed
from bench.nn.stylegan2_blocks import (
    GAIN,
    Activation,
    ConvLayer,
    EqualConv2d,
    EqualLinear,
    ModulatedConv2d,
    NoiseInjection,
    ResBlock,
    StyledConv,
    ToRGB,
    UnitMoment,
)

Form = Literal["original", "bilinear", "clean"]


def resampled(x: Tensor, factor: float) -> Tensor:
    """Half or twice the size, bilinear."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class BiasedConv(EqualConv2d):
    """Equalised convolution that keeps the size, with a bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: float = 0.0):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ActivatedConv(EqualConv2d):
    """Equalised 3 x 3 convolution, bias, leaky ReLU, times sqrt(2)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)
        self.activation = Activation(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(super().forward(x))


class PlainConv(nn.Conv2d):
    """Convolution that keeps the size, then leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(super().forward(x), 0.2)


class Resampling(nn.Module):
    """Residual block that changes the size bilinearly between its two convolutions, and before its shortcut."""

    def __init__(self, inputs: int, outputs: int, factor: float, clean: bool):
        super().__init__()
        self.factor, self.divisor = factor, 1.0 if clean else GAIN
        self.conv1 = PlainConv(inputs, inputs, 3) if clean else ConvLayer(inputs, inputs, 3)
        self.conv2 = PlainConv(inputs, outputs, 3) if clean else ActivatedConv(inputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if clean else EqualConv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv2(resampled(self.conv1(x), self.factor))
        return (inner + self.skip(resampled(x, self.factor))) / self.divisor


class BilinearModulated(ModulatedConv2d):
    """Modulated convolution that doubles the size bilinearly before it filters."""

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(resampled(x, 2) if self.up else x, weight, padding=weight.shape[-1] // 2)


class PlainModulated(BilinearModulated):
    """The same without constants at the weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int, code: int, demodulate: bool = True, up: bool = False):
        super().__init__(inputs, outputs, kernel, code, demodulate, up)
        modulation = nn.Linear(code, inputs)
        nn.init.kaiming_normal_(modulation.weight, nonlinearity="linear")
        nn.init.ones_(modulation.bias)
        self.modulation = modulation  # type: ignore[assignment]
        self.weight.data *= self.scale
        self.scale = 1.0


class BilinearStyled(StyledConv):
    """StyleGAN2's styled layer around such a convolution."""

    def __init__(self, inputs: int, outputs: int, code: int, up: bool = False):
        super().__init__(inputs, outputs, code, up)
        self.conv = BilinearModulated(inputs, outputs, 3, code, up=up)


class PlainStyled(nn.Module):
    """Modulated convolution, times sqrt(2), noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, code: int, up: bool = False):
        super().__init__()
        self.conv = PlainModulated(inputs, outputs, 3, code, up=up)
        self.noise = NoiseInjection()
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        x = self.noise(self.conv(x, code) * GAIN, noise)
        return F.leaky_relu(x + self.bias.to(x.dtype), 0.2)


class BilinearToRGB(ToRGB):
    """StyleGAN2's layer of pictures, which doubles the coarser picture bilinearly."""

    def __init__(self, inputs: int, code: int, clean: bool):
        super().__init__(inputs, code)
        if clean:
            self.conv = PlainModulated(inputs, 3, 1, code, demodulate=False)

    def forward(self, x: Tensor, code: Tensor, image: Tensor | None = None) -> Tensor:
        return super().forward(x, code) + (0 if image is None else resampled(image, 2))


class Decoder(Generator):
    """StyleGAN2's generator in one of the three forms, with noise maps that are stored."""

    def __init__(self, size: int, width: Width, code: int, depth: int, form: Form):
        super().__init__(size, width, code, depth)
        self.noises = nn.Module()
        for number, side in enumerate(self.sides):
            self.noises.register_buffer(f"noise{number}", torch.randn(1, 1, side, side))
        if form == "original":
            return
        clean = form == "clean"
        styled: type[nn.Module] = PlainStyled if clean else BilinearStyled
        self.conv1 = styled(width(4), width(4), code)  # type: ignore[assignment]
        self.to_rgb1 = BilinearToRGB(width(4), code, clean)
        for level, side in enumerate(self.sides[1::2]):
            here = width(side)
            self.convs[2 * level] = styled(width(side // 2), here, code, up=True)
            self.convs[2 * level + 1] = styled(here, here, code)
            self.to_rgbs[level] = BilinearToRGB(here, code, clean)
        if clean:
            layers = (layer for _ in range(depth) for layer in (nn.Linear(code, code), nn.LeakyReLU(0.2)))
            self.style = nn.Sequential(UnitMoment(), *layers)  # type: ignore[assignment]

    def stored(self) -> list[Tensor]:
        """The noise maps of the checkpoint."""
        return list(self.noises.buffers())


class Restorer(nn.Module):
    """The generator (Fig. 2). Degraded images (N, 3, size, size) in [-1, 1] -> restored ones, linear.

    The U-Net's last map gives the codes of StyleGAN2, one a layer. Its decoder gives, at each resolution, the scale
    and shift of half the channels of StyleGAN2's map, and an image that only training looks at. Names are
    the checkpoint's, but for those inside `stylegan_decoder`.
    """

    def __init__(self, size: int, width: Width, code: int = 512, depth: int = 8, form: Form = "original"):
        super().__init__()
        self.size, self.code = size, code
        sides = [2**power for power in range(check_size(size), 1, -1)]
        down, clean = [width(side) // 2 for side in sides], form == "clean"  # channels, fine to coarse
        up = down[::-1]
        conv = PlainConv if clean else ConvLayer
        self.conv_body_first = conv(3, down[0], 1)
        self.conv_body_down = nn.ModuleList(
            ResBlock(a, b) if form == "original" else Resampling(a, b, 0.5, clean) for a, b in pairwise(down)
        )
        self.final_conv = conv(down[-1], down[-1], 3)
        self.conv_body_up = nn.ModuleList(Resampling(a, b, 2, clean) for a, b in pairwise(up))
        self.toRGB = nn.ModuleList(nn.Conv2d(c, 3, 1) if clean else BiasedConv(c, 3, 1) for c in up[1:])
        self.stylegan_decoder = Decoder(size, width, code, depth, form)
        linear = nn.Linear if clean else EqualLinear
        self.final_linear = linear(down[-1] * 16, self.stylegan_decoder.codes * code)
        self.condition_scale = nn.ModuleList(condition(c, clean, 1.0) for c in up[1:])
        self.condition_shift = nn.ModuleList(condition(c, clean, 0.0) for c in up[1:])

    def learned(self) -> list[nn.Parameter]:
        """The parameters that training moves: StyleGAN2 stays as it is."""
        return [p for name, p in self.named_parameters() if not name.startswith("stylegan_decoder.")]

    def encode(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(codes (N, layers, D), maps of the U-Net's decoder from 8 px to the images' size)."""
        x, skipped = self.conv_body_first(images), []
        for block in self.conv_body_down:
            x = block(x)
            skipped.append(x)
        x, maps = self.final_conv(x), []
        codes = self.final_linear(x.flatten(1)).unflatten(1, (-1, self.code))
        for block, other in zip(self.conv_body_up, reversed(skipped), strict=True):
            x = block(x + other)
            maps.append(x)
        return codes, maps

    def pictures(self, maps: list[Tensor]) -> list[Tensor]:
        """The images (N, 3, side, side) that the U-Net's maps show, coarse to fine."""
        return [layer(x) for layer, x in zip(self.toRGB, maps, strict=True)]

    def decode(self, codes: Tensor, maps: list[Tensor], noise: NoiseMaps) -> Tensor:
        """StyleGAN2's image of the codes, half of its channels modulated by the maps."""

        def modulated(layer: int, x: Tensor) -> Tensor:
            if layer % 2 == 0:
                return x
            level = layer // 2
            kept, changed = x.chunk(2, dim=1)
            scale, shift = self.condition_scale[level](maps[level]), self.condition_shift[level](maps[level])
            return torch.cat([kept, changed * scale + shift], dim=1)

        return self.stylegan_decoder(codes, noise, modulated)

    def forward(self, images: Tensor, noise: NoiseMaps = None) -> Tensor:
        fixed(self.size).check(images, "this network")
        return self.decode(*self.encode(images), noise)


def condition(channels: int, clean: bool, bias: float) -> nn.Sequential:
    """The layers that give a scale or a shift of a map."""
    if clean:
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(channels, channels, 3, padding=1)
        )
    return nn.Sequential(BiasedConv(channels, channels, 3), ScaledReLU(), BiasedConv(channels, channels, 3, bias))


class ScaledReLU(nn.Module):
    """Leaky ReLU, times sqrt(2)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2) * GAIN


class ComponentDiscriminator(nn.Module):
    """Judges an eye or a mouth (N, 3, H, W): (logits (N, 1, H/4, W/4), the two maps that style is compared on)."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.conv1 = ConvLayer(3, width, 3)
        self.conv2 = ConvLayer(width, 2 * width, 3, down=True)
        self.conv3 = ConvLayer(2 * width, 2 * width, 3)
        self.conv4 = ConvLayer(2 * width, 4 * width, 3, down=True)
        self.conv5 = ConvLayer(4 * width, 4 * width, 3)
        self.final_conv = nn.Sequential(BiasedConv(4 * width, 1, 3))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        fine = self.conv3(self.conv2(self.conv1(images)))
        coarse = self.conv5(self.conv4(fine))
        return self.final_conv(coarse), [fine, coarse]


INSIDE = (  # the decoder's names in a checkpoint -> ours
    (r"^style_mlp\.", "style."),
    (r"^constant_input\.weight$", "input.input"),
    (r"^style_conv(s?)(\.\d+|1)\.weight$", r"conv\1\2.noise.weight"),
    (r"^style_conv", "conv"),
    (r"\.modulated_conv\.", ".conv."),
)


def from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `Restorer` from a released one."""
    renamed = {}
    for key, value in state.items():
        head, dot, name = key.partition(".")
        if head == "stylegan_decoder":
            for pattern, ours in INSIDE:
                name = re.sub(pattern, ours, name)
        renamed[head + dot + name] = value
    return renamed


LOUDER = r"\.style\.|\.noise\.weight|\.activate\.bias|conv_body_first|final_conv|body.*conv1|^condition_\w+\.\d+\.0"
"""Parameters that take the factor sqrt(2) behind an activation into themselves."""


def cleaned(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The clean form's state dict, of a part or the whole, from that of the bilinear form; it computes the same."""
    found = {}
    for key, value in state.items():
        if value.ndim > 1 and key.endswith("weight"):  # what it is divided by in the bilinear form
            value = value / math.sqrt(math.prod(value.shape[1 if value.ndim < 5 else 2 :]))
        if ".style." in key:
            value = value * 0.01
        if re.search(LOUDER, key):
            value = value * GAIN
        elif ".skip." in key:
            value = value / GAIN
        if match := re.search(r"(?<=\.style\.)\d+", key):
            key = f"{key[: match.start()]}{2 * int(match[0]) - 1}{key[match.end() :]}"
        elif key.endswith(".activate.bias"):
            key, value = key.replace(".activate.", "."), value.view(1, -1, 1, 1)
        elif "decoder" not in key:
            key = re.sub(r"(conv_body_first|final_conv|conv1)\.[01]\.", r"\1.", key).replace(".activation.", ".")
        found[key] = value
    return found
