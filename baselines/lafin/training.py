"""Training of LaFIn: the landmark predictor, then the inpainter on true landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.lafin.networks import Discriminator, landmark_map
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import total_variation
from bench.nn.perceptual import FeatureLoss
from bench.nn.schedule import ScheduledAdam, falling

if TYPE_CHECKING:
    from baselines.lafin import LaFIn


class LandmarkStage(Stage):
    """The predictor alone, on pictures with holes: the norm of a face's 136 errors, in pixels."""

    method: LaFIn
    name = "landmarks"
    guides = ("landmarks",)
    coarse = 96 / 256  # of the side: what some pictures are resized to, and back
    coarsened = 0.2  # share of the pictures
    colours = (0.7, 1.3)  # factors of a channel

    def __init__(self, method: LaFIn):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.landmark_batch_size
        self.share = config.shares[0]
        self.ema = {"predictor": config.ema} if config.ema else {}

    def optimisers(self) -> dict[str, Optimizer]:
        c, parameters = self.config, self.method.predictor.parameters()
        rate, steps = c.landmark_rate, self.steps if c.falls else 0
        adam = ScheduledAdam(parameters, rate, (0.9, 0.999), steps, falling(0), weight_decay=c.landmark_decay)
        return {"predictor": adam}

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        """Some pictures lose their details, all change their colours."""
        height, width = images.shape[2:]
        small = F.interpolate(images, (round(height * self.coarse), round(width * self.coarse)), mode="bilinear")
        blurred = F.interpolate(small, (height, width), mode="bilinear")
        images = torch.where(noise.uniform(1, 1, 1) < self.coarsened, blurred, images)
        low, high = self.colours
        factors = low + (high - low) * noise.uniform(3, 1, 1)
        return ((images + 1) / 2 * factors).clamp(0, 1) * 2 - 1

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        error = (self.method.predict(batch) - batch.need("landmarks")).flatten(1).norm(dim=1).mean()
        update("predictor", error)
        return {"landmarks": error}


class InpaintStage(Stage):
    """The inpainter against the discriminator; both see the true landmarks."""

    method: LaFIn
    name = "inpaint"
    guides = ("landmarks",)
    iterations = 1_300_000

    def __init__(self, method: LaFIn, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.share = config.shares[1]
        self.ema = {"inpainter": config.ema} if config.ema else {}
        self.discriminator = Discriminator(config.discriminator_width)
        self.features = FeatureLoss(
            content=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
            style=("relu2_2", "relu3_4", "relu4_4", "relu5_2"),
            source=features,
            scaling="raw",
        )

    def optimisers(self) -> dict[str, Optimizer]:
        rate, steps = self.config.learning_rate, self.steps if self.config.falls else 0

        def adam(network: nn.Module, rate: float) -> Optimizer:
            return ScheduledAdam(network.parameters(), rate, (0.0, 0.9), steps, falling())

        return {
            "inpainter": adam(self.method.inpainter, rate),
            "discriminator": adam(self.discriminator, rate / 10),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        image, mask, c = (batch.image + 1) / 2, batch.mask, self.config
        points = batch.need("landmarks")
        landmarks, output = landmark_map(points, image), self.method.inpaint(batch, points)
        composite = output * mask + image * (1 - mask)

        def judged(picture: Tensor, real: bool) -> Tensor:
            """Least squares on probabilities."""
            probability = self.discriminator(torch.cat([picture, landmarks], dim=1))[-1].sigmoid()
            return (probability - float(real)).square().mean()

        losses = {
            "discriminator": (judged(image, True) + judged(output.detach(), False)) / 2,
            "generator": judged(output, True),
            "l1": F.l1_loss(output, image) / across.mean(mask.mean()),
            "perceptual": self.features(output * 2 - 1, batch.image)[0],
            "style": self.features(output * mask * 2 - 1, image * mask * 2 - 1)[1],
            "variation": total_variation(composite),
        }
        total = c.l1 * losses["l1"] + c.perceptual * losses["perceptual"] + c.style * losses["style"]
        update("inpainter", total + c.variation * losses["variation"] + c.gan * losses["generator"])
        update("discriminator", losses["discriminator"])
        return losses
