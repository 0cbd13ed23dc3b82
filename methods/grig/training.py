"""GRIG's training: iterative residual reasoning with two discriminators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.augment import diff_augment
from bench.nn.init import normal_init
from bench.nn.losses import hinge
from bench.nn.perceptual import PerceptualDistance
from bench.nn.projected import EfficientNetLite, EmbeddedBackbone, ProjectedDiscriminator
from methods.grig.discriminators import PatchDiscriminator, forged_patch_hinge, label_map

if TYPE_CHECKING:
    from methods.grig import GRIG, GRIGConfig


class GRIGStage(Stage):
    """Joint training of the generator, the projected and the forged-patch discriminator.

    In each of the T steps of an iteration every network is updated once; what step t completed goes into step t + 1
    without gradient.
    """

    method: GRIG
    iterations = 1_000_000  # FFHQ, CelebA-HQ, Paris StreetView; few-shot 400,000, Places365 2,000,000

    def __init__(self, method: GRIG, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.ema = {"generator": config.ema}
        self.projected = projected_discriminator(config, features)
        self.patch = normal_init(PatchDiscriminator(config.patch_width, config.patch_strides))
        self.lpips = PerceptualDistance(features)

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {
            "generator": self.method.generator,
            "projected": self.projected.discriminator,
            "patch": self.patch,
        }
        return {name: Adam(n.parameters(), self.config.learning_rate, (0.5, 0.999)) for name, n in networks.items()}

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        return diff_augment(images, noise) if self.config.augment else images

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        """T steps of residual reasoning. Returns the losses, each the mean over the steps."""
        with torch.no_grad():
            real = self.projected.features(batch.image)  # the same in all steps: this network is frozen
        label = label_map(batch.mask, self.config.patch_strides)
        filled = batch.masked
        history = []
        for _ in range(self.config.steps):
            filled = self.method.refine(filled, batch, noise)
            fake = self.projected.features(filled)
            if self.config.first_update == "discriminators":
                losses = self.judge(batch, real, filled, fake, label, update)
                losses |= self.improve(batch, filled, fake, label, update)
            else:
                losses = self.improve(batch, filled, fake, label, update)
                losses |= self.judge(batch, real, filled, fake, label, update)
            history.append(losses)
            filled = filled.detach()
        return {name: torch.stack([losses[name].detach() for losses in history]).mean() for name in history[0]}

    def judge(
        self, batch: Batch, real: list[Tensor], filled: Tensor, fake: list[Tensor], label: Tensor, update: Update
    ) -> dict[str, Tensor]:
        """Update both discriminators; `real` and `fake` are projected features."""
        judge = self.projected.discriminator
        projected = hinge(judge(real), judge([x.detach() for x in fake]))
        update("projected", projected)
        patch = forged_patch_hinge(self.patch(batch.image), self.patch(filled.detach()), label)
        update("patch", patch)
        return {"projected": projected, "patch": patch}

    def improve(
        self, batch: Batch, filled: Tensor, fake: list[Tensor], label: Tensor, update: Update
    ) -> dict[str, Tensor]:
        """Update the generator: both adversarial losses and LPIPS, summed over the batch as published."""
        c = self.config
        units = self.patch(filled)
        forged = units * label if c.generator_patch == "hole" else units
        losses = {
            "generator_projected": -self.projected.discriminator(fake).mean(),
            "generator_patch": -forged.mean(),
            "lpips": self.lpips(filled, batch.image).sum(),
        }
        total = c.projected * losses["generator_projected"] + c.patch * losses["generator_patch"]
        update("generator", total + c.lpips * losses["lpips"])
        return losses


def projected_discriminator(config: GRIGConfig, features: Source) -> ProjectedDiscriminator:
    """The discriminator of one scale on the backbone of the configuration, or on the embedded one."""
    if features == "embedded":
        backbone: EfficientNetLite | EmbeddedBackbone = EmbeddedBackbone()
    else:
        backbone = EfficientNetLite(config.backbone)
        backbone.load_pretrained()
    network = ProjectedDiscriminator(backbone, 1, config.resolution, config.projected_width)
    if config.initialisation == "released":
        normal_init(network)
    return network
