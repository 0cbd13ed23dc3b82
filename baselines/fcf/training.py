"""FcF's training: adversarial, reconstruction and perceptual losses on composites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.dilated_resnet import SegmentationLoss
from bench.nn.losses import differentiable_twice, logistic, nonsaturating, r1
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Lazy, lazy_adam

if TYPE_CHECKING:
    from baselines.fcf import FcF


class FcFStage(Stage):
    """Joint training of the generator and of StyleGAN2's discriminator, which sees the mask, too."""

    method: FcF

    def __init__(self, method: FcF, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations, self.masks = c.batch_size, 25_000_000 // c.batch_size, c.masks
        self.ema = {"generator": c.ema}
        self.discriminator = Discriminator(c.size, Width(c.width, c.limit), channels=4, clamp=c.clamp)
        self.penalty = Lazy(c.r1_every)
        self.perceptual = SegmentationLoss(features)

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": Adam(self.method.generator.parameters(), c.learning_rate, (0.0, 0.99)),
            "discriminator": lazy_adam(self.discriminator.parameters(), c.learning_rate, c.r1_every),
        }

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        return equalised(distorted(images, noise, self.config.distortion), noise, self.config.contrast)

    def judge(self, images: Tensor, mask: Tensor) -> Tensor:
        """Logits (N, 1)."""
        return self.discriminator(torch.cat([0.5 - mask, images], dim=1))

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = batch.composite(self.method.draw(batch, noise))
        losses = {"discriminator": logistic(self.judge(batch.image, batch.mask), self.judge(fake, batch.mask))}
        update("discriminator", losses["discriminator"])
        c = self.config
        if self.penalty.due():
            real = batch.image.detach().requires_grad_()
            with differentiable_twice():
                logits = self.judge(real, batch.mask)
            losses["r1"] = r1(logits, real)
            update("discriminator", c.r1_every * c.gamma / 2 * losses["r1"])
        fake = batch.composite(self.method.draw(batch, noise))
        losses |= {
            "generator": nonsaturating(self.judge(fake, batch.mask)),
            "l1": F.l1_loss(fake, batch.image),
            "perceptual": self.perceptual(((fake + 1) / 2).clamp(0, 1), (batch.image + 1) / 2).sum(),
        }
        update("generator", losses["generator"] + c.l1 * losses["l1"] + c.perceptual * losses["perceptual"])
        return losses


def distorted(images: Tensor, noise: Noise, limit: float) -> Tensor:
    """albumentations' optical distortion of half of the square images, mirrored at the edges.

    A point at r from the middle shows what was at r (1 + k r² + k r⁴), and half a pixel further on both axes: its lens
    is centred at W / 2, what OpenCV makes of it at (W - 1) / 2. r counts in widths; k is drawn from ± `limit`.
    """
    if not limit:
        return images
    k, chosen = limit * (2 * noise.uniform(1, 1, 1) - 1), noise.uniform(1, 1, 1) < 0.5
    width = images.shape[3]
    along = torch.arange(width, device=images.device) / width - (width - 1) / (2 * width)
    place = torch.stack(torch.meshgrid(along, along, indexing="xy"), dim=-1)[None]  # (1, H, W, 2)
    square = place.square().sum(dim=-1, keepdim=True)
    pixel = width * (place * (1 + k * (square + square.square())) + 0.5)
    grid = (2 * pixel / (width - 1) - 1).to(images.dtype)
    return torch.where(chosen, F.grid_sample(images, grid, padding_mode="reflection", align_corners=True), images)


def equalised(images: Tensor, noise: Noise, limit: float) -> Tensor:
    """CLAHE of the lightness (8 x 8 tiles) of half of the images, its clip limit drawn from 1 to `limit`."""
    if limit <= 1:
        return images
    images = images.clone()
    for image, (chance, strength) in zip(images, noise.uniform(2).tolist(), strict=True):
        if chance < 0.5:
            pixels = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
            lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
            lab[..., 0] = cv2.createCLAHE(1 + (limit - 1) * strength, (8, 8)).apply(lab[..., 0])
            changed = torch.from_numpy(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)).permute(2, 0, 1)
            image.copy_(changed / 127.5 - 1)
    return images
