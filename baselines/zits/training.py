"""Training of ZITS: structure transformer, upsampler, texture network alone, then with the structure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.lama import Discriminator, discriminator_losses
from bench.method import Batch, Noise, Stage, Update
from bench.nn.dilated_resnet import SegmentationLoss
from bench.nn.losses import feature_matching, nonsaturating

if TYPE_CHECKING:
    from baselines.zits import ZITS

Pace = Callable[[int], float]  # iterations done -> factor of the learning rate


class PacedAdam(Adam):
    """Adam whose learning rates follow a pace, one for each network, on gradients of a norm of at most `clip`."""

    def __init__(
        self,
        networks: Iterable[nn.Module],
        lr: float,
        paces: list[Pace],
        betas: tuple[float, float] = (0.9, 0.999),
        clip: float = math.inf,
    ):
        trained = ([p for p in network.parameters() if p.requires_grad] for network in networks)
        super().__init__([{"params": parameters} for parameters in trained], lr, betas)
        self.rate, self.paces, self.clip = lr, paces, clip
        for group in self.param_groups:
            group["updates"] = 0  # kept in checkpoints

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group, pace in zip(self.param_groups, self.paces, strict=True):
            group["lr"] = self.rate * pace(group["updates"])
            group["updates"] += 1
        if self.clip < math.inf:
            nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], self.clip)
        return super().step(closure)


def cosine(warmup: int, first: int, steps: int) -> Pace:
    """Grows linearly for `warmup` iterations, then falls to 1/10; a stage that begins at iteration `first` of `steps`.

    `steps` = 0, no end, is the full rate after the warm-up.
    """

    def pace(updates: int) -> float:
        done = first + updates
        if done < warmup or not steps:
            return min((done + 1) / max(warmup, 1), 1)
        return max(0.1, (1 + math.cos(math.pi * (done - warmup) / max(steps - warmup, 1))) / 2)

    return pace


def halved(every: int, warmup: int = 0) -> Pace:
    """Halved every so many iterations, after a linear warm-up."""
    return lambda updates: 0.5 ** (updates // every) * min((updates + 1) / max(warmup, 1), 1)


class ZITSStage(Stage):
    """What the stages share."""

    method: ZITS
    number: int  # among the stages

    def __init__(self, method: ZITS):
        super().__init__(method)
        c = self.config = method.config
        self.share, self.masks, self.batch_size = c.shares[self.number], c.masks, c.batch_size
        self.ema = {"generator": c.ema} if c.ema else {}


class StructureStage(ZITSStage):
    """The transformer learns edges and lines of holes: binary cross-entropy (section 3.2)."""

    name, number, iterations = "structure", 0, 675_000

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        first, second = (c.shares[i] / self.share for i in (0, 1))  # both stages follow one cosine
        pace = cosine(c.warmup, round(self.number * first * self.steps), round((first + second) * self.steps))
        return {"generator": PacedAdam([self.method.transformer], c.structure_rate, [pace], (0.9, 0.95), c.clip)}

    def supervised(self, mask: Tensor, noise: Noise) -> Tensor:
        """Where edges and lines are hidden, and learned."""
        return mask

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        side = self.config.side
        small = self.method.shrunk(batch)
        edge, line = self.method.drawn(batch, side, self.config.structure_sigma)
        hidden = self.supervised(small.mask, noise)
        logits = self.method.transformer(small.masked, edge, line, hidden)
        entropies = [
            (F.binary_cross_entropy_with_logits(x, target, reduction="none") * hidden).mean()
            for x, target in zip(logits, (edge, line), strict=True)
        ]
        update("generator", entropies[0] + entropies[1])
        return {"edge": entropies[0], "line": entropies[1]}


class IterativeStage(StructureStage):
    """The same where part of the hole may be known already, as in sampling: half of the masks are eroded."""

    name, number, iterations = "iterative", 1, 169_000

    def supervised(self, mask: Tensor, noise: Noise) -> Tensor:
        kernel = (5 + int(21 * noise.once())) * self.config.side // 256
        reach = max(kernel // 2, 1)
        eroded = -F.max_pool2d(-mask, 2 * reach + 1, 1, reach)
        return torch.where(noise.uniform(1, 1, 1) < 0.5, eroded, mask)


class UpsamplerStage(ZITSStage):
    """The upsampler learns drawings of half their size: binary cross-entropy of both its outputs."""

    name, number, iterations = "upsampler", 2, 50_000

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.method.upsampler.parameters(), self.config.structure_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        side, sigma = self.config.side, self.config.structure_sigma
        sizes = (side // 2, sigma / 2), (side, sigma)
        drawings = [torch.cat(self.method.drawn(batch, *size)) for size in sizes]
        logits = self.method.upsampler(drawings[0])
        losses = {
            "enlarged": F.binary_cross_entropy_with_logits(logits, drawings[1]),
            "shrunk": F.binary_cross_entropy_with_logits(self.method.upsampler.shrunk(logits), drawings[0]),
        }
        update("generator", losses["enlarged"] + losses["shrunk"])
        return losses


class BaseStage(ZITSStage):
    """The texture network alone, as LaMa is trained: a step of the generator, one of the discriminator."""

    name, number, iterations = "base", 3, 800_000

    def __init__(self, method: ZITS, discriminator: Discriminator, perceptual: SegmentationLoss):
        super().__init__(method)
        self.discriminator, self.perceptual = discriminator, perceptual

    def optimisers(self) -> dict[str, Optimizer]:
        return {
            "generator": Adam(self.method.generator.parameters(), self.config.base_rate),
            "discriminator": Adam(self.discriminator.parameters(), self.config.discriminator_rate),
        }

    def resized(self, batch: Batch, noise: Noise) -> Batch:
        """The batch at the size of the structure."""
        return sized(batch, self.config.side)

    def structure(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor] | None:
        """Edges and lines that guide the texture network."""
        return None

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        batch = self.resized(batch, noise)
        c, structure, real = self.config, self.structure(batch, noise), (batch.image + 1) / 2
        output = self.method.paint(batch, structure)
        logits, fake_maps = self.discriminator(output)
        with torch.no_grad():
            _, real_maps = self.discriminator(real)
        losses = {
            "l1": ((output - real).abs() * (1 - batch.mask + c.hole * batch.mask)).mean(),
            "perceptual": self.perceptual(output, real).sum(),
            "gan": nonsaturating(logits),
            "matching": feature_matching(fake_maps, real_maps),
        }
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        losses["discriminator"], losses["r1"] = discriminator_losses(
            self.discriminator, output.detach(), real, batch.mask
        )
        update("discriminator", losses["discriminator"] + c.r1 * losses["r1"])
        return losses


class TextureStage(BaseStage):
    """Texture network and structure encoder (section 3.3), on true structure first, later on predicted one."""

    name, number, iterations = "texture", 4, 50_000
    done: Tensor

    def __init__(self, method: ZITS, discriminator: Discriminator, perceptual: SegmentationLoss):
        super().__init__(method, discriminator, perceptual)
        self.batch_size = self.config.texture_batch_size
        self.register_buffer("done", torch.zeros((), dtype=torch.long))  # iterations; saved, so that a run can resume

    def optimisers(self) -> dict[str, Optimizer]:
        c, networks = self.config, (self.method.generator, self.method.encoder)
        paces = [halved(c.halving), halved(c.halving, c.encoder_warmup)]
        return {
            "generator": PacedAdam(networks, c.learning_rate, paces),
            "discriminator": PacedAdam([self.discriminator], c.discriminator_rate, [halved(c.halving)]),
        }

    def resized(self, batch: Batch, noise: Noise) -> Batch:
        """The batch at a random size between that of the structure and its own."""
        low, high = self.config.side // 8, batch.image.shape[3] // 8
        return sized(batch, 8 * (low + int(noise.once() * (high - low + 1))))

    def structure(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        c, side = self.config, max(batch.image.shape[2:])
        first, last = c.predicted
        if noise.once() >= (int(self.done) - first) / max(last - first, 1):
            return self.method.drawn(batch, side, c.sigma * (1 + (side / c.side - 1) / 4))
        shift, slope = (1.5 + 1.5 * noise.once() for _ in range(2))
        with torch.no_grad():
            return self.method.structure(batch, 1 + int(5 * noise.once()), shift, slope)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        losses = super().step(batch, update, noise)
        self.done += 1
        return losses


def sized(batch: Batch, side: int) -> Batch:
    """The batch at another size."""
    if side == batch.image.shape[3]:
        return batch
    image = F.interpolate(batch.image, (side, side), mode="bilinear", antialias=True).clamp(-1, 1)
    return replace(batch, image=image, mask=F.interpolate(batch.mask, (side, side), mode="nearest"))
