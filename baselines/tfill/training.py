"""Training of TFill: the coarse networks, then the refinement network on what they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from bench.method import Batch, Noise, Stage, Update
from bench.nn.augment import resized_crop
from bench.nn.losses import logistic, nonsaturating
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width

if TYPE_CHECKING:
    from baselines.tfill import TFill


class TFillStage(Stage):
    """What both stages share: StyleGAN2's discriminator, three losses on the networks' picture, not the composite."""

    method: TFill
    phase: int  # which of the two

    def __init__(self, method: TFill, side: int, distance: PerceptualDistance):
        super().__init__(method)
        c = self.config = method.config
        self.share, self.masks, self.batch_size = c.shares[self.phase], c.masks, c.batch_size
        self.iterations = 20_000_000 // c.batch_size
        self.ema = {"generator": c.ema} if c.ema else {}
        self.discriminator = Discriminator(side, Width(c.discriminator_width, c.discriminator_limit))
        self.distance = distance

    def trained(self) -> list[nn.Module]:
        """The networks that this stage trains."""
        raise NotImplementedError

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        parameters = [p for network in self.trained() for p in network.parameters()]
        return {
            "generator": Adam(parameters, c.learning_rate, (0.5, 0.9)),
            "discriminator": Adam(self.discriminator.parameters(), c.discriminator_rate, (0.5, 0.9)),
        }

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        return resized_crop(images, noise, (self.config.crop**2,) * 2, aspect=1) if self.config.crop < 1 else images

    def improve(self, output: Tensor, real: Tensor, known: Tensor, update: Update) -> dict[str, Tensor]:
        """Update the discriminator, then the generator, by pictures (N, 3, H, W); `known` is 1 in known pixels."""
        c = self.config
        losses = {"discriminator": logistic(self.discriminator(real), self.discriminator(output.detach()))}
        update("discriminator", losses["discriminator"])
        error = (output - real).abs()
        losses |= {
            "generator": nonsaturating(self.discriminator(output)),
            "reconstruction": (error * (c.hole * (1 - known) + known)).mean(),
            "perceptual": self.distance(output, real).mean(),
        }
        total = c.reconstruction * losses["reconstruction"] + c.perceptual * losses["perceptual"]
        update("generator", total + c.gan * losses["generator"])
        return losses


class CoarseStage(TFillStage):
    """Encoder, transformer and decoder, at the coarse size."""

    name, phase = "coarse", 0

    def __init__(self, method: TFill, distance: PerceptualDistance):
        super().__init__(method, method.config.coarse, distance)

    def trained(self) -> list[nn.Module]:
        return [self.method.encoder, self.method.transformer, self.method.decoder]

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        masked, known = self.method.shrunk(batch)
        output = self.method.draft(masked, known, noise)
        return self.improve(output, self.method.at_coarse_size(batch.image), known, update)


class RefineStage(TFillStage):
    """The refinement network, at the size of the images; the coarse networks stay as they are."""

    name, phase = "refine", 1

    def __init__(self, method: TFill, distance: PerceptualDistance):
        super().__init__(method, method.config.size, distance)

    def trained(self) -> list[nn.Module]:
        return [self.method.refiner]

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        known = 1 - batch.mask
        with torch.no_grad():
            coarse = self.method.coarse(batch, noise)
        return self.improve(self.method.refiner(batch.composite(coarse), known), batch.image, known, update)
