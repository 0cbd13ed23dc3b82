"""SEAN's training: faces are drawn again from their own label maps and the styles of their own regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.sean.networks import Discriminator, maps
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.celebamask import planes
from bench.nn.fastgan import settle
from bench.nn.losses import feature_matching, hinge
from bench.nn.multiscale import Maps, VGGLoss
from bench.nn.perceptual import VGGFeatures
from bench.nn.schedule import ScheduledAdam, falling

if TYPE_CHECKING:
    from baselines.sean import SEAN


def started(network: nn.Module, gain: float) -> nn.Module:
    """Xavier's initial values. Layers under spectral norm, which takes any gain away, keep PyTorch's."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not hasattr(layer, "weight_orig"):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return settle(network)


class Look(VGGLoss):
    """The perceptual loss; VGG is shown the pictures as they are, in [-1, 1]."""

    def __init__(self, source: Source):
        super().__init__(source)
        if isinstance(self.network, VGGFeatures):
            self.network.mean.fill_(0.5)
            self.network.std.fill_(0.5)


class SEANStage(Stage):
    """Generator with style encoder, and discriminators: hinge loss, feature matching, VGG."""

    method: SEAN
    guides = ("semantics",)
    iterations = 87_500  # 100 epochs of 28,000 pictures

    def __init__(self, method: SEAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size = c.batch_size
        self.ema = {"generator": c.ema} if c.ema else {}
        self.judge = Discriminator(c.judge_width, c.judge_halvings)
        started(self.judge, c.gain)
        self.look = Look(features)

    def optimisers(self) -> dict[str, Optimizer]:
        def adam(network: nn.Module, rate: float) -> Optimizer:
            return ScheduledAdam(network.parameters(), rate, (0.0, 0.9), self.steps, falling())

        rate = self.config.learning_rate
        return {"generator": adam(self.method.generator, rate), "discriminator": adam(self.judge, 4 * rate)}

    def judged(self, labels: Tensor, fake: Tensor, real: Tensor) -> tuple[Maps, Maps]:
        """The maps of both pictures, which go through the discriminators in one batch."""
        both = self.judge(torch.cat([torch.cat([labels, picture], dim=1) for picture in (fake, real)]))
        halves = [[one.chunk(2) for one in scale] for scale in both]
        fakes, reals = ([[pair[i] for pair in scale] for scale in halves] for i in (0, 1))
        return fakes, reals

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, image, labels = self.config, batch.image, planes(batch.need("semantics"))
        generator = self.method.generator
        output = generator(labels, generator.Zencoder(image, labels), maps(noise, image.shape[2:]))
        fake, real = self.judged(labels, output, image)
        losses = {
            "adversarial": -torch.stack([scale[-1].mean() for scale in fake]).mean(),
            "matching": matching(fake, real),
            "perceptual": self.look(output, image),
            "pixels": F.l1_loss(output, image),
        }
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        fake, real = self.judged(labels, output.detach(), image)
        each = [hinge(a[-1], b[-1]) for a, b in zip(real, fake, strict=True)]
        losses["discriminator"] = torch.stack(each).mean()
        update("discriminator", losses["discriminator"])
        return losses


def matching(fake: Maps, real: Maps) -> Tensor:
    """Feature matching: L1 of all maps but the logits, summed over the layers, mean over the scales."""
    ours, theirs = ([one for scale in judged for one in scale[:-1]] for judged in (fake, real))
    return len(fake[0][:-1]) * feature_matching(ours, theirs, F.l1_loss)
