"""GRIG's training: iterative residual reasoning with two discriminators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.augment import diff_augment
from bench.nn.init import normal_init
from bench.nn.losses import hinge
from bench.nn.perceptual import PerceptualDistance
from bench.nn.projected import ProjectedDiscriminator, pretrained_backbone
from bench.nn.soft_mask import soft_mask_discriminator, soft_mask_generator
from bench.sources import of_backbone
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
        self.projected = projected_discriminator(config, features) if config.projected else None
        self.patch = normal_init(PatchDiscriminator(config.patch_width, config.patch_strides)) if config.patch else None
        self.lpips = PerceptualDistance(features)
        # the embedded network is behind both, unless its weights are drawn again
        self.one_trunk = of_backbone(features) == features == "embedded" and config.initialisation == "pretrained"

    def optimisers(self) -> dict[str, Optimizer]:
        networks: dict[str, nn.Module] = {"generator": self.method.generator}
        if self.projected:
            networks["projected"] = self.projected.discriminator
        if self.patch:
            networks["patch"] = self.patch
        return {name: Adam(n.parameters(), self.config.learning_rate, (0.5, 0.999)) for name, n in networks.items()}

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        return diff_augment(images, noise) if self.config.augment else images

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        """T steps of residual reasoning. Returns the losses, each the mean over the steps."""
        with torch.no_grad():
            real, target = self.seen(batch.image)  # the same in all steps: these networks are frozen
        filled = batch.masked
        history = []
        for _ in range(self.config.steps):
            filled = self.method.refine(filled, batch, noise)
            fake, maps = self.seen(filled)
            if self.config.first_update == "discriminators":
                losses = self.judge(batch, real, filled, fake, update)
                losses |= self.improve(batch, filled, fake, maps, target, update)
            else:
                losses = self.improve(batch, filled, fake, maps, target, update)
                losses |= self.judge(batch, real, filled, fake, update)
            history.append(losses)
            filled = filled.detach()
        return {name: torch.stack([losses[name].detach() for losses in history]).mean() for name in history[0]}

    def seen(self, images: Tensor) -> tuple[list[Tensor], Sequence[Tensor]]:
        """What the frozen networks see: the projected features, finest first, and the maps of LPIPS."""
        maps = self.lpips.maps(images)
        if not self.projected:
            return [], maps
        if self.one_trunk:
            return self.projected.feature_network.mix(maps[1:]), maps
        return self.projected.features(images), maps

    def judge(
        self, batch: Batch, real: list[Tensor], filled: Tensor, fake: list[Tensor], update: Update
    ) -> dict[str, Tensor]:
        """Update the discriminators; `real` and `fake` are projected features."""
        losses = {}
        if self.projected:
            judge = self.projected.discriminator
            losses["projected"] = hinge(judge(real), judge([x.detach() for x in fake]))
        if self.patch:
            losses["patch"] = self.patch_loss(self.patch(batch.image), self.patch(filled.detach()), batch.mask)
        for name, loss in losses.items():
            update(name, loss)
        return losses

    def improve(
        self,
        batch: Batch,
        filled: Tensor,
        fake: list[Tensor],
        maps: Sequence[Tensor],
        target: Sequence[Tensor],
        update: Update,
    ) -> dict[str, Tensor]:
        """Update the generator: the adversarial losses and LPIPS, summed over the batch as published."""
        c = self.config
        losses = {"lpips": across.total(self.lpips.between(maps, target))}
        total = c.lpips * losses["lpips"]
        if self.projected:
            losses["generator_projected"] = -self.projected.discriminator(fake).mean()
            total = total + c.projected * losses["generator_projected"]
        if self.patch:
            losses["generator_patch"] = self.generator_patch_loss(self.patch(filled), batch.mask)
            total = total + c.patch * losses["generator_patch"]
        update("generator", total)
        return losses

    def patch_loss(self, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
        """The loss of the patch discriminator on its logits."""
        match self.config.patch_loss:
            case "soft":
                return soft_mask_discriminator(real, fake, mask)
            case "plain":
                return hinge(real, fake)
            case _:
                return forged_patch_hinge(real, fake, label_map(mask, self.config.patch_strides))

    def generator_patch_loss(self, fake: Tensor, mask: Tensor) -> Tensor:
        """What the generator loses to the patch discriminator."""
        if self.config.patch_loss == "soft":
            return soft_mask_generator(fake, mask)
        if self.config.generator_patch == "hole":
            fake = fake * label_map(mask, self.config.patch_strides)
        return -fake.mean()


def projected_discriminator(config: GRIGConfig, features: Source) -> ProjectedDiscriminator:
    """The discriminator of one scale on the backbone of the configuration, or on the embedded one."""
    backbone = pretrained_backbone(features, config.backbone)
    network = ProjectedDiscriminator(backbone, 1, config.resolution, config.projected_width)
    if config.initialisation == "released":
        normal_init(network)
    return network
