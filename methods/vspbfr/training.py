"""VSPBFR's training: the style encoder, the code diffuser, then the restoration network against a discriminator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.arcface import IdentityLoss
from baselines.e4e import E4EStage
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import nonsaturating
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Adversary, lazy_adam

if TYPE_CHECKING:
    from methods.vspbfr import VSPBFR, VSPBFRConfig


class EncoderStage(E4EStage):
    """Stage one: e4e learns the codes of clean pictures from degraded ones, with its own losses."""

    restorer: VSPBFR
    name = "encoder"
    fresh = False  # it is trained already

    def __init__(self, restorer: VSPBFR, features: Source):
        c, e4e = restorer.config, restorer.styles
        start = e4e.config.start if c.progressive else None
        super().__init__(e4e, features, e4e.config.model_copy(update={"identity": c.code_identity, "start": start}))
        object.__setattr__(self, "restorer", restorer)  # not registered: it is no sub-module
        describe(self, c, 0)

    def source(self, batch: Batch) -> Tensor:
        return self.restorer.seen(self.restorer.given(batch))


class DiffuserStage(Stage):
    """Stage two: clean codes from those of a degraded picture; everything else is frozen."""

    method: VSPBFR
    name = "diffuser"

    def __init__(self, method: VSPBFR, features: Source):
        super().__init__(method)
        self.config = method.config
        describe(self, method.config, 1)
        self.lpips = PerceptualDistance(features)
        self.identity = IdentityLoss(features, "resnet101")

    def optimisers(self) -> dict[str, Optimizer]:
        return {"diffuser": adam(self.config, self.method.diffuser.parameters(), 4)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        method.styles.eval()  # frozen: its batch norms keep their statistics
        with torch.no_grad():
            initial, target = (method.initial_codes(images) for images in (method.given(batch), batch.image))
        diffuser = method.diffuser
        codes = diffuser(diffuser.noised(initial, noise.normal(*initial.shape[1:])), initial)
        face, _ = method.bank(codes, noise)
        losses = {
            "code": F.l1_loss(codes, target),
            "lpips": self.lpips(face, batch.image).mean(),
            "identity": self.identity(face, batch.image).mean(),
        }
        total = losses["code"] + c.face_lpips * losses["lpips"] + c.face_identity * losses["identity"]
        update("diffuser", total)
        return losses


class RestorationStage(Stage):
    """Stage three: the restoration network and its discriminator; codes and maps of the generator are given."""

    method: VSPBFR
    name = "restoration"

    def __init__(self, method: VSPBFR, features: Source):
        super().__init__(method)
        c = self.config = method.config
        describe(self, c, 2)
        self.ema = {"generator": c.ema}
        self.adversary = Adversary(Discriminator(c.size, Width(c.width, c.limit)), c.gamma, c.r1_every)
        self.lpips = PerceptualDistance(features)
        self.identity = IdentityLoss(features, "resnet101")

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": adam(c, self.method.restoration.parameters(), 4),
            "discriminator": adam(c, self.adversary.parameters(), c.r1_every),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        method.styles.eval()
        degraded = method.given(batch)
        with torch.no_grad():
            codes = method.codes(degraded, noise)
            _, maps = method.bank(codes, noise, whole=False)
        output = method.restore(degraded, maps, codes, noise)
        losses = self.adversary.improve(batch.image, output, update) | {
            "generator": nonsaturating(self.adversary(output)),
            "lpips": across.total(self.lpips(output, batch.image)),  # over the batch, as released
            "identity": self.identity(output, batch.image).mean(),
        }
        total = losses["generator"] + c.lpips * losses["lpips"] + c.identity * losses["identity"]
        if c.l1:
            losses["l1"] = F.l1_loss(output, batch.image)
            total = total + c.l1 * losses["l1"]
        update("generator", total)
        return losses


def describe(stage: Stage, config: VSPBFRConfig, number: int) -> None:
    """What the harness asks of stage `number` (0, 1, 2): its data, its batch size, its share of the budget."""
    stage.batch_size, stage.iterations = config.batch_sizes[number], config.iterations[number]
    total = sum(config.iterations) - (0 if config.diffuser else config.iterations[1])
    stage.share = stage.iterations / total
    stage.degradation = config.last_degradation if number == 2 else config.degradation


def adam(config: VSPBFRConfig, parameters: Iterable[nn.Parameter], every: int) -> Adam:
    """Adam as released, corrected for a regulariser each `every` iterations, or as the thesis states it."""
    if config.optimiser == "thesis":
        return Adam(parameters, config.learning_rate, (0.5, 0.999))
    return lazy_adam(parameters, config.learning_rate, every)
