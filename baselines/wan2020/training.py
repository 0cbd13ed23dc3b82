"""Training: both autoencoders, the mapping between their latents, then the face stage on what these restore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.multiscale import Discriminator, VGGLoss, least_squares, matching
from bench.nn.schedule import ScheduledAdam, falling

if TYPE_CHECKING:
    from baselines.wan2020 import Wan2020

GRAIN = 0.1  # deviation, in images from -1 to 1


def painted(images: Tensor, mask: Tensor) -> Tensor:
    """Images (N, 3, H, W) with white scratches where mask (N, 1, H, W) is 1."""
    return images * (1 - mask) + mask


def aged(images: Tensor, noise: Noise) -> Tensor:
    """Images (N, 3, H, W), with even sides, as old photos: blurred, with the grain of a film."""
    blurred = F.interpolate(F.avg_pool2d(images, 2), images.shape[2:], mode="bilinear", align_corners=False)
    return (blurred + GRAIN * noise.normal(1, *images.shape[2:])).clamp(-1, 1)


class WanStage(Stage):
    """What all stages share: a discriminator of pictures at two scales, and the losses of a picture."""

    method: Wan2020
    epochs = (100, 100)  # at the full rate, and falling to 0
    rates = (1.0, 1.0)  # factors of the learning rate: of what is trained, of discriminators
    betas = (0.5, 0.999)

    def __init__(self, method: Wan2020, features: Source, beside: int = 0, spectral: bool = False):
        super().__init__(method)
        c = self.config = method.config
        self.share, self.batch_size = c.share(self.name), c.batch_size(self.name)
        self.judge = Discriminator(3 + beside, c.judge_width, spectral=spectral)
        self.look = VGGLoss(features)

    def adams(self, network: nn.Module, **judges: nn.Module) -> dict[str, Optimizer]:
        """The optimisers of a network, and of the discriminators by their names."""
        constant = self.epochs[0] / sum(self.epochs)

        def adam(trained: nn.Module, factor: float) -> Optimizer:
            rate = factor * self.config.learning_rate
            return ScheduledAdam(trained.parameters(), rate, self.betas, self.steps, falling(constant))

        mine, theirs = self.rates
        judges = {"discriminator": self.judge, **judges}
        return {"generator": adam(network, mine)} | {name: adam(judge, theirs) for name, judge in judges.items()}

    def compare(self, output: Tensor, image: Tensor, beside: Sequence[Tensor] = ()) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a picture, and its terms and the discriminator's loss by their names."""
        c = self.config
        real, fake = (self.judge(torch.cat([*beside, picture], dim=1)) for picture in (image, output))
        losses = {
            "adversarial": least_squares(fake, True),
            "matching": matching(fake, real),
            "perceptual": self.look(output, image),
            "pixels": F.l1_loss(output, image),
        }
        total = torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum()
        judged = self.judge(torch.cat([*beside, output.detach()], dim=1))
        losses["discriminator"] = (least_squares(real, True) + least_squares(judged, False)) / 2
        return total, losses


class CleanStage(WanStage):
    """VAE B, of clean pictures: reconstruction from latents with noise, KL divergence, LSGAN."""

    name = "vae_b"

    def __init__(self, method: Wan2020, features: Source):
        super().__init__(method, features)

    def optimisers(self) -> dict[str, Optimizer]:
        return self.adams(self.method.vae_b)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        vae = self.method.vae_b
        z = vae.encoder(batch.image)
        total, losses = self.compare(vae.decoder(z + noise.normal(*z.shape[1:])), batch.image)
        losses["kl"] = z.square().mean()
        update("generator", total + self.config.kl * losses["kl"])
        update("discriminator", losses["discriminator"])
        return losses


