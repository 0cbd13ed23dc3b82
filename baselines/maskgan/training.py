"""MaskGAN's training: the VAE of label maps, the generator alone, then the generator on label maps that it edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.maskgan.networks import LABELS, Blend, MaskVAE
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.celebamask import planes
from bench.nn.multiscale import Discriminator, VGGLoss, least_squares, matching
from bench.nn.schedule import ScheduledAdam, falling

if TYPE_CHECKING:
    from baselines.maskgan import MaskGAN, MaskGANConfig


class Aids(nn.Module):
    """The networks of training alone.

    Every stage keeps all of them: what one has trained the next finds, after an interruption, too.
    """

    def __init__(self, config: MaskGANConfig):
        super().__init__()
        self.vae = MaskVAE(config.vae_size, config.vae_width, config.code)
        self.blend = Blend(config.blend_width)
        self.judge = Discriminator(LABELS + 3, config.judge_width)


class MaskGANStage(Stage):
    """What all stages share."""

    method: MaskGAN
    guides = ("semantics",)
    number: int  # in the options' lists

    def __init__(self, method: MaskGAN, aids: Aids):
        super().__init__(method)
        c = self.config = method.config
        self.aids = aids
        self.batch_size, self.iterations = c.batch_sizes[self.number], c.iterations[self.number]
        self.share = self.iterations / sum(c.iterations)


class VAEStage(MaskGANStage):
    """The VAE of label maps: cross entropy and KL divergence."""

    name = "vae"
    number = 0

    def optimisers(self) -> dict[str, Optimizer]:
        return {"vae": Adam(self.aids.vae.parameters(), self.config.vae_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        vae = self.aids.vae
        labels = vae.seen(planes(batch.need("semantics")))
        mean, spread = vae.encode(labels)
        logits = vae.decode(mean + (spread / 2).exp() * noise.normal(self.config.code))
        losses = {
            # pixels without a label are in no plane, and do not count
            "labels": -(labels * logits.log_softmax(1)).sum() / (across.mean(labels.sum()) + 1e-12),
            "kl": (mean.square() + spread.exp() - 1 - spread).sum(1).mean() / 2,
        }
        update("vae", losses["labels"] + self.config.kl * losses["kl"])
        return losses


class GeneratorStage(MaskGANStage):
    """The generator alone: pictures from their own labels in their own style."""

    name = "generator"
    number = 1

    def __init__(self, method: MaskGAN, aids: Aids, look: VGGLoss):
        super().__init__(method, aids)
        self.look = look
        self.ema = {"generator": self.config.ema} if self.config.ema else {}

    def trained(self) -> list[nn.Parameter]:
        """The parameters beside the discriminator's."""
        return list(self.method.generator.parameters())

    def optimisers(self) -> dict[str, Optimizer]:
        def adam(parameters: list[nn.Parameter]) -> Optimizer:
            return ScheduledAdam(parameters, self.config.learning_rate, (0.5, 0.999), self.steps, falling())

        return {"generator": adam(self.trained()), "discriminator": adam(list(self.aids.judge.parameters()))}

    def pictures(self, image: Tensor, labels: Tensor) -> list[Tensor]:
        """What is compared with the image (N, 3, H, W), whose planes are `labels`."""
        return [self.method.generator(labels, labels, image)]

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, image, labels = self.config, batch.image, planes(batch.need("semantics"))

        def judged(picture: Tensor) -> list[list[Tensor]]:
            return self.aids.judge(torch.cat([labels, picture], dim=1))

        made, real = self.pictures(image, labels), judged(image)
        each = []
        for picture in made:
            fake = judged(picture)
            losses = {
                "adversarial": least_squares(fake, True),
                "matching": matching(fake, real),
                "perceptual": self.look(picture, image),
                "pixels": F.l1_loss(picture, image),
            }
            each.append(losses)
        losses = {name: torch.stack([one[name] for one in each]).sum() for name in each[0]}
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        fakes = torch.stack([least_squares(judged(picture.detach()), False) for picture in made]).mean()
        losses["discriminator"] = (least_squares(real, True) + fakes) / 2
        update("discriminator", losses["discriminator"])
        return losses


class EditingStage(GeneratorStage):
    """Editing behaviour (section 3.3): two maps near the picture's own, rendered and blended, give the picture again.

    The maps are drawn from z + d and z - d, z the code of the picture's labels; d leads to those of another picture.
    """

    name = "editing"
    number = 2

    def trained(self) -> list[nn.Parameter]:
        return [*self.method.generator.parameters(), *self.aids.blend.parameters()]

    def pictures(self, image: Tensor, labels: Tensor) -> list[Tensor]:
        generator = self.method.generator
        inner, outer = (generator(near, labels, image) for near in self.near(labels))
        return [*super().pictures(image, labels), self.aids.blend(inner, outer)]

    @torch.no_grad()
    def near(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Planes (N, 19, H, W) that were moved towards those of the next picture of the batch, and away from them."""
        vae = self.aids.vae.eval()
        z, _ = vae.encode(vae.seen(labels))
        others = across.part(across.whole(z).roll(1, 0))
        step = self.config.reach * (others - z)
        return vae.drawn(z + step, labels), vae.drawn(z - step, labels)


def stages(method: MaskGAN, features: Source) -> list[Stage]:
    """All stages in order."""
    aids, look = Aids(method.config), VGGLoss(features)
    return [VAEStage(method, aids), GeneratorStage(method, aids, look), EditingStage(method, aids, look)]
