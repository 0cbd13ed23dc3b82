"""PSFR-GAN: restores faces by their parts, which it finds in the degraded picture, from coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.psfrgan.networks import PARTS, Discriminator, Generator, ParseNet, one_hot
from baselines.psfrgan.training import ParsingStage, RestorationStage
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import fixed

CARD = Card(
    slug="psfrgan",
    name="PSFRGAN",
    title="Progressive Semantic-Aware Style Transformation for Blind Face Restoration",
    authors="Chen et al.",
    year=2021,
    venue="CVPR",
    url="https://github.com/chaofengc/PSFRGAN",
    task="restoration",
    resolution=512,
    params={"parser": 21_303_254, "generator": 45_956_995, "discriminator": 18_872_259},
    macs={"parser": 234.495e9, "generator": 102.700e9, "discriminator": 105.839e9},
    published={
        "CelebA-Test": "FID-dagger 22.93, U-IDS 0 %, P-IDS 0 %, FID 43.88, NIQE 4.27, PSNR 24.45, SSIM 0.6308 "
        "(thesis, table 3.1)",
        "LFW-Test": "FID 49.53, NIQE 4.13 (thesis, table 3.2)",
        "CelebChild-Test": "FID 106.61, NIQE 4.68",
        "WebPhoto-Test": "FID 84.98, NIQE 4.36",
    },
    training="parsing network: cross entropy 1, L1 1, Adam 2e-4 (0.9, 0.999), batch 8, 90,000 iterations; generator: "
    "L1 10, feature matching 10 (sum over maps, mean over scales), hinge loss 1, style within parts 1000, Adam 1e-4 "
    "(0.5, 0.999), discriminator 4e-4, batch 2, 50 epochs of FFHQ (released: after 15, 52,500 iterations)",
    features="VGG-19 (ImageNet), before ReLU",
    convention="no masks; degraded and restored images in [-1, 1]; linear output; pictures of other sizes are resized "
    "to 512 px",
    licence="CC BY-NC-SA 4.0 (non-commercial)",
    weights="GitHub release v0.1.0 of the authors: psfrgan_epoch15_net_G.pth as `weights`, "
    "parse_multi_iter_90000.pth as the option `parsing_weights`; both plain states",
    trained_on={"ffhq": "all", "celeba-hq": ""},
    needs=("degraded",),
    choices={
        "degradation": "psfrgan: the authors' ranges in the order that all methods here share. Theirs blurs half of "
        "the pictures, by one of four filters, adds noise to a fifth and compresses seven tenths",
        "parts": "the generator sees those that the frozen parsing network finds in the degraded picture; "
        "discriminator and losses see those of the label maps",
        "style": "mean over the parts, sum over the layers",
        "iterations": "90,000, and 50 epochs at 20 pictures, as the count of the released model tells",
    },
    notes="Costs are those at 512 px. Training learns from label maps, in both stages. The authors draw the "
    "discriminator's weights again after spectral norm is in place, which has no effect: they are PyTorch's own.",
)


class PSFRGANConfig(Config):
    """Sizes and losses of PSFR-GAN."""

    size: int = 512  # of the images, `start` times a power of two
    start: int = 16  # side of the learned map
    width: int = 16384  # channels of the generator at resolution r: width / r, from `least` to `limit`
    least: int = 32
    limit: int = 1024
    hidden: int = 64  # channels of what scales and shifts are made of
    parsing_width: int = 64  # channels of the parsing network's first layer; doubled with each halving
    parsing_limit: int = 256
    parsing_halvings: int = 4
    parsing_blocks: int = 10  # residual blocks at its smallest size
    judge_width: int = 64  # channels of a discriminator's first layer; doubled with each halving
    judge_halvings: int = 4
    judges: int = 3  # scales with a discriminator
    batch_sizes: tuple[int, int] = (8, 2)  # of the two stages
    iterations: tuple[int, int] = (90_000, 175_000)  # as published; the stages' shares
    parsing_rate: float = 2e-4  # learning rates
    learning_rate: float = 1e-4  # of the generator; the discriminator learns at four times
    pixels: float = 10.0  # weight of L1
    matching: float = 10.0  # feature matching
    gan: float = 1.0
    style: float = 1000.0  # within parts
    perceptual: float = 0.0  # as published: none
    degradation: str = "psfrgan"  # recipe
    ema: float = 0.0  # moving average of the generator; as published: none
    parsing_weights: Path | None = None  # the authors' parse_multi_iter_90000.pth

    def files(self) -> list[Path]:
        return [self.parsing_weights] if self.parsing_weights else []

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class PSFRGAN(Method):
    """PSFR-GAN as released."""

    card = CARD
    Config = PSFRGANConfig
    config: PSFRGANConfig
    presets = {
        "paper": PSFRGANConfig(),
        "256": PSFRGANConfig(size=256),
        "tiny": PSFRGANConfig(
            size=64, start=8, width=1024, least=16, limit=64, hidden=16, parsing_width=12, parsing_limit=48,
            parsing_halvings=2, parsing_blocks=3, judge_width=12, judge_halvings=3, judges=2, batch_sizes=(4, 4),
            iterations=(1, 2), parsing_rate=2e-3, learning_rate=1e-3, matching=2.5, style=10, perceptual=1, gan=0.2,
            degradation="mild", ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: PSFRGANConfig):
        super().__init__(config)
        c = config
        self.parser = ParseNet(c.parsing_width, c.parsing_limit, c.parsing_halvings, c.parsing_blocks)

        def width(resolution: int) -> int:
            return max(c.least, min(c.limit, c.width // resolution))

        self.generator = Generator(c.size, c.start, width, c.hidden)

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The picture that the parsing network gives beside the parts, then the restored one."""
        degraded = batch.need("degraded")
        self.config.sizes().check(degraded, "psfrgan")
        logits, picture = self.parser(degraded)
        return [one.clamp(-1, 1) for one in (picture, self.generator(degraded, one_hot(logits)))]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [ParsingStage(self), RestorationStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take psfrgan_epoch15_net_G.pth; parse_multi_iter_90000.pth is read from the option `parsing_weights`."""
        if self.config.parsing_weights is None:
            raise BenchError(
                "psfrgan: name the authors' parse_multi_iter_90000.pth in the suite's `options: {parsing_weights: }`"
            )
        self.generator.load_state_dict(state)
        weights.load_second(self.parser, "psfrgan", "parsing_weights", self.config.parsing_weights)


def _parts(inputs: Inputs, size: int) -> Tensor:
    return one_hot(inputs.image(size, channels=PARTS, offset=100))


def _run_generator(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
    return {"image": network(inputs.image(512), _parts(inputs, 512))[..., ::2, ::2]}


def _run_parser(network: ParseNet, inputs: Inputs) -> dict[str, Tensor]:
    logits, picture = network(inputs.image())
    return {"parse": logits[..., ::4, ::4], "image": picture}


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    maps = network(inputs.image(), _parts(inputs, 256))
    return {f"score{i}": found[-1] for i, found in enumerate(maps)} | {"feat0_2": maps[0][2][:, ::16]}


def _empty(side: int) -> tuple[Tensor, Tensor]:
    return torch.empty(1, 3, side, side), torch.empty(1, PARTS, side, side)


PSFRGAN.golden = {
    "psfrgan.generator": Golden(
        build=lambda: PSFRGAN.create().get_submodule("generator"),
        run=_run_generator,
        parts=lambda network: {"total": network},
        costs={"512": lambda network: network(*_empty(512))},
    ),
    "psfrgan.parsenet": Golden(
        build=lambda: PSFRGAN.create().get_submodule("parser"),
        run=_run_parser,
        parts=lambda network: {"total": network},
        costs={
            "256": lambda network: network(_empty(256)[0]),
            "512": lambda network: network(_empty(512)[0]),
        },
    ),
    "psfrgan.discriminator": Golden(
        build=lambda: Discriminator(64, 4, 3),
        run=_run_discriminator,
        parts=lambda network: {"total": network},
        costs={"512": lambda network: network(*_empty(512))},
    ),
}
