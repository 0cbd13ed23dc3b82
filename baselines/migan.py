"""MI-GAN: a small network of separable convolutions, whose training form is re-parametrised and taught by CoModGAN."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from baselines.comodgan import CoModGAN
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.losses import nonsaturating
from bench.nn.perceptual import Frozen, frozen
from bench.nn.stylegan2 import NoiseMaps, Width, check_size, fixed
from bench.nn.stylegan2_blocks import GAIN, EqualLinear, low_pass, minibatch_deviation, upsample
from bench.nn.stylegan2_training import Adversary, lazy_adam

CARD = Card(
    slug="migan",
    name="MI-GAN",
    title="MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices",
    authors="Sargsyan, Navasardyan, Xu, Shi",
    year=2023,
    venue="ICCV",
    url="https://github.com/Picsart-AI-Research/MI-GAN",
    resolution=256,
    params={"generator": 5_865_505, "discriminator": 39_002_835},
    macs={"generator": 10.582e9, "discriminator": 6.753e9},
    published={
        "parameters": "5,943,617 by the authors' script, with 78,112 values of fixed filters; 5,973,366 at 512 px",
        "FLOPs": "11.201 G by the authors' script: 10.894 G of convolutions, fixed filters on zeros included, and an "
        "operation for each value of activations, sums, products and resizing; 15.721 G at 512 px",
    },
    training="Adam 0.001 (0, 0.99) with lazy correction, batch 32, 50,000 kimg at 256 px, 25,000 at 512, 30,000 in "
    "ablations; logistic loss on composites, R1 gamma 10 every 16 steps, distillation 2 from CoModGAN of the same "
    "size, no loss against the photograph; EMA half-life 20 kimg; CoModGAN's masks",
    convention="1 = known; the mask minus 0.5 goes first, then the image with holes 0; linear output",
    licence="MIT; files from StyleGAN2-ADA carry NVIDIA's notice",
    weights="the authors' Google Drive: migan_256_ffhq.pt, migan_256_places2.pt, migan_512_places2.pt, bare state "
    "dicts of the fused form; a second folder has the teachers",
    trained_on={"ffhq": "10000-69999 by name"},
    requires=("comodgan",),
    choices={
        "tensors": "9: every released configuration, which overrides the code's 4; the paper states 8",
        "distilled_from": "32: as released. The preset `tiny` distils all resolutions, with more weight, in place of "
        "millions of adversarial steps",
    },
    notes="Counted is the fused form of the generator, which completes images, without the fixed filters; its training "
    "form has 52,686,881 parameters. Deterministic: the noise maps are part of the weights. The known pixels of the raw output are not "
    "trained and look wrong.",
)


class MIGANConfig(Config):
    """Sizes and losses of MI-GAN."""

    size: int = 256  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    tensors: int = Field(default=9, ge=1)  # that make up a kernel in training; 1: no re-parametrisation
    distillation: float = Field(default=2.0, ge=0)  # weight of the teacher's pictures
    distilled_from: int = 32  # the smallest resolution at which they are compared
    learning_rate: float = 0.001
    batch_size: int = 32
    kimg: int = 50_000  # thousands of training images
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    ema: float = 0.5 ** (32 / 20_000)  # moving average of the generator
    masks: str = "comodgan"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


def activate(x: Tensor, gain: float = 1.0) -> Tensor:
    """Leaky ReLU (0.2), times sqrt(2), limited to ± 256; all of it times `gain`."""
    return (F.leaky_relu(x, 0.2) * (GAIN * gain)).clamp(-256 * gain, 256 * gain)


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
        x = self.up(self.conv2(self.down(activate(self.conv1(x), self.gain))))
        if self.noise:
            x = x + (self.noise_strength * (self.noise_const if noise is None else noise)).to(x.dtype)
        return activate(x, self.gain)


class EncoderBlock(nn.Module):
    """One resolution of the encoder: (its feature for the synthesis, what the next block gets)."""

    def __init__(self, channels: int, outputs: int, first: bool, last: bool):
        super().__init__()
        self.fromrgb = convolution(4, channels) if first else None
        self.conv1 = Separable(channels, channels)
        self.conv2 = Separable(channels, outputs, down=not last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.fromrgb is not None:
            x = activate(self.fromrgb(x))
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
        x = self.conv2(x + features[x.shape[-1]], second)
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

    def forward(self, masked: Tensor, mask: Tensor, noise: NoiseMaps = None) -> tuple[Tensor, dict[int, Tensor]]:
        """The image (N, 3, size, size), linear, and by side what each block adds to it; holes of `masked` are 0."""
        fixed(self.size).check(masked, CARD.name)
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
            x = activate(self.fromrgb(x))
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


class MIGAN(Method):
    """MI-GAN as released. Its stages put the generator into the training form, `eval` fuses it."""

    card = CARD
    Config = MIGANConfig
    config: MIGANConfig
    teacher: CoModGAN | None
    complete_weights = True  # the teacher serves training alone
    presets = {
        "paper": MIGANConfig(),
        "512": MIGANConfig(size=512, kimg=25_000),
        "tiny": MIGANConfig(
            size=64,
            width=2048,
            limit=128,
            distillation=50,
            distilled_from=4,
            learning_rate=0.008,
            gamma=1,
            ema=0.99,
            masks="irregular",
        ),
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "w/o distillation": {"distillation": 0.0, "kimg": 30_000},
        "w/o re-parametrisation": {"tensors": 1, "kimg": 30_000},
    }

    def __init__(self, config: MIGANConfig):
        super().__init__(config)
        self.teacher = None
        self.generator = Generator(config.size, Width(config.width, config.limit))

    def attach(self, priors: Mapping[str, Method]) -> None:
        teacher = priors["comodgan"]
        assert isinstance(teacher, CoModGAN)
        ours, theirs = self.config.size, teacher.config.size
        if ours != theirs:
            raise BenchError(
                f"migan of {ours} px cannot learn from a comodgan of {theirs} px: set the option size of one of them"
            )
        object.__setattr__(self, "teacher", teacher)  # not registered: no part of the trained method

    def train(self, mode: bool = True) -> MIGAN:
        super().train(mode)
        if not mode:
            fuse(self.generator)
        return self

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, batch.mask)[0]

    def stages(self, features: Source = "official") -> list[Stage]:
        split(self.generator, self.config.tensors, single=f"encoder.b{self.config.size}.fromrgb")
        return [MIGANStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a released checkpoint, which is in the fused form."""
        fuse(self.generator)
        filters = re.compile(r"\.(filter\.weight|filter_const)$")  # fixed
        self.generator.load_state_dict({key: value for key, value in state.items() if not filters.search(key)})


