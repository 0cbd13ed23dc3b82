"""FACEMUG's training: the style encoder, the latent warping, then the generator; how modalities are masked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.arcface import IdentityLoss
from baselines.e4e import E4EStage
from baselines.psp import resized
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.augment import diff_augment
from bench.nn.losses import nonsaturating
from bench.nn.perceptual import Frozen, PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Adversary, lazy_adam
from methods.facemug.networks import shown, stacked

if TYPE_CHECKING:
    from methods.facemug import FACEMUG


class Likeness(Frozen):
    """How unlike two faces are: identity (ResNet-101) and LPIPS (VGG-16)."""

    def __init__(self, features: Source):
        super().__init__()
        self.identity, self.lpips = IdentityLoss(features, "resnet101"), PerceptualDistance(features)


class EncoderStage(E4EStage):
    """Algorithm 3: e4e's training on masked modalities; the codes should give the whole picture."""

    name, iterations = "encoder", 200_000
    fresh = False

    def __init__(self, method: FACEMUG, features: Source):
        c, e4e = method.config, method.styles.config
        changed = {"identity": c.encoder_identity, "start": c.encoder_start, "every": c.encoder_every}
        super().__init__(method.styles, features, e4e.model_copy(update=changed))
        self.batch_size, self.masks, self.guides, self.share = c.batch_size, c.masks, c.modalities, c.shares[0]
        self.mirrored = not self.guides
        self.dropping = c.dropping

    def source(self, batch: Batch) -> Tensor:
        return resized(stacked(batch), self.config.pixels)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        return super().step(self.seen(batch, noise), update, noise)

    def seen(self, batch: Batch, noise: Noise) -> Batch:
        """The batch as the encoder is shown it: one modality, the image among them, inside the mask.

        dropping `released`: each other one inside another mask, or, half the time, not at all. `thesis`: not at all.
        """
        names = ("image", *self.guides)
        chosen = names[int(noise.once() * len(names))]
        masks = {name: self.minor(batch.mask, noise) for name in names} | {chosen: batch.mask}
        return shown(replace(batch, mask=1 - masks["image"]), masks)

    def minor(self, mask: Tensor, noise: Noise) -> Tensor:
        """Where a modality that is not the chosen one is seen."""
        if self.dropping == "thesis":
            return torch.zeros_like(mask)
        return others(mask, noise) * (noise.uniform(1, 1, 1) < 0.5)


class WarpingStage(Stage):
    """Algorithm 4: codes between a picture's and its mirror's regain the pose of the picture, seen in other colours."""

    method: FACEMUG
    name, iterations = "warping", 200_000

    def __init__(self, method: FACEMUG, likeness: Likeness):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.masks, self.share = c.batch_size, c.masks, c.shares[1]
        self.likeness = likeness

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {"warping": Adam(self.method.warping.parameters(), c.learning_rate, (c.beta1, 0.99))}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, styles, image = self.config, self.method, self.method.styles, batch.image
        styles.eval()  # the statistics of its normalisation stay
        with torch.no_grad():
            own, mirrored = (styles.exemplar_codes(images) for images in (image, image.flip(3)))
            target = styles.exemplar_codes(augmented(image, noise))
        source = mirrored.lerp(own, noise.uniform(1, 1))
        warped = method.warp(target, source)
        output = F.adaptive_avg_pool2d(styles.decode(warped, noise), image.shape[-1])
        losses = {
            "identity": self.likeness.identity(output, image).mean(),
            "lpips": self.likeness.lpips(output, image).mean(),
            "attribute": F.mse_loss(warped, own),
        }
        update("warping", c.warp * torch.stack([*losses.values()]).sum())
        return losses


class GeneratorStage(Stage):
    """Algorithm 5: guided by the picture's own style and modalities, or by another face's style alone."""

    method: FACEMUG
    name, iterations = "generator", 800_000

    def __init__(self, method: FACEMUG, likeness: Likeness):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.masks, self.guides, self.share = c.batch_size, c.masks, c.modalities, c.shares[2]
        self.mirrored = not self.guides
        self.ema = {"generator": c.ema}
        self.adversary = Adversary(Discriminator(c.size, Width(c.width, c.limit)), c.gamma, c.r1_every)
        self.likeness = likeness

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": Adam(self.method.generator.parameters(), c.learning_rate, (c.beta1, 0.99)),
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every, c.beta1),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, styles = self.config, self.method, self.method.styles
        styles.eval()
        itself = noise.once() < c.rho
        exemplar = batch.image if itself else others(batch.image, noise)
        given = self.guided(batch, noise) if itself else shown(batch, {})
        with torch.no_grad():
            posed, style = styles.codes(stacked(given)), styles.exemplar_codes(exemplar)
            if c.diversity and not itself:
                style = method.random_codes(noise).lerp(style, noise.uniform(1, 1))
        output = batch.composite(method.draw(given, style, posed, noise))

        losses = self.adversary.improve(batch.image, output, update)
        losses |= {
            "generator": nonsaturating(self.adversary(output)),
            "identity": self.likeness.identity(output, exemplar).mean(),
            "attribute": F.mse_loss(styles.exemplar_codes(output), style),
        }
        total = losses["generator"] + c.identity * losses["identity"] + c.attribute * losses["attribute"]
        if itself:
            losses["lpips"] = across.total(self.likeness.lpips(output, batch.image))
            total = total + c.lpips * losses["lpips"]
        update("generator", total)
        return losses

    def guided(self, batch: Batch, noise: Noise) -> Batch:
        """The batch with each modality inside the hole and a mask of its own, or, now and then, without it."""

        def seen() -> Tensor:
            return batch.mask * others(batch.mask, noise) * (noise.uniform(1, 1, 1) < self.config.omega)

        return shown(batch, {name: seen() for name in self.config.modalities})


def others(x: Tensor, noise: Noise) -> Tensor:
    """What belongs to another image of the batch, for each: all (N, ...) shifted by a random number of places."""
    every = across.whole(x)
    return across.part(every.roll(1 + int(noise.once() * (len(every) - 1)), 0))


def augmented(images: Tensor, noise: Noise) -> Tensor:
    """The augmentation of algorithm 4: a little larger or smaller, other colours, half of the side covered."""
    return cutout(diff_augment(rescaled(images, noise), noise, shift=0), noise)


def rescaled(images: Tensor, noise: Noise, most: float = 1 / 16) -> Tensor:
    """Each image larger or smaller by a factor 1 ± `most`, bilinear, at the old size.

    What is too large is cut off evenly; what is too small stands at a random place, with a mirrored border.
    """
    factor = 1 - most + 2 * most * noise.uniform()
    place = (2 * noise.uniform(2) - 1) * (1 - factor).clamp_min(0)[:, None]
    theta = torch.zeros(len(images), 2, 3, device=images.device, dtype=images.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / factor
    theta[:, :, 2] = place / factor[:, None]
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def cutout(images: Tensor, noise: Noise, share: float = 0.5) -> Tensor:
    """DiffAugment's region masking (Zhao et al., 2020): a square of `share` of the side, anywhere, becomes 0.

    Its middle is a random pixel, so that it may reach over the border.
    """
    height, width = images.shape[2:]
    side = round(height * share)
    top, left = (torch.floor(noise.uniform(1) * n) - side // 2 for n in (height, width))
    rows, columns = (torch.arange(n, device=images.device) for n in (height, width))
    covered = ((rows >= top) & (rows < top + side))[:, None, :, None]
    covered = covered & ((columns >= left) & (columns < left + side))[:, None, None, :]
    return images.masked_fill(covered, 0)
