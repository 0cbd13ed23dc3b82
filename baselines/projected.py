"""Projected GAN's networks, and the inpainting baseline that the GRIG thesis builds on them (a reconstruction)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import spectral_norm
from torch.optim import Adam, Optimizer

from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.augment import diff_augment
from bench.nn.fastgan import GLU, Down, SkipLayerExcitation, Up, conv, settle
from bench.nn.init import normal_init
from bench.nn.losses import hinge
from bench.nn.perceptual import PerceptualDistance
from bench.nn.projected import EfficientNetLite, ProjectedDiscriminator, pretrained_backbone, smallest_judged

CARD = Card(
    slug="projected",
    name="Projected",
    title="Projected GANs Converge Faster, as an inpainting baseline",
    authors="Sauer, Chitta, Müller, Geiger; baseline: Lu",
    year=2021,
    venue="NeurIPS; baseline: PhD thesis, section 4.3.1",
    url="https://arxiv.org/abs/2111.01007",
    resolution=256,
    params={"generator": 40_527_587, "discriminator (learnable)": 10_331_328},
    macs={"generator": 11.65e9, "discriminator": 2.150e9},
    training="Adam 2e-4 (0.5, 0.999), batch 8, hinge loss 1, LPIPS (VGG, batch sum) 1.5; DiffAugment; CoModGAN "
    "masks; 400,000 iterations few-shot, 1,000,000 else (as GRIG)",
    features="LPIPS (VGG-16) and EfficientNet-Lite0 (ImageNet)",
    backbone="lite0",
    licence="MIT (Projected GAN); the baseline was not released",
    weights="none of the baseline; the checkpoints of Projected GAN draw faces from noise",
    choices={
        "reconstruction": "the thesis says: light-weight Projected GAN, a mirrored encoder with skips, LPIPS 1.5, else "
        "as GRIG. The form of encoder and skips, their width, four scales and no latent code are this project's guess",
        "augment": "true, for few images and many: the thesis names it for small data, the authors' discriminator does "
        "it by default. Here it changes the training images, as in GRIG; there all that the discriminator sees",
        "up": "lite: one convolution an up-block. full: two, with noise, as in the larger FastGAN",
    },
    notes="Stands in graphs of the thesis alone (FID and LPIPS), not in a table.",
)


class ProjectedConfig(Config):
    """Sizes and losses of the baseline."""

    resolution: int = Field(default=256, ge=8)  # of training, a power of two: sets the depth, down to 4 x 4
    width: int = 64  # channels of the 128-px maps; coarser maps have up to 16 times as many
    up: Literal["lite", "full"] = "lite"  # the up-blocks
    scales: int = 4  # projected maps that are judged
    projected_width: int = 64  # channels of the finest of them
    lpips: float = 1.5  # weight of LPIPS, summed over the batch
    learning_rate: float = 2e-4
    batch_size: int = 8
    ema: float = 0.999  # moving average of the generator
    augment: bool = True  # DiffAugment on the training images
    masks: str = "comodgan"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        completed = generated(self.resolution, self.up == "full")
        return replace(completed, smallest=smallest_judged(self.resolution, features)) if features else completed


def generated(resolution: int, full: bool) -> Sizes:
    """What a generator takes; with full up-blocks, whose noise maps have fixed sides, its `resolution` alone."""
    if full:
        return Sizes(smallest=8, powers=True, only=resolution, option="resolution")
    return Sizes(resolution // 4)


def channels(size: int, width: int) -> int:
    """Channels of FastGAN's map of that side: 16, 8, 4, 2, 2 times the width from 4 to 64 px, then halved each time."""
    return 2 * width if size in (32, 64) else 64 * width // size if size < 32 else 128 * width // size


