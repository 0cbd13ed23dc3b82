"""GConv (DeepFill v2): CA's two-stage network with gated convolutions, trained against SN-PatchGAN."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm
from torch.optim import Adam, Optimizer

from baselines.ca import two_stage_golden
from bench.errors import BenchError
from bench.golden import Golden
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.deepfill import FIRST, LAST, Design, Generator, Variant
from bench.nn.fastgan import settle
from bench.nn.init import normal_init
from bench.nn.losses import hinge, region_l1
from bench.nn.mmediting import generator_in_rgb

CARD = Card(
    slug="gconv",
    name="GConv",
    title="Free-Form Image Inpainting with Gated Convolution",
    authors="Yu, Lin, Yang, Shen, Lu, Huang",
    year=2019,
    venue="ICCV; arXiv 1806.03589",
    url="https://arxiv.org/abs/1806.03589",
    resolution=256,
    params={"generator": 4_414_908, "discriminator": 5_946_816},
    macs={"generator": 31.994e9, "discriminator": 2.333e9},
    published={"parameters": "4.1 M (paper), 4.0 M (thesis): the release's network (preset `release`, 4,052,478)"},
    training="MMEditing: Adam 1e-4 (0.9, 0.999), batch 16, 500,003 iterations; L1 1 in the hole and 1 outside, each "
    "over its own region, for both stages; SN-PatchGAN hinge 0.1. Release: Adam 1e-4 (0.5, 0.999), batch 16; L1 1 for "
    "both stages; hinge 1",
    convention="1 = hole; holes filled with 0; images in [-1, 1]; MMEditing's weights are for BGR",
    licence="MMEditing Apache-2.0; the authors' code CC BY-NC 4.0",
    weights="MMEditing: deepfillv2_256x256_8x2_celeba_20200619-c96e5f12.pth, a dict with `state_dict`",
    trained_on={"celeba-hq": ""},
    choices={
        "variant": "mmediting (preset `paper`): MMEditing's network, which the published comparisons ran and whose "
        "weights exist for PyTorch. release (preset `release`): the authors' network and losses; zero padding, no gate "
        "in the last layers, narrower decoder, stage 2 sees the image alone, the attention multiplies by the mask",
        "gan": "0.1: MMEditing; users of the release report grey coarse images with its weight 1",
    },
)


class GConvConfig(Config):
    """Sizes and losses of GConv."""

    variant: Variant = "mmediting"
    width: int = 24  # channels of the first gated convolution
    joint_width: int = 32  # the same for the decoder of stage 2; 24 in the release
    dilations: tuple[int, ...] = (2, 4, 8, 16)
    discriminator_width: int = 64
    l1: float = 1.0  # weight of the reconstruction losses
    gan: float = 0.1
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    batch_size: int = 16
    masks: str = "gconv"  # training draw
    deviation: float = 0.02  # of the initial weights
    ema: float | None = None  # moving average of the generator; the paper has none

    @property
    def design(self) -> Design:
        """The generator's."""
        released = self.variant == "release"
        return Design(
            gated=True,
            width=self.width,
            joint_width=self.joint_width,
            dilations=self.dilations,
            gated_output=not released,
            refined_inputs=3 if released else 5,
            output="tanh",
            variant=self.variant,
        )

    def sizes(self, features: Source | None = None) -> Sizes:
        return self.design.sizes


class Layer(nn.Module):
    """5x5 convolution with stride 2 under spectral norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(inputs, outputs, 5, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x), 0.2)


class Discriminator(nn.Module):
    """SN-PatchGAN (section 3.3): image and mask (N, 4, H, W) -> (N, 4 width, H / 64, W / 64), each value a logit."""

    def __init__(self, width: int):
        super().__init__()
        for i, (inputs, outputs) in enumerate(pairwise((4, width, 2 * width, *(4 * width,) * 4)), start=1):
            self.add_module(f"conv{i}", Layer(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class GConv(Method):
    """GConv in MMEditing's version (`paper`) and as released by the authors (`release`)."""

    card = CARD
    Config = GConvConfig
    config: GConvConfig
    presets = {
        "paper": GConvConfig(),
        "release": GConvConfig(variant="release", joint_width=24, gan=1.0, betas=(0.5, 0.999), masks="gconv-release"),
        "tiny": GConvConfig(
            width=12,
            joint_width=12,
            dilations=(2, 4, 8),
            discriminator_width=16,
            learning_rate=1e-3,
            gan=0.02,
            batch_size=8,
            masks="irregular",
            deviation=0.1,  # few channels: 0.02 would let the signal fade
            ema=0.98,
        ),
    }

    def __init__(self, config: GConvConfig):
        super().__init__(config)
        self.generator = normal_init(Generator(config.design), config.deviation)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, batch.mask)[1]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [GConvStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take MMEditing's checkpoint; its BGR weights are turned to RGB."""
        if self.config.variant == "release":
            raise BenchError("gconv: the checkpoint of the authors' release is for TensorFlow; use the preset `paper`")
        self.load_state_dict(generator_in_rgb(state, FIRST, LAST, "gconv"))


class GConvStage(Stage):
    """Joint training of both stages and the discriminator."""

    method: GConv
    iterations = 500_003

    def __init__(self, method: GConv):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.ema = {"generator": config.ema} if config.ema else {}
        self.discriminator = settle(normal_init(Discriminator(config.discriminator_width)))

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"generator": self.method.generator, "discriminator": self.discriminator}
        c = self.config
        return {name: Adam(n.parameters(), c.learning_rate, c.betas) for name, n in networks.items()}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        coarse, output = self.method.generator(batch.masked, batch.mask)
        real = torch.cat([batch.image, batch.mask], dim=1)
        fake = torch.cat([batch.composite(output), batch.mask], dim=1)
        discriminator = hinge(self.discriminator(real), self.discriminator(fake.detach()))
        if self.config.variant == "release":
            discriminator = discriminator / 2
        update("discriminator", discriminator)
        losses = {
            "coarse": self.reconstruction(coarse, batch),
            "refined": self.reconstruction(output, batch),
            "generator": -self.discriminator(fake).mean(),
            "discriminator": discriminator,
        }
        c = self.config
        update("generator", c.l1 * (losses["coarse"] + losses["refined"]) + c.gan * losses["generator"])
        return losses

    def reconstruction(self, output: Tensor, batch: Batch) -> Tensor:
        """L1 over hole and known part, each by its own size; in the release over all pixels."""
        if self.config.variant == "release":
            return F.l1_loss(output, batch.image)
        hole = region_l1(output, batch.image, batch.mask)
        return hole + region_l1(output, batch.image, 1 - batch.mask)


def _load_discriminator(network: Discriminator, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict({name.removeprefix("disc."): value for name, value in state.items()})


GConv.golden = {
    "gconv": two_stage_golden(GConv, GConv.load_official),
    "gconv.discriminator": Golden(
        build=lambda: Discriminator(64),
        load=_load_discriminator,
        run=lambda network, inputs: {"logit": network(torch.cat([inputs.image(), inputs.mask()], dim=1))},
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 4, 256, 256))},
    ),
}
