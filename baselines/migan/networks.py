"""MI-GAN's networks and their two forms: split into several tensors a kernel, and fused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from bench.nn.stylegan2 import NoiseMaps, Width, check_size, fixed
from bench.nn.stylegan2_blocks import GAIN, EqualLinear, low_pass, minibatch_deviation, upsample


def activated(layer: nn.Conv2d, x: Tensor, gain: float = 1.0) -> Tensor:
    """A convolution, then leaky ReLU (0.2) times sqrt(2), limited to ± 256; all times `gain`."""
    return limited(scaled(layer, x, GAIN * gain), gain)


def scaled(layer: nn.Conv2d, x: Tensor, factor: float) -> Tensor:
    """A convolution times a factor above 0, by its filters: they hold fewer numbers than maps."""
    bias = None if layer.bias is None else layer.bias * factor
    return F.conv2d(x, layer.weight * factor, bias, padding=layer.padding, groups=layer.groups)


def limited(x: Tensor, gain: float) -> Tensor:
    """Leaky ReLU (0.2) of a map that is scaled, limited to ± 256 times `gain`. Without gradients it overwrites `x`."""
    if torch.is_grad_enabled():
        return F.leaky_relu(x, 0.2).clamp(-256 * gain, 256 * gain)
    return F.leaky_relu_(x, 0.2).clamp_(-256 * gain, 256 * gain)


def unit(weight: Tensor) -> Tensor:
    """Filters of unit length."""
    return weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)


def convolution(inputs: int, outputs: int, kernel: int = 1, groups: int = 1, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the size; random filters of unit length, biases 0."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(unit(layer.weight.normal_()))
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


class Reparametrised(nn.Module):
    """Re-parametrisation: a kernel as the sum of several tensors over the root of their number, at unit length."""

    def __init__(self, tensors: int):
        super().__init__()
        self.tensors = tensors

    def forward(self, *tensors: Tensor) -> Tensor:
        return unit(torch.stack(tensors).sum(0) / math.sqrt(self.tensors))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Random tensors, N(0, 1) each, whose kernel is `weight`, of unit length.

        What they have in common is that of independent tensors: the length sqrt(n) of n normal values.
        """
        own = torch.randn(self.tensors, *weight.shape, dtype=weight.dtype, device=weight.device)
        shared = weight * math.sqrt(weight[0].numel() / self.tensors)
        return tuple(own - own.mean(0) + shared)


def split(network: nn.Module, tensors: int, single: str = "") -> None:
    """Put the convolutions of a network into their training form; that named `single` keeps one tensor."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and not parametrize.is_parametrized(layer):
            form = Reparametrised(1 if name == single else tensors)
            parametrize.register_parametrization(layer, "weight", form)


def fuse(network: nn.Module) -> None:
    """Put the convolutions of a network into their released form: plain kernels."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")


class Down(nn.Module):
    """Half the size, by StyleGAN2's low-pass filter."""

    def forward(self, x: Tensor) -> Tensor:
        return low_pass(x, 1, stride=2)


