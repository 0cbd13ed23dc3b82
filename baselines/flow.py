"""Flow matching, as an inpainting baseline: a network moves noise in the hole along straight lines to the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bench.method import Batch, Card, Config, Noise, Sizes, Source, Stage, Update
from bench.nn.adm import UNet
from bench.nn.diffusion import STEPS
from bench.nn.iterative import Iterative

CARD = Card(
    slug="flow",
    name="Flow matching",
    title="Flow Matching for Generative Modeling, as an inpainting baseline",
    authors="Lipman, Chen, Ben-Hamu, Nickel, Le; rectified flow: Liu, Gong, Liu; baseline: this project",
    year=2023,
    venue="ICLR; arXiv 2210.02747 and 2209.03003",
    url="https://arxiv.org/abs/2210.02747",
    resolution=256,
    params={"network": 93_565_059},
    macs={"network": 9_702.1e9},
    training="AdamW 1e-4 without decay, batch 16, 500,000 iterations, EMA 0.9999; squared error of the velocity in the "
    "hole",
    licence="this project's own",
    weights="none",
    choices={
        "baseline": "no paper has it in this form: the papers' straight lines from noise to pictures, conditioned as "
        "inpainting networks are, by the erased image and the mask beside it. Known pixels are no part of the flow",
        "network": "ADM's U-Net in P2's size, with 4 more inputs and no variances",
        "solver": "heun: two calls a step. euler: one. Steps are equal in time",
    },
    notes="A completion calls the network 50 times in `paper`, 20 times in `tiny`; the multiply-accumulates are those "
    "of all calls.",
)


class FlowConfig(Config):
    """Sizes of the network, its training, and the solver."""

    width: int = 128  # channels at the whole size
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)  # of the width; sides halve from one to the next
    blocks: int = 1  # residual blocks of a level on the way down; one more on the way up
    attention: tuple[int, ...] = (4,)  # levels with attention, counted from 0; the middle has it always
    head: int = 64  # channels of an attention head
    groups: int = 32  # of every norm
    solver: Literal["heun", "euler"] = "heun"
    steps: int = Field(default=25, ge=1)  # of the solver
    learning_rate: float = 1e-4
    batch_size: int = 16
    ema: float = 0.9999
    masks: str = "irregular"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2 ** (len(self.multipliers) - 1))


class Flow(Iterative):
    """Conditional flow matching of what is under the hole."""

    card = CARD
    Config = FlowConfig
    config: FlowConfig
    presets = {
        "paper": FlowConfig(),
        "tiny": FlowConfig(
            width=24, multipliers=(1, 1, 2, 4), attention=(3,), head=24, groups=8, steps=10, learning_rate=1e-3,
            batch_size=8, ema=0.995,
        ),
    }  # fmt: skip

    def __init__(self, config: FlowConfig):
        super().__init__(config)
        c = config
        self.network = UNet(c.width, c.multipliers, c.blocks, c.attention, c.head, c.groups, inputs=7, outputs=3)
        last = self.network.out[2]
        assert isinstance(last, nn.Conv2d)
        last.reset_parameters()  # not 0: other first weights are another first picture

    @property
    def calls(self) -> int:
        """Of the network in a completion."""
        return self.config.steps * (2 if self.config.solver == "heun" else 1)

    def velocity(self, x: Tensor, batch: Batch, time: Tensor) -> Tensor:
        """Where x (N, 3, H, W) moves at times (N,), from 0, noise, to 1, the picture; only that in the hole is used."""
        given = torch.cat([batch.mask * x, batch.masked, batch.mask], dim=1)
        return self.network(given, STEPS * time)  # the embedding of times was made for as many steps

    def pictures(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:
        """The end of the line that x is on, as each call of the network tells it."""
        c, x = self.config, noise.normal(*batch.image.shape[1:])
        for i in range(c.steps):
            now, length = i / c.steps, 1 / c.steps
            moved = velocity = self.velocity(x, batch, x.new_full((len(x),), now))
            if c.solver == "heun":
                yield x + (1 - now) * velocity
                after = self.velocity(x + length * velocity, batch, x.new_full((len(x),), now + length))
                moved = (velocity + after) / 2
            yield x + (1 - now) * moved
            x = x + length * moved

    def stages(self, features: Source = "official") -> list[Stage]:
        return [FlowStage(self)]


class FlowStage(Stage):
    """Learns the velocity of straight lines: picture - noise, wherever on the line x is."""

    method: Flow
    iterations = 500_000

    def __init__(self, method: Flow):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.masks, self.ema = c.batch_size, c.masks, {"network": c.ema}

    def optimisers(self) -> dict[str, Optimizer]:
        return {"network": AdamW(self.method.network.parameters(), self.config.learning_rate, weight_decay=0)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        picture, time = batch.image, noise.uniform()
        normal = noise.normal(*picture.shape[1:])
        x = torch.lerp(normal, picture, time[:, None, None, None])
        error = self.method.velocity(x, batch, time).float() - (picture - normal)
        loss = (batch.mask * error**2).mean()
        update("network", loss)
        return {"velocity": loss}
