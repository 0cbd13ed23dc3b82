"""Training of GFP-GAN: pictures against a discriminator, eyes and mouths against others, the person by a recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer
from torchvision.ops import roi_align
from torchvision.transforms import functional as change

from baselines.gfpgan.networks import ComponentDiscriminator, resampled
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.arcface18 import LUMA, Embeddings18
from bench.nn.linear_features import LinearFeatureLoss
from bench.nn.losses import logistic, nonsaturating
from bench.nn.milestones import MilestoneAdam
from bench.nn.perceptual import gram
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Adversary

if TYPE_CHECKING:
    from baselines.gfpgan import GFPGAN, GFPGANConfig

LAYERS = {"relu1_2": 0.1, "relu2_2": 0.1, "relu3_4": 1.0, "relu4_4": 1.0, "relu5_4": 1.0}
COMPONENTS = {"left eye": (36, 42), "right eye": (42, 48), "mouth": (48, 68)}  # of the 68 landmarks, from and to
LEAST = 1 / 32  # of the image's side: half a box is not smaller


class GFPGANStage(Stage):
    """One stage: the U-Net with its heads; StyleGAN2 is fixed."""

    method: GFPGAN
    guides = ("landmarks",)
    iterations = 800_000
    milestones = 600_000 / 800_000, 700_000 / 800_000  # the learning rates are halved
    count: Tensor  # iterations

    def __init__(self, method: GFPGAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.degradation = c.batch_size, c.degradation
        self.ema = {"generator": c.ema}
        # multiplier 1, whatever the generator's
        self.adversary = Adversary(Discriminator(c.size, Width(c.judge_width, c.limit)), c.gamma, c.r1_every)
        self.components = torch.nn.ModuleList(ComponentDiscriminator(c.component_width) for _ in COMPONENTS)
        self.features = LinearFeatureLoss(LAYERS, features)
        self.recogniser = Embeddings18(features)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def optimisers(self) -> dict[str, Optimizer]:
        rate, lazy, steps = self.config.learning_rate, self.config.r1_every, self.steps
        ratio = lazy / (lazy + 1)
        ends = self.milestones
        return {
            "generator": MilestoneAdam(self.method.generator.learned(), rate, (0.0, 0.99), steps, ends),
            "discriminator": MilestoneAdam(
                self.adversary.parameters(), rate * ratio, (0.0, 0.99**ratio), round(steps / ratio), ends
            ),
            "components": MilestoneAdam(self.components.parameters(), rate, (0.9, 0.99), steps, ends),
        }

    def cut(self, images: Tensor, landmarks: Tensor) -> list[Tensor]:
        """The left and right eye and the mouth of each image: (N, 3, eye, eye) twice, (N, 3, mouth, mouth)."""
        c, found = self.config, []
        for name, (first, last) in COMPONENTS.items():
            side, larger = (c.mouth, 1.0) if name == "mouth" else (c.eye, c.enlarge)
            around = boxes(landmarks[:, first:last], larger, LEAST * images.shape[-1])
            found.append(roi_align(images, list(around[:, None]), side, aligned=True))
        return found

    def pyramid(self, pictures: Sequence[Tensor], target: Tensor) -> Tensor:
        """L1 between the U-Net's pictures, coarse to fine, and the target at their sizes; the sum over the sizes.

        The published weight falls to 1e-12 after a while; here the loss ends.
        """
        loss = target.new_zeros(())
        for picture in reversed(pictures):
            loss = loss + F.l1_loss(picture, target)
            target = resampled(target, 0.5)
        return loss

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, generator = self.config, self.method.generator
        degraded, target = discoloured(batch.need("degraded"), batch.image, c, noise)
        codes, maps = generator.encode(degraded)
        output = generator.decode(codes, maps, self.method.noise_maps(noise))
        perceptual, style = self.features(output, target)
        with torch.no_grad():
            person = self.recogniser(target)
        losses = {
            "l1": F.l1_loss(output, target),
            "perceptual": perceptual,
            "style": style,
            "generator": nonsaturating(self.adversary(output)),
            "identity": F.l1_loss(self.recogniser(output), person),
        }
        total = c.l1 * losses["l1"] + c.perceptual * perceptual + c.style * style
        total = total + c.adversarial * losses["generator"] + c.identity * losses["identity"]
        if int(self.count) < c.pyramid * (self.steps or self.iterations):
            losses["pyramid"] = self.pyramid(generator.pictures(maps), target)
            total = total + losses["pyramid"]
        self.count += 1

        landmarks = batch.need("landmarks")
        real, fake = self.cut(target, landmarks), self.cut(output, landmarks)
        judged, known = self.judge(fake), self.judge(real)
        losses["component"] = torch.stack([nonsaturating(logits) for logits, _ in judged]).sum()
        losses["component style"] = torch.stack(
            [component_style(ours, theirs) for (_, ours), (_, theirs) in zip(judged, known, strict=True)]
        ).sum()
        total = total + c.component * losses["component"] + c.component_style * losses["component style"]
        update("generator", total)

        losses |= self.adversary.improve(target, output, update)
        judged = self.judge([part.detach() for part in fake])
        losses["components"] = torch.stack(
            [logistic(true, false) for (true, _), (false, _) in zip(known, judged, strict=True)]
        ).sum()
        update("components", losses["components"])
        return losses

    def judge(self, parts: Sequence[Tensor]) -> list[tuple[Tensor, list[Tensor]]]:
        """What the discriminators of the components say of them, and the maps that style is compared on."""
        return [network(part) for network, part in zip(self.components, parts, strict=True)]


def boxes(points: Tensor, enlarge: float, least: float) -> Tensor:
    """Squares (N, 4), left, top, right, bottom, around the mean of points (N, K, 2).

    Half a side is half the longer side of the points' own box, at least `least`, times `enlarge`.
    """
    centre = points.mean(1)
    half = ((points.amax(1) - points.amin(1)).amax(1, keepdim=True) / 2).clamp_min(least) * enlarge
    return torch.cat([centre - half, centre + half], dim=1)


def component_style(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """L1 of Gram matrices: half of that of the finer maps, and that of the coarser ones."""
    fine, coarse = (F.l1_loss(gram(a), gram(b.detach())) for a, b in zip(ours, theirs, strict=True))
    return 0.5 * fine + coarse


def discoloured(degraded: Tensor, clean: Tensor, config: GFPGANConfig, noise: Noise) -> tuple[Tensor, Tensor]:
    """Some degraded images in other colours, rounded to 8 bits, and few pairs in grey; all in [-1, 1]."""
    c = config
    if not c.jitter and not c.grey:
        return degraded, clean
    x, luma = (degraded + 1) / 2, torch.tensor(LUMA).to(clean).view(1, 3, 1, 1)
    shift = (2 * noise.uniform(3, 1, 1) - 1) * c.shift / 255
    x = torch.where(noise.uniform(1, 1, 1) < c.jitter, (x + shift).clamp(0, 1), x)
    grey = noise.uniform(1, 1, 1) < c.grey
    x, clean = (torch.where(grey, (y * luma).sum(1, keepdim=True), y) for y in (x, clean))
    chosen, strengths, order = noise.uniform(1) < c.jitter, noise.uniform(4), noise.uniform(4).argsort(1)
    x = torch.stack(
        [
            jittered(image, *numbers) if yes else image
            for image, yes, numbers in zip(
                x, chosen[:, 0].tolist(), zip(strengths.tolist(), order.tolist(), strict=True), strict=True
            )
        ]
    )
    return (x * 255).round().clamp(0, 255) / 127.5 - 1, clean


def jittered(image: Tensor, strengths: Sequence[float], order: Sequence[int]) -> Tensor:
    """An image (3, H, W) in [0, 1] in other brightness, contrast, saturation and hue, in that order of changes."""
    changes = (
        lambda x, u: change.adjust_brightness(x, 0.5 + u),
        lambda x, u: change.adjust_contrast(x, 0.5 + u),
        lambda x, u: change.adjust_saturation(x, 1.5 * u),
        lambda x, u: change.adjust_hue(x, 0.2 * u - 0.1),
    )
    for number in order:
        image = changes[number](image, strengths[number])
    return image