class Teacher(Frozen):
    """CoModGAN as it completes images, read where each block adds to the picture."""

    def __init__(self, method: CoModGAN):
        super().__init__()
        self.method = method
        self.added: dict[int, Tensor] = {}
        for layer in (method.generator.to_rgb1, *method.generator.to_rgbs):
            layer.register_forward_hook(self.read)
        frozen(self)

    def read(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        below = inputs[2:]  # the picture of half the size, from 8 px on
        self.added[output.shape[-1]] = output - upsample(below[0]) if below else output

    @torch.no_grad()
    def forward(self, batch: Batch, noise: Noise) -> dict[int, Tensor]:
        """By side, what each block adds to the picture of a random code."""
        self.added = {}
        self.method.draw(batch, noise)
        return self.added


def distillation(ours: Mapping[int, Tensor], theirs: Mapping[int, Tensor], mask: Tensor, smallest: int) -> Tensor:
    """Distance of student and teacher in the hole: mean over all pixels, sum over the resolutions from `smallest` on.

    What the blocks add to the picture is compared, (N, 3, side, side) by side.
    """
    terms = [
        ((rgb - theirs[side]).abs() * F.interpolate(mask, size=(side, side), mode="nearest")).mean()
        for side, rgb in ours.items()
        if side >= smallest
    ]
    return torch.stack(terms).sum() if terms else mask.new_zeros(())


class MIGANStage(Stage):
    """Adversarial training on composites, and distillation from the teacher."""

    method: MIGAN

    def __init__(self, method: MIGAN):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations, self.masks = c.batch_size, 1000 * c.kimg // c.batch_size, c.masks
        self.ema = {"generator": c.ema}
        discriminator = Discriminator(c.size, Width(c.width, c.limit))
        split(discriminator, c.tensors)
        self.adversary = Adversary(discriminator, c.gamma, c.r1_every)
        self.teacher = Teacher(method.teacher) if c.distillation and method.teacher else None

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, every=4),  # as released
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        with torch.no_grad():
            image, _ = self.draw(batch, noise)
        real, fake = (seen(images, batch.mask) for images in (batch.image, batch.composite(image)))
        losses = self.adversary.improve(real, fake, update)
        image, added = self.draw(batch, noise)
        losses["generator"] = nonsaturating(self.adversary(seen(batch.composite(image), batch.mask)))
        total = losses["generator"]
        if self.teacher:
            theirs = self.teacher(batch, noise)
            losses["distillation"] = distillation(added, theirs, batch.mask, self.config.distilled_from)
            total = total + self.config.distillation * losses["distillation"]
        update("generator", total)
        return losses

    def draw(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[int, Tensor]]:
        """The generator's pictures with fresh noise."""
        generator = self.method.generator
        return generator(batch.masked, batch.mask, noise.maps(generator.synthesis.sides))


