"""Training of MAT: two discriminators, a perceptual loss of high layers, lazy R1; no pixel loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import differentiable_twice, logistic, nonsaturating, r1
from bench.nn.perceptual import EmbeddedFeatures, Frozen, VGGFeatures, frozen, mean_l1
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Lazy, lazy_adam, mixed_codes

if TYPE_CHECKING:
    from baselines.mat import MAT


class Discriminators(nn.Module):
    """StyleGAN2's discriminator for the final picture, one of half the width for that of the first stage.

    Both see the mask, too.
    """

    def __init__(self, size: int, width: int, limit: int, group: int):
        super().__init__()
        self.final = Discriminator(size, Width(width, limit), channels=4, group=group)
        self.first = Discriminator(size, Width(width // 2, limit // 2), channels=4, group=group)

    def forward(self, final: Tensor, first: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 1) of pictures (N, 3, size, size); 1 = hole."""
        return self.final(torch.cat([0.5 - mask, final], dim=1)), self.first(torch.cat([0.5 - mask, first], dim=1))


class PerceptualLoss(Frozen):
    """Weighted sum of the mean absolute differences of VGG-19's maps conv4_4 (1/4) and conv5_4 (1/2), before ReLU.

    On `embedded`: of all its maps, each with the weight 1.
    """

    def __init__(self, source: Source):
        super().__init__()
        if source == "embedded":
            self.network: nn.Module = EmbeddedFeatures()
            self.weights: tuple[float, ...] | None = None
        else:
            self.network, self.weights = linear_maps("relu4_4", "relu5_4"), (1 / 4, 1 / 2)
        frozen(self)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        ours = self.network(output)
        with torch.no_grad():
            theirs = self.network(target)
        weights = self.weights or (1.0,) * len(ours)
        terms = (weight * mean_l1(a, b) for weight, a, b in zip(weights, ours, theirs, strict=True))
        return sum(terms, output.new_zeros(()))


def linear_maps(*layers: str) -> VGGFeatures:
    """VGG-19 up to the convolutions in front of these ReLUs."""
    features = VGGFeatures(layers)
    features.indices = [index - 1 for index in features.indices]
    features.network = features.network[: max(features.indices) + 1]
    for layer in features.network:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # which would change the map that is compared
    return features


class MATStage(Stage):
    """Joint training of both stages; each iteration the discriminators, then the generator."""

    method: MAT
    centre: Tensor  # running mean of w

    def __init__(self, method: MAT, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations, self.masks = c.batch_size, 25_000_000 // c.batch_size, c.masks
        self.ema = {"generator": c.ema}
        self.discriminators = Discriminators(c.size, c.width, c.limit, c.group)
        self.perceptual = PerceptualLoss(features)
        self.lazy = Lazy(c.r1_every)
        self.register_buffer("centre", torch.zeros(c.code))

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, every=4),  # as released
            "discriminator": lazy_adam(self.discriminators.parameters(), c.learning_rate, c.r1_every),
        }

    def draw(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """Completions (final, first) of random codes, which are moved towards their mean."""
        c, generator = self.config, self.method.generator
        codes = mixed_codes(generator.mapping, noise, c.code, generator.codes, c.mixing)
        with torch.no_grad():
            self.centre.lerp_(across.mean(codes[:, 0].mean(0)).to(self.centre), 0.005)
        codes = self.centre.lerp(codes, c.truncation)
        return generator(batch.masked, batch.mask, codes, **generator.random(noise))

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        losses = self.improve_discriminators(batch, update, noise)
        c = self.config
        final, first = self.draw(batch, noise)
        for name, logits in zip(("final", "first"), self.discriminators(final, first, batch.mask), strict=True):
            losses[name] = nonsaturating(logits)
        losses["perceptual"] = self.perceptual(final, batch.image)
        total = losses["final"] + losses["first"] + c.perceptual * losses["perceptual"]
        if c.l1:
            losses["l1"] = F.l1_loss(final, batch.image) + F.l1_loss(first, batch.image)
            total = total + c.l1 * losses["l1"]
        update("generator", total)
        return losses

    def improve_discriminators(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        """One step of both, and where it is due another one on gamma / 2 |dD(x)/dx|² of the images, not their masks."""
        c, judge = self.config, self.discriminators
        with torch.no_grad():
            fakes = self.draw(batch, noise)
        real, fake = judge(batch.image, batch.image, batch.mask), judge(*fakes, batch.mask)
        losses = {"discriminator": logistic(real[0], fake[0]) + logistic(real[1], fake[1])}
        update("discriminator", losses["discriminator"])
        if self.lazy.due():
            image = batch.image.detach().requires_grad_()
            with differentiable_twice():
                logits = judge(image, image, batch.mask)
            losses["r1"] = r1(logits[0], image) + r1(logits[1], image)
            update("discriminator", c.r1_every * c.gamma / 2 * losses["r1"])
        return losses
