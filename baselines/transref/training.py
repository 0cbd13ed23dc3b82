"""TransRef's training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.references import references
from bench.nn.repeated_vgg import RepeatedFeatureLoss
from bench.nn.schedule import ScheduledAdam, falling

if TYPE_CHECKING:
    from baselines.transref import TransRef


class TransRefStage(Stage):
    """Training with reconstruction losses alone."""

    method: TransRef
    iterations = 956_250  # 1,020 epochs of CelebA-HQ's 30,000 pictures
    mirrored = False  # as published

    def __init__(self, method: TransRef, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.ema = {"generator": config.ema} if config.ema else {}
        self.features = RepeatedFeatureLoss(features)

    def optimisers(self) -> dict[str, Optimizer]:
        rate, constant = self.config.learning_rate, 20 / 1020  # epochs
        parameters = self.method.generator.parameters()
        return {"generator": ScheduledAdam(parameters, rate, (0.9, 0.999), self.steps, falling(constant))}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c = self.config
        output = self.method.infer(batch, references(batch.image, noise, c.itself))
        perceptual, style = self.features(output, batch.image)
        losses = {"l1": F.l1_loss(output, batch.image), "perceptual": perceptual, "style": style}
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        return losses
