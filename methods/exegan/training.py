"""EXE-GAN's training: adversarial, with an exemplar that is another face of the batch or the picture itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.arcface import IdentityLoss
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import differentiable_twice, nonsaturating
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Adversary, PathLength, lazy_adam
from methods.exegan.svgl import confidence, reverse, svgl

if TYPE_CHECKING:
    from methods.exegan import EXEGAN


class EXEGANStage(Stage):
    """Algorithm 2: with probability tau the exemplar is the picture itself (LPIPS is on), else another of the batch."""

    method: EXEGAN
    iterations = 800_000

    def __init__(self, method: EXEGAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.masks = c.batch_size, c.masks
        updates = 1 + bool(c.path) / c.path_every  # an iteration: the average follows the regulariser's steps too
        self.ema = {"generator": c.ema ** (1 / updates)}
        self.adversary = Adversary(Discriminator(c.size, Width(c.width, c.limit)), c.gamma, c.r1_every)
        self.path = PathLength(c.path, c.path_every)
        self.lpips = PerceptualDistance(features) if c.lpips else None
        self.identity = IdentityLoss(features, "resnet101") if c.identity else None

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, c.path_every, c.beta1),
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every, c.beta1),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        method = self.method
        itself = noise.once() < self.config.tau
        exemplar = batch.image if itself else self.others(batch.image, noise)
        with torch.no_grad():
            style = method.exemplar_codes(exemplar)
            fake = method.draw(batch, method.codes(style, noise), noise)
        losses = self.adversary.improve(batch.image, batch.composite(fake), update)

        output = batch.composite(method.draw(batch, method.codes(style, noise), noise))
        losses["generator"] = nonsaturating(self.adversary(output))
        guided = self.guidance(batch, output, exemplar, style, itself)
        total = sum((weight * loss for weight, loss in guided.values()), losses["generator"])
        update("generator", total)
        losses |= {name: loss for name, (_, loss) in guided.items()}

        if self.config.path and self.path.due():
            step = self.config.path_shrink
            some, part = noise.thinned(step), Batch(batch.image[::step], batch.mask[::step])
            codes = method.codes(style[::step], some).requires_grad_()
            with differentiable_twice():
                fake = method.draw(part, codes, some)
            losses["path"] = self.path(fake, codes, some.normal(*fake.shape[1:]))
            update("generator", losses["path"])
        return losses

    def others(self, images: Tensor, noise: Noise) -> Tensor:
        """Another face of the batch for each of the images (N, 3, H, W)."""
        every = across.whole(images)
        if self.config.exemplars == "reversed":
            return across.part(every.flip(0))
        return across.part(every.roll(1 + int(noise.once() * (len(every) - 1)), 0))

    def guidance(
        self, batch: Batch, output: Tensor, exemplar: Tensor, style: Tensor, itself: bool
    ) -> dict[str, tuple[float, Tensor]]:
        """Attribute, identity and LPIPS losses of the composited `output`: name -> (weight, loss)."""
        c = self.config
        near = confidence(batch.mask, c.blur_size, c.blur)
        losses: dict[str, tuple[float, Tensor]] = {}
        if c.attribute:
            seen = svgl(output, reverse(batch.mask, near)) if c.svgl_attribute else output
            losses["attribute"] = (c.attribute, self.attribute(self.method.exemplar_codes(seen), style))
        if self.identity is not None:
            losses["identity"] = (c.identity, self.identity(output, exemplar).abs().mean())
        if self.lpips is not None and itself:
            seen = svgl(output, near) if c.svgl_lpips else output
            losses["lpips"] = (c.lpips, across.total(self.lpips(seen, batch.image)))  # over the batch, as released
        return losses

    def attribute(self, ours: Tensor, style: Tensor) -> Tensor:
        """The distance of two sets of exemplar codes (N, rows, D)."""
        if self.config.attribute_norm == "thesis":
            return (ours - style).flatten(1).norm(dim=1).mean()
        return F.mse_loss(ours, style)
