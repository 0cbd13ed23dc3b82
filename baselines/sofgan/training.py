"""SofGAN's training: StyleGAN2's, on label maps, with two styles in most pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Optimizer

from baselines.sofgan.labels import GROUPS, halved, layout
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.augment import resized_crop
from bench.nn.celebamask import planes
from bench.nn.losses import differentiable_twice, nonsaturating
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Adversary, PathLength, lazy_adam

if TYPE_CHECKING:
    from baselines.sofgan import SofGAN

WHOLE = 2**31
"""Images of the minibatch deviation: all of the batch are one group."""


def cropped(image: Tensor, planes: Tensor, zoom: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """A part of each picture, up to `zoom` times as large, and of its planes, which stay 0 or 1."""
    if zoom == 1:
        return image, planes
    both = resized_crop(torch.cat([image, planes], dim=1), noise, (zoom**-2, 1.0), 1.0)
    image, soft = both.split([3, planes.shape[1]], dim=1)
    return image, torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1)


class SofGANStage(Stage):
    """Adversarial training with lazy regularisation. The discriminator sees pictures alone."""

    method: SofGAN
    guides = ("semantics",)

    def __init__(self, method: SofGAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, c.iterations
        # the generator's average follows each of its steps, the regulariser's too
        self.ema = {"generator": c.ema ** (c.path_every / (c.path_every + 1))}
        self.adversary = Adversary(Discriminator(c.size, Width(c.width, c.limit), group=WHOLE), c.gamma, c.r1_every)
        self.path = PathLength(c.path, c.path_every)
        self.look = PerceptualDistance(features) if c.perceptual else None

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, c.path_every),
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every),
        }

    def draw(self, labels: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Pictures of label maps (N, 17, h, w), and their codes (N, S layers, D): of two styles or of one."""
        c, generator = self.config, self.method.generator
        two = noise.once() < c.mixing
        styles = [generator.style(noise.normal(c.code)) for _ in range(1 + two)]
        regions = halved(labels, noise.uniform(len(GROUPS))) if two else None
        codes = torch.stack(styles, dim=1).repeat_interleave(generator.codes, dim=1)
        each = codes.unflatten(1, (len(styles), generator.codes))
        return generator(labels, each, noise.maps(generator.sides) if c.noise else None, regions), codes

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c = self.config
        image, seen = cropped(batch.image, planes(batch.need("semantics")), c.zoom, noise)
        labels = layout(seen, c.side)
        with torch.no_grad():
            fake, _ = self.draw(labels, noise)
        losses = self.adversary.improve(image, fake, update)
        fake, _ = self.draw(labels, noise)
        losses["generator"] = nonsaturating(self.adversary(fake))
        total = losses["generator"]
        if self.look is not None:
            losses["perceptual"] = self.look(fake, image).mean()
            total = total + c.perceptual * losses["perceptual"]
        update("generator", total)
        if self.path.due():
            some = noise.thinned(c.path_shrink)
            with differentiable_twice():
                fake, codes = self.draw(labels[:: c.path_shrink], some)
            losses["path"] = self.path(fake, codes, some.normal(*fake.shape[1:]))
            update("generator", losses["path"])
        return losses
