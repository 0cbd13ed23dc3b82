"""RGTSI's training: all networks at once, judged as a whole and in a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.rgtsi.networks import Discriminator
from baselines.rgtsi.smoothing import structure
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.init import normal_init
from bench.nn.references import references
from bench.nn.repeated_vgg import RepeatedFeatureLoss
from bench.nn.schedule import ScheduledAdam, falling

if TYPE_CHECKING:
    from baselines.rgtsi import RGTSI


class RGTSIStage(Stage):
    """The discriminators are updated first, then all networks that complete images."""

    method: RGTSI
    iterations = 3_600_000  # 120 epochs of CelebA-HQ's 30,000 pictures
    mirrored = False  # as published

    def __init__(self, method: RGTSI, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.ema = {"generator": config.ema} if config.ema else {}
        self.whole, self.part = (normal_init(Discriminator(config.discriminator_width)) for _ in range(2))
        self.features = RepeatedFeatureLoss(features)

    def optimisers(self) -> dict[str, Optimizer]:
        generator = [p for p in self.method.generator.parameters() if p.requires_grad]
        judges = [*self.whole.parameters(), *self.part.parameters()]
        rate, constant = self.config.learning_rate, 20 / 120  # epochs
        return {
            name: ScheduledAdam(parameters, rate, (0.5, 0.999), self.steps, falling(constant))
            for name, parameters in {"generator": generator, "discriminators": judges}.items()
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, real = self.config, batch.image
        output, *inferred = self.method.infer(batch, references(real, noise, c.itself))
        place = noise.once(), noise.once()

        def judged(images: Tensor) -> list[Tensor]:
            return [self.whole(images), self.part(crop(images, c.crop, place))]

        def relative(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
            return torch.stack([relativistic(*pair) for pair in zip(ours, theirs, strict=True)]).sum()

        losses = {"discriminators": relative(judged(real), judged(output.detach()))}
        update("discriminators", losses["discriminators"])

        with torch.no_grad():
            true = judged(real)
        losses["generator"] = relative(judged(output), true)
        losses["l1"] = F.l1_loss(output, real)
        losses["perceptual"], losses["style"] = self.features(output, real)
        losses["inference"] = self.inference(real, *inferred)
        weights = {
            "generator": c.gan, "l1": c.l1, "perceptual": c.perceptual, "style": c.style, "inference": c.inference,
        }  # fmt: skip
        update("generator", torch.stack([weight * losses[name] for name, weight in weights.items()]).sum())
        return losses

    def inference(self, real: Tensor, texture: Tensor, structures: Tensor) -> Tensor:
        """L1 of the small pictures of texture and structure, against the original and its smoothed copy."""
        c, head, size = self.config, self.method.head, texture.shape[2:]
        smooth = structure(real, c.smoothing, c.smoothing_steps)
        targets = (F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (real, smooth))
        pairs = zip((texture, structures), targets, strict=True)
        return torch.stack([F.l1_loss(head(x), target) for x, target in pairs]).sum()


def relativistic(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average least squares of a discriminator (Jolicoeur-Martineau, 2019), halved.

    What is real shall score 1 more than the mean of what is fake, and the other way round. A generator's loss is the
    same with both exchanged.
    """
    real_mean, fake_mean = (across.mean(logits.mean()) for logits in (real, fake))
    return ((real - fake_mean - 1).square().mean() + (fake - real_mean + 1).square().mean()) / 2


def crop(images: Tensor, side: int, place: tuple[float, float]) -> Tensor:
    """A square of the images, the same of all; `place`: where it begins on each axis, of what is possible."""
    top, left = (int(share * (n - side + 1)) for share, n in zip(place, images.shape[2:], strict=True))
    return images[:, :, top : top + side, left : left + side]