class Up(nn.Module):
    """Twice the size, by StyleGAN2's low-pass filter."""

    def forward(self, x: Tensor) -> Tensor:
        return upsample(x)


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise convolution, both activated; resized between them, or at the end with noise.

    `noise`: side of the stored noise map, which other maps (N, 1, side, side) may replace; 0: no noise.
    """

    noise_const: Tensor

    def __init__(
        self, inputs: int, outputs: int, down: bool = False, up: bool = False, noise: int = 0, gain: float = 1.0
    ):
        super().__init__()
        self.conv1 = convolution(inputs, inputs, 3, groups=inputs)
        self.down = Down() if down else nn.Identity()
        self.conv2 = convolution(inputs, outputs, bias=False)
        self.up = Up() if up else nn.Identity()
        self.noise, self.gain = noise, gain
        if noise:
            self.noise_strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("noise_const", torch.randn(noise, noise))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        factor = GAIN * self.gain
        x = self.up(scaled(self.conv2, self.down(activated(self.conv1, x, self.gain)), factor))
        if self.noise:
            x += (factor * self.noise_strength * (self.noise_const if noise is None else noise)).to(x.dtype)
        return limited(x, self.gain)


class EncoderBlock(nn.Module):
    """One resolution of the encoder: (its feature for the synthesis, what the next block gets)."""

    def __init__(self, channels: int, outputs: int, first: bool, last: bool):
        super().__init__()
        self.fromrgb = convolution(4, channels) if first else None
        self.conv1 = Separable(channels, channels)
        self.conv2 = Separable(channels, outputs, down=not last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.fromrgb is not None:
            x = activated(self.fromrgb, x)
        feature = self.conv1(x)
        return feature, self.conv2(feature)


class Encoder(nn.ModuleDict):
    """[mask, image] (N, 4, size, size) to a 4 x 4 map, and the features by side."""

    def __init__(self, size: int, width: Width):
        sides = [2**power for power in range(check_size(size), 1, -1)]
        super().__init__(
            {f"b{s}": EncoderBlock(width(s), width(max(s // 2, 4)), first=s == size, last=s == 4) for s in sides}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        features = {}
        for block in self.values():
            feature, x = block(x)
            features[feature.shape[-1]] = feature
        return x, features


class SynthesisBlock(nn.Module):
    """One resolution of the synthesis: (its map, what it adds to the picture)."""

    def __init__(self, inputs: int, channels: int, side: int):
        super().__init__()
        noise = side if side > 4 else 0
        self.conv1 = Separable(inputs, channels, up=side > 4, noise=noise)
        self.conv2 = Separable(channels, channels, noise=noise)
        self.torgb = convolution(channels, 3)

    def forward(
        self, x: Tensor, features: Mapping[int, Tensor], first: Tensor | None, second: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        x = self.conv1(x, first)
        x += features[x.shape[-1]]
        x = self.conv2(x, second)
        return x, self.torgb(x)


class Synthesis(nn.ModuleDict):
    """The encoder's map and features to the picture (N, 3, size, size), and by side what each block adds to it.

    `noise`: two maps a block from 8 px on, of `sides`; none: the stored maps.
    """

    def __init__(self, size: int, width: Width):
        every = [2**power for power in range(2, check_size(size) + 1)]
        super().__init__({f"b{s}": SynthesisBlock(width(max(s // 2, 4)), width(s), s) for s in every})
        self.sides = [side for side in every[1:] for _ in range(2)]

    def forward(
        self, x: Tensor, features: Mapping[int, Tensor], noise: NoiseMaps = None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        maps: Sequence[Tensor | None] = [None] * (2 * len(self)) if noise is None else [None, None, *noise]
        image, added = None, {}
        for block, first, second in zip(self.values(), maps[::2], maps[1::2], strict=True):
            x, rgb = block(x, features, first, second)
            added[rgb.shape[-1]] = rgb
            image = rgb if image is None else upsample(image) + rgb
        assert image is not None
        return image, added


class Generator(nn.Module):
    """Encoder and synthesis, with the names of the release."""

    def __init__(self, size: int, width: Width):
        super().__init__()
        self.size = size
        self.encoder = Encoder(size, width)
        self.synthesis = Synthesis(size, width)

    def split(self, tensors: int) -> None:
        """Put it into its training form, in which the first convolution keeps one tensor."""
        split(self, tensors, single=f"encoder.b{self.size}.fromrgb")

    def forward(self, masked: Tensor, mask: Tensor, noise: NoiseMaps = None) -> tuple[Tensor, dict[int, Tensor]]:
        """The image (N, 3, size, size), linear, and by side what each block adds to it; holes of `masked` are 0."""
        fixed(self.size).check(masked, "migan")
        return self.synthesis(*self.encoder(seen(masked, mask)), noise)


class DiscriminatorBlock(nn.Module):
    """Residual block: two separable convolutions and a 1x1 shortcut, half the size."""

    def __init__(self, channels: int, outputs: int, first: bool):
        super().__init__()
        self.fromrgb = convolution(4, channels) if first else None
        self.conv1 = Separable(channels, channels)
        self.conv2 = Separable(channels, outputs, down=True, gain=1 / GAIN)
        self.skip = nn.Sequential(Down(), convolution(channels, outputs, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        if self.fromrgb is not None:
            x = activated(self.fromrgb, x)
        return self.conv2(self.conv1(x)) + self.skip(x) / GAIN


class Judgement(nn.Module):
    """The last block: deviation over the batch, one separable convolution, two fully connected layers; (N, 1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Separable(channels + 1, channels)
        self.fc = EqualLinear(channels * 16, channels, activate=True)
        self.out = EqualLinear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.fc(self.conv(minibatch_deviation(x)).flatten(1)))


class Discriminator(nn.Sequential):
    """StyleGAN2's residual discriminator of separable convolutions: [mask, image] to logits (N, 1)."""

    def __init__(self, size: int, width: Width):
        super().__init__()
        for side in (2**power for power in range(check_size(size), 2, -1)):
            self.add_module(f"b{side}", DiscriminatorBlock(width(side), width(side // 2), first=side == size))
        self.b4 = Judgement(width(4))


def seen(images: Tensor, mask: Tensor) -> Tensor:
    """What both networks are given (N, 4, H, W): 1 = known, minus 0.5, then the image."""
    return torch.cat([0.5 - mask, images], dim=1)