def from_training(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names of a split network for those of the authors' training form, where noise belongs to a convolution."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"\.w(\d)$", r".parametrizations.weight.original\1", key)
        key = re.sub(r"fromrgb\.weight$", "fromrgb.parametrizations.weight.original0", key)
        key = re.sub(r"\.conv2\.(noise_\w+)$", r".\1", key)
        renamed[key.replace("skip.", "skip.1.")] = value
    return renamed


def _with_filters(network: nn.Module) -> nn.Module:
    """The network and its fixed 4x4 filters, one a channel, which the released form keeps as parameters."""
    channels = 0
    for layer in network.modules():
        if isinstance(layer, Separable):
            channels += layer.conv2.in_channels * isinstance(layer.down, Down)
            channels += layer.conv2.out_channels * isinstance(layer.up, Up)
        elif isinstance(layer, Synthesis):
            channels += 3 * (len(layer) - 1)  # those of the pictures
    return nn.ModuleList([network, nn.Conv2d(1, channels, 4, bias=False)])


def _parts(network: Generator) -> dict[str, nn.Module]:
    parts = {"generator": network, "encoder": network.encoder, "synthesis": network.synthesis}
    return {name: _with_filters(part) for name, part in parts.items()} | {"generator_without_fir": network}


def _resized(network: nn.Module, down: nn.Module, up: nn.Module | None = None) -> Any:
    """The network with other layers in the place of its filters, for counting."""
    for layer in list(network.modules()):
        for name, child in list(layer.named_children()):
            if isinstance(child, Down):
                setattr(layer, name, down)
            elif isinstance(child, Up) and up:
                setattr(layer, name, up)
    return network


class _AtEveryPixel(Down):
    """The filter as the authors' discriminator computes it: at every pixel, of which every second is read."""

    def forward(self, x: Tensor) -> Tensor:
        return low_pass(x, 1)[..., ::2, ::2]


def _run_generator(method: MIGAN, inputs: Inputs) -> dict[str, Tensor]:
    batch = Batch(inputs.image(), inputs.mask())
    x, features = method.generator.encoder(seen(batch.masked, batch.mask))
    out, _ = method.generator.synthesis(x, features)
    return {
        "x_global": x,
        "feat256": features[256],
        "feat32": features[32],
        "out": out,
        "composite": batch.composite(out),
    }


def _training_form() -> Generator:
    network = MIGAN.create().generator
    split(network, 9, single="encoder.b256.fromrgb")
    return network


def _run_training(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
    batch = Batch(inputs.image(), inputs.mask())
    out, added = network(batch.masked, batch.mask)
    none = [torch.zeros(1, 1, side, side, dtype=out.dtype) for side in network.synthesis.sides]
    return {
        "out": out,
        "out_no_noise": network(batch.masked, batch.mask, none)[0],
        "rgb32": added[32],
        "rgb128": added[128],
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    given = seen(inputs.image(batch=4), inputs.mask(batch=4))
    return {"logits4": network(given), "logits1": network(given[:1])}


MIGAN.golden = {
    "migan.generator": Golden(
        build=MIGAN.create,
        load=MIGAN.load_official,
        run=_run_generator,
        parts=lambda method: _parts(method.generator),
        costs={
            "generator_without_fir": lambda method: _resized(method.generator, nn.AvgPool2d(2), nn.Upsample(None, 2))(
                torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)
            ),
            "encoder": lambda method: method.generator.encoder(torch.empty(1, 4, 256, 256)),
        },
    ),
    "migan.training": Golden(
        build=_training_form,
        load=lambda network, state: network.load_state_dict(from_training(state)),
        run=_run_training,
        parts=lambda network: {"generator": network, "encoder": network.encoder, "synthesis": network.synthesis},
    ),
    "migan.discriminator": Golden(
        build=lambda: MIGANStage(MIGAN.create()).adversary.network,
        load=lambda network, state: network.load_state_dict(from_training(state)),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: _resized(network, _AtEveryPixel())(torch.empty(1, 4, 256, 256))},
    ),
}