class PhotoStage(WanStage):
    """VAE A, of old photos and synthetic ones; a discriminator should take latents of old ones for synthetic ones."""

    name = "vae_a"

    def __init__(self, method: Wan2020, features: Source):
        super().__init__(method, features)
        self.degradation = self.config.degradation
        self.latent_judge = Discriminator(self.config.width, self.config.judge_width, scales=1)

    def optimisers(self) -> dict[str, Optimizer]:
        return self.adams(self.method.vae_a, latents=self.latent_judge)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        vae, degraded = self.method.vae_a, batch.need("degraded")
        old = (noise.uniform(1, 1, 1) < self.config.old).to(degraded.dtype)
        photo = torch.lerp(degraded, aged(batch.image, noise), old)
        z = vae.encoder(photo)
        total, losses = self.compare(vae.decoder(z + noise.normal(*z.shape[1:])), photo)
        losses["kl"] = z.square().mean()
        # old photos should look synthetic; synthetic ones are what they should look like
        count = across.mean(old.mean())
        losses["merging"] = (old * self.latent_judge(z)[0][-1].square()).mean() / (count + 1e-12)
        update("generator", total + self.config.kl * losses["kl"] + self.config.merging * losses["merging"])
        losses["latents"] = (self.latent_judge(z.detach())[0][-1] - old).square().mean() / 2
        update("discriminator", losses["discriminator"])
        update("latents", losses["latents"])
        return losses


class MappingStage(WanStage):
    """The mapping from latents of A to those of B; both autoencoders stay as they are."""

    name = "mapping"
    epochs = (150, 100)

    def __init__(self, method: Wan2020, features: Source):
        self.scratched = method.config.scratched
        super().__init__(method, features, beside=3, spectral=self.scratched)
        self.degradation = self.config.degradation
        self.ema = {"generator": self.config.ema} if self.config.ema else {}
        if self.config.ttur and not self.scratched:  # two time-scales
            self.rates, self.betas = (0.5, 2.0), (0.0, 0.9)

    def optimisers(self) -> dict[str, Optimizer]:
        return self.adams(self.method.mapping)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        method, degraded = self.method, batch.need("degraded")
        for vae in (method.vae_a, method.vae_b):
            vae.eval()
        if self.scratched:
            degraded = painted(degraded, batch.mask)
        with torch.no_grad():
            z, target = method.vae_a.encoder(degraded), method.vae_b.encoder(batch.image)
        mapped = method.mapping(z, batch.mask)
        total, losses = self.compare(method.vae_b.decoder(mapped), batch.image, [degraded])
        losses["latent"] = F.l1_loss(mapped, target)
        update("generator", total + self.config.latent * losses["latent"])
        update("discriminator", losses["discriminator"])
        return losses


class DetectorStage(Stage):
    """The scratch detector, on white strokes: binary cross entropy."""

    method: Wan2020
    name = "detector"

    def __init__(self, method: Wan2020):
        super().__init__(method)
        c = self.config = method.config
        self.share, self.batch_size, self.degradation = c.share(self.name), c.batch_size(self.name), c.degradation

    def optimisers(self) -> dict[str, Optimizer]:
        parameters, rate = self.method.detector.parameters(), self.config.learning_rate
        return {"detector": ScheduledAdam(parameters, rate, WanStage.betas, self.steps, falling())}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        logits = self.method.detector.look(painted(batch.need("degraded"), batch.mask))
        mask = F.interpolate(batch.mask, logits.shape[2:], mode="nearest")
        losses = {"scratches": F.binary_cross_entropy_with_logits(logits, mask)}
        update("detector", losses["scratches"])
        return losses


class FaceStage(WanStage):
    """The face generator, on what the global stage makes of degraded faces, which stays as it is."""

    name = "face"

    def __init__(self, method: Wan2020, features: Source):
        super().__init__(method, features, beside=3)
        self.degradation = self.config.degradation
        self.ema = {"generator": self.config.ema} if self.config.ema else {}

    def optimisers(self) -> dict[str, Optimizer]:
        return self.adams(self.method.face)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        with torch.no_grad():
            given = self.method.mended(batch.need("degraded"))
        total, losses = self.compare(self.method.face(given), batch.image, [given])
        update("generator", total)
        update("discriminator", losses["discriminator"])
        return losses
