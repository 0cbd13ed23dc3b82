"""MI-GAN's training: adversarial, and distilled from CoModGAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.comodgan import CoModGAN
from baselines.migan.networks import Discriminator, seen, split
from bench.errors import BenchError
from bench.method import Batch, Noise, Stage, Update
from bench.nn.losses import nonsaturating
from bench.nn.perceptual import Frozen, frozen
from bench.nn.stylegan2 import Width
from bench.nn.stylegan2_blocks import upsample
from bench.nn.stylegan2_training import Adversary, lazy_adam

if TYPE_CHECKING:
    from baselines.migan import MIGAN


class Teacher(Frozen):
    """CoModGAN as it completes images, read where each block adds to the picture."""

    def __init__(self, method: CoModGAN):
        super().__init__()
        self.method = method
        self.added: dict[int, Tensor] = {}
        for layer in (method.generator.to_rgb1, *method.generator.to_rgbs):
            layer.register_forward_hook(self.read)
        frozen(self)

    def read(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        below = inputs[2:]  # the picture of half the size, from 8 px on
        self.added[output.shape[-1]] = output - upsample(below[0]) if below else output

    @torch.no_grad()
    def forward(self, batch: Batch, noise: Noise) -> dict[int, Tensor]:
        """By side, what each block adds to the picture of a random code."""
        self.added = {}
        self.method.draw(batch, noise)
        return self.added


def distillation(ours: Mapping[int, Tensor], theirs: Mapping[int, Tensor], mask: Tensor, smallest: int) -> Tensor:
    """Distance of student and teacher in the hole: mean over all pixels, sum over the resolutions from `smallest` on.

    What the blocks add to the picture is compared, (N, 3, side, side) by side.
    """
    terms = [
        ((rgb - theirs[side]).abs() * F.interpolate(mask, size=(side, side), mode="nearest")).mean()
        for side, rgb in ours.items()
        if side >= smallest
    ]
    return torch.stack(terms).sum() if terms else mask.new_zeros(())


class MIGANStage(Stage):
    """Adversarial training on composites, and distillation from the teacher."""

    method: MIGAN

    def __init__(self, method: MIGAN):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations, self.masks = c.batch_size, 1000 * c.kimg // c.batch_size, c.masks
        self.ema = {"generator": c.ema}
        discriminator = Discriminator(c.size, Width(c.width, c.limit))
        split(discriminator, c.tensors)
        self.adversary = Adversary(discriminator, c.gamma, c.r1_every)
        if c.distillation and method.teacher is None:
            raise BenchError("migan learns from a teacher: attach the prior comodgan, or set distillation to 0")
        self.teacher = Teacher(method.teacher) if c.distillation and method.teacher else None

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, every=4),  # as released
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        with torch.no_grad():
            image, _ = self.draw(batch, noise)
        real, fake = (seen(images, batch.mask) for images in (batch.image, batch.composite(image)))
        losses = self.adversary.improve(real, fake, update)
        image, added = self.draw(batch, noise)
        losses["generator"] = nonsaturating(self.adversary(seen(batch.composite(image), batch.mask)))
        total = losses["generator"]
        if self.teacher:
            theirs = self.teacher(batch, noise)
            losses["distillation"] = distillation(added, theirs, batch.mask, self.config.distilled_from)
            total = total + self.config.distillation * losses["distillation"]
        update("generator", total)
        return losses

    def draw(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[int, Tensor]]:
        """The generator's pictures with fresh noise."""
        generator = self.method.generator
        return generator(batch.masked, batch.mask, noise.maps(generator.synthesis.sides))