class Decoder(nn.Module):
    """FastGAN's up-blocks from a 4 x 4 map to an image of `resolution`, with skip-layer excitation.

    The maps of 64, 128 and 256 px are gated by those of 4, 8 and 16 px. Linear output (N, 3, H, W).
    """

    def __init__(self, resolution: int, width: int, full: bool):
        super().__init__()
        self.sizes = [2**power for power in range(3, resolution.bit_length())]
        self.sides = [size for size in self.sizes for _ in range(2)] if full else []  # of the noise maps
        for size in self.sizes:
            block = Up(channels(size // 2, width), channels(size, width), "nearest", noisy=full)
            self.add_module(f"feat_{size}", block)
        for size in (size for size in self.sizes if size >= 64):
            self.add_module(f"se_{size}", SkipLayerExcitation(channels(size // 16, width), channels(size, width)))
        self.to_big = conv(channels(resolution, width), 3, 3, bias=True)

    def decode(self, start: Tensor, noise: Sequence[Tensor], skips: Mapping[int, Tensor] | None = None) -> Tensor:
        """`start`: the map of 4 x 4. `skips`: size -> map that is added after the up-block of that size."""
        maps = {4: start}
        for i, size in enumerate(self.sizes):
            x = self.get_submodule(f"feat_{size}")(maps[size // 2], noise[2 * i : 2 * i + 2])
            if skips is not None:
                x = x + skips[size]
            maps[size] = self.get_submodule(f"se_{size}")(maps[size // 16], x) if size >= 64 else x
        return self.to_big(maps[self.sizes[-1]])


class FastGAN(Decoder):
    """Projected GAN's generator of images from noise. z (N, 256) -> (N, 3, H, W)."""

    def __init__(self, resolution: int = 256, width: int = 128, full: bool = True):
        super().__init__(resolution, width, full)
        outputs = 2 * channels(4, width)
        first = spectral_norm(nn.ConvTranspose2d(256, outputs, 4, bias=False))
        self.init = nn.Sequential(first, nn.BatchNorm2d(outputs), GLU())

    def forward(self, z: Tensor, noise: Sequence[Tensor]) -> Tensor:
        z = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
        return self.decode(self.init(z[:, :, None, None]), noise)


class Generator(Decoder):
    """The baseline's generator: FastGAN's decoder behind a mirrored encoder, joined by additive skips.

    Masked image and mask, (N, 3, H, W) and (N, 1, H, W) -> (N, 3, H, W), linear.
    """

    def __init__(self, resolution: int, width: int, full: bool):
        super().__init__(resolution, width, full)
        self.taken = generated(resolution, full)
        self.from_big = nn.Sequential(conv(4, channels(resolution, width), 3), nn.LeakyReLU(0.2))
        for size in self.sizes:
            self.add_module(f"down_{size}", Down(channels(size, width), channels(size // 2, width)))

    def forward(self, masked: Tensor, mask: Tensor, noise: Sequence[Tensor]) -> Tensor:
        self.taken.check(masked, CARD.name)
        x = self.from_big(torch.cat([masked, mask], dim=1))
        skips = {}
        for size in reversed(self.sizes):
            skips[size] = x
            x = self.get_submodule(f"down_{size}")(x)
        return self.decode(x, noise, skips)


class Projected(Method):
    """The baseline as reconstructed."""

    card = CARD
    Config = ProjectedConfig
    config: ProjectedConfig
    presets = {
        "paper": ProjectedConfig(),
        "tiny": ProjectedConfig(
            resolution=64, width=12, projected_width=16, learning_rate=1e-3, ema=0.99, augment=False, masks="irregular"
        ),
    }

    def __init__(self, config: ProjectedConfig):
        super().__init__(config)
        self.generator = Generator(config.resolution, config.width, config.up == "full")
        settle(normal_init(self.generator))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return batch.composite(self.generator(batch.masked, batch.mask, noise.maps(self.generator.sides)))

    def stages(self, features: Source = "official") -> list[Stage]:
        return [ProjectedStage(self, features)]


class ProjectedStage(Stage):
    """Joint training of the generator and the projected discriminator of four scales."""

    method: Projected
    iterations = 1_000_000  # few-shot 400,000

    def __init__(self, method: Projected, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.ema = {"generator": config.ema}
        backbone = pretrained_backbone(features)
        self.projected = ProjectedDiscriminator(backbone, config.scales, config.resolution, config.projected_width)
        self.lpips = PerceptualDistance(features)

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"generator": self.method.generator, "discriminator": self.projected.discriminator}
        return {name: Adam(n.parameters(), self.config.learning_rate, (0.5, 0.999)) for name, n in networks.items()}

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        return diff_augment(images, noise) if self.config.augment else images

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        filled, judge = self.method.complete(batch, noise), self.projected.discriminator
        with torch.no_grad():
            real = self.projected.features(batch.image)
        fake = self.projected.features(filled)
        losses = {"discriminator": hinge(judge(real), judge([x.detach() for x in fake]))}
        update("discriminator", losses["discriminator"])
        losses |= {"generator": -judge(fake).mean(), "lpips": across.total(self.lpips(filled, batch.image))}
        update("generator", losses["generator"] + self.config.lpips * losses["lpips"])
        return losses


def _load_fastgan(network: FastGAN, state: Mapping[str, Tensor]) -> None:
    """The authors' names: everything inside `synthesis`, the first block inside a module of its own."""
    names = {name: name.removeprefix("synthesis.").replace("init.init.", "init.") for name in state}
    network.load_state_dict({names[name]: value for name, value in state.items()})


def _run_fastgan(network: FastGAN, inputs: Inputs) -> dict[str, Tensor]:
    seen = []
    hook = network.get_submodule("feat_64").register_forward_hook(lambda module, args, output: seen.append(output))
    out = network(inputs.latent(1, 256), Noise([inputs.seed]).maps(network.sides))
    hook.remove()
    return {"feat64": seen[0], "out": out}


def _fastgan(name: str, full: bool) -> Golden:
    return Golden(
        build=lambda: FastGAN(full=full),
        load=_load_fastgan,
        run=_run_fastgan,
        parts=lambda network: {name: network},
        costs={name: lambda network: network(torch.empty(1, 256), Noise([0]).maps(network.sides))},
    )


Projected.golden = {
    "projected.fastgan": _fastgan("fastgan", full=True),
    "projected.fastgan_lite": _fastgan("fastgan_lite", full=False),
    "projected.discriminator": Golden(
        build=lambda: ProjectedDiscriminator(EfficientNetLite()),
        run=lambda network, inputs: {"out": network(inputs.image())},
        parts=lambda network: {
            "discriminator": network,
            "learnable": network.discriminator,
            "frozen EfficientNet part": network.feature_network.pretrained,
            "frozen random projection": network.feature_network.scratch,
        },
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
