"""SofGAN: draws a face from a label map; its looks are random, and may be others in each region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.sofgan.labels import CLASSES, layout
from baselines.sofgan.networks import Generator
from baselines.sofgan.training import SofGANStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.celebamask import relabelled
from bench.nn.stylegan2 import Width, fixed, mean_code, without_constants

CARD = Card(
    slug="sofgan",
    name="SofGAN",
    title="SofGAN: A Portrait Image Generator with Dynamic Styling",
    authors="Chen, Liu, Xie, Chen, Su, Yu",
    year=2022,
    venue="ACM Transactions on Graphics 41(1); arXiv 2007.03780",
    url="https://arxiv.org/abs/2007.03780",
    task="editing",
    resolution=1024,
    params={"generator": 30_341_852},
    macs={"generator": 80.863e9},
    published={
        "CelebA-HQ": "FID 38.88, U-IDS 0 %, LPIPS 0.6369 (thesis, table 6.5)",
        "FFHQ": "FID 15.43, U-IDS 8.14 %, LPIPS 0.6297 (likewise)",
    },
    training="logistic loss, R1 gamma 10 every 16 steps, path length 2 every 4 steps; two styles with probability 0.9; "
    "Adam 0.002 (0, 0.99) with lazy correction, batch 4, 2,500,000 iterations (10 million pictures) at most at "
    "1024 px; EMA half-life 10,000 pictures at batch 32",
    convention="no masks: the whole picture is drawn anew; 17 classes at 128 px; linear output, trained to [-1, 1]",
    licence="GPL-3.0",
    weights="the authors' Google Drive (readme): {g, d, g_ema}; 256, 512 or 1024 px by preset",
    trained_on={"ffhq": "all"},
    needs=("semantics",),
    takes=("layout",),
    choices={
        "size": "256 px, that of the tables; presets 512 and 1024",
        "iterations": "the authors' command has `--iter 10000000`, which their program divides by processes and batch: "
        "it counts pictures, not steps",
        "nose": "cut in two halves at the middle of its columns: other label maps have one class for it",
        "truncation": "1: codes as they are drawn. Less brings them nearer to the mean one",
        "noise": "each completion has its own, as it has its own code; a released file keeps one set of maps",
        "mixing": "drawn for each batch, which is one picture on each of the authors' GPUs",
        "zoom": "1.1: pictures are enlarged by up to so much and cropped together with their label maps",
        "unpaired": "label maps and pictures of a batch belong together here, which no loss of `paper` sees",
        "path": "the gradient is that of the codes of both styles",
        "perceptual": "0: the label map alone asks for its parts. tiny: between the picture drawn from a label map and "
        "the one that it belongs to",
    },
    notes="Nothing of the picture is seen but its label map. Regions of two styles are an aid of training; a "
    "completion has one style.",
)


class SofGANConfig(Config):
    """Sizes and losses of SofGAN."""

    size: int = 256  # of the images, a power of two
    side: int = 128  # of the label maps
    layout: int = 32  # channels of the label encoder's first block
    hidden: int = 128  # channels of what the label map's scales and shifts are made of
    laid: tuple[int, ...] = (64, 128, 256)  # sides of the maps that are scaled and shifted
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of z and w
    depth: int = 8  # layers of the mapping network
    noise: bool = True  # maps are added in every layer
    truncation: float = Field(default=1.0, ge=0)  # psi
    samples: int = Field(default=4000, ge=1)  # codes whose mean truncation leads to
    learning_rate: float = 0.002
    batch_size: int = 4
    iterations: int = 2_500_000
    mixing: float = 0.9  # probability of two styles
    zoom: float = Field(default=1.1, ge=1)
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    path: float = 2.0  # weight of the path length penalty
    path_every: int = 4  # iterations
    path_shrink: int = 2  # the penalty sees batch / shrink images
    perceptual: float = 0.0  # weight of the distance to the picture of the label map; as published: none
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the generator

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class SofGAN(Method):
    """SofGAN as released."""

    card = CARD
    Config = SofGANConfig
    config: SofGANConfig
    presets = {
        "paper": SofGANConfig(),
        "512": SofGANConfig(size=512),
        "1024": SofGANConfig(size=1024),
        "tiny": SofGANConfig(
            size=64, side=64, layout=16, hidden=16, laid=(16, 32, 64), width=1024, limit=64, code=64, depth=4,
            noise=False, learning_rate=0.008, mixing=0.5, zoom=1, gamma=0.1, path=0.2, perceptual=1, ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: SofGANConfig):
        super().__init__(config)
        c = config
        self.generator = Generator(c.size, Width(c.width, c.limit), c.code, c.depth, c.layout, c.hidden, c.laid)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """A face with the labels `batch.layout`, or else with the picture's own, of a random style."""
        c, generator = self.config, self.generator
        c.sizes().check(batch.image, CARD.slug)
        _, wanted = relabelled(batch)
        code = generator.style(noise.normal(c.code))
        if c.truncation != 1:
            code = mean_code(generator.style, c.code, c.samples).lerp(code, c.truncation)
        codes = code[:, None, None].expand(-1, 1, generator.codes, -1)
        return generator(layout(wanted, c.side), codes, noise.maps(generator.sides) if c.noise else None).clamp(-1, 1)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [SofGANStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take `g_ema` of {g, d, g_ema}, or the generator's state alone."""
        self.generator.load_state_dict(without_constants(state.get("g_ema", state)))


def _load(network: Any, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(without_constants(state))
    network.stored = [state[f"noises.noise_{layer}"] for layer in range(len(network.sides))]


def _run_generator(network: Any, inputs: Inputs) -> dict[str, Tensor]:
    codes, classes = inputs.latent(2, network.codes, 512), torch.arange(CLASSES).view(1, -1, 1, 1)
    labels = ((inputs.image(128, 1, offset=5) + 1) / 2 * (CLASSES - 1e-9)).floor().clamp(0, CLASSES - 1)
    planes, mask = (labels == classes).double(), inputs.mask(128)
    return {
        "layout": network.segEncoder(planes)[:, ::8],
        "out": network(planes, codes[None, :1], network.stored),
        "mix": network(planes, codes[None], network.stored, torch.cat([mask, 1 - mask], dim=1)),
    }


def _create() -> Generator:
    return Generator(256, Width())


def _pass(network: Generator) -> Tensor:
    return network(torch.empty(1, CLASSES, 128, 128), torch.empty(1, 1, network.codes, 512))


SofGAN.golden = {
    "sofgan.generator": Golden(
        build=_create,
        load=_load,
        run=_run_generator,
        parts=lambda network: {"generator": network},
        costs={"256, from codes": _pass},
    ),
    "sofgan.mapping": Golden(
        build=lambda: nn.ModuleDict({"style": _create().style}),
        run=lambda network, inputs: {"w": network["style"](inputs.latent(2, 512))},
        parts=lambda network: {"mapping": network},
        costs={"mapping": lambda network: network["style"](torch.empty(1, 512))},
    ),
}
