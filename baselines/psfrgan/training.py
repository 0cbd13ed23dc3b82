"""PSFR-GAN's training: the parsing network, then the generator by the parts that it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.psfrgan.networks import PARTS, Discriminator, one_hot
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import feature_matching, hinge
from bench.nn.perceptual import EmbeddedFeatures, Frozen, VGGFeatures, frozen

if TYPE_CHECKING:
    from baselines.psfrgan import PSFRGAN

LAYERS = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")
STYLED = 3  # of the layers, from the last one


class BeforeReLU(VGGFeatures):
    """VGG-19's maps of these layers, before their activation."""

    def __init__(self, layers: Sequence[str]):
        super().__init__(layers)
        self.indices = [index - 1 for index in self.indices]
        for layer in self.network:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False


class Styles(Frozen):
    """Perceptual loss, halved from layer to layer towards the picture, and style loss within each part of the face."""

    def __init__(self, source: Source):
        super().__init__()
        self.network = frozen(EmbeddedFeatures() if source == "embedded" else BeforeReLU(LAYERS))

    def forward(self, output: Tensor, target: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        """(perceptual, style) of images (N, 3, H, W) in [-1, 1] with parts (N, 19, H, W); scalars."""
        ours = self.network(output)
        with torch.no_grad():
            theirs = self.network(target)
        pairs = list(zip(ours, theirs, strict=True))
        shares = [*(2.0**-i for i in range(len(pairs), 1, -1)), 1.0]
        near = [share * F.mse_loss(a, b) for share, (a, b) in zip(shares, pairs, strict=True)]
        styles = [F.mse_loss(grams(a, parts), grams(b, parts)) for a, b in pairs[-STYLED:]]
        return torch.stack(near).sum(), torch.stack(styles).sum()


def grams(features: Tensor, parts: Tensor) -> Tensor:
    """Gram matrices (N, R, C, C) of maps within each of R parts, divided by C times the part's pixels."""
    inside = F.interpolate(parts, features.shape[2:], mode="nearest").flatten(2)  # (N, R, H W)
    flat = features.flatten(2)
    each = [(flat * one[:, None]) @ flat.transpose(1, 2) for one in inside.unbind(1)]
    count = features.shape[1] * inside.sum(2)
    return torch.stack(each, dim=1) / (count[:, :, None, None] + 1e-8)


def parts_of(labels: Tensor) -> Tensor:
    """Label maps (N, H, W) as parts (N, 19, H, W) in {0, 1}; pixels without a label belong to none."""
    return F.one_hot(labels.long(), PARTS + 1)[..., :PARTS].movedim(-1, 1).float()


class ParsingStage(Stage):
    """Stage one: the parts of degraded faces, and their pictures."""

    method: PSFRGAN
    name = "parsing"
    guides = ("semantics",)

    def __init__(self, method: PSFRGAN):
        super().__init__(method)
        self.config = method.config
        describe(self, 0)

    def optimisers(self) -> dict[str, Optimizer]:
        return {"parser": Adam(self.method.parser.parameters(), self.config.parsing_rate, (0.9, 0.999))}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        logits, picture = self.method.parser(batch.need("degraded"))
        labels = batch.need("semantics").long()
        count = across.mean((labels < PARTS).float().sum())
        losses = {
            "parts": F.cross_entropy(logits, labels, ignore_index=PARTS, reduction="sum") / (count + 1e-12),
            "pixels": F.l1_loss(picture, batch.image),
        }
        update("parser", losses["parts"] + losses["pixels"])
        return losses


class RestorationStage(Stage):
    """Stage two: generator and discriminator. The generator sees the parts that are found, all losses the true ones."""

    method: PSFRGAN
    name = "restoration"
    guides = ("semantics",)

    def __init__(self, method: PSFRGAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        describe(self, 1)
        self.ema = {"generator": c.ema} if c.ema else {}
        self.discriminator = Discriminator(c.judge_width, c.judge_halvings, c.judges)
        self.styles = Styles(features)

    def optimisers(self) -> dict[str, Optimizer]:
        c, betas = self.config, (0.5, 0.999)
        return {
            "generator": Adam(self.method.generator.parameters(), c.learning_rate, betas),
            "discriminator": Adam(self.discriminator.parameters(), 4 * c.learning_rate, betas),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, image = self.config, self.method, batch.image
        method.parser.eval()  # frozen: its batch norms keep their statistics
        parts = parts_of(batch.need("semantics"))
        degraded = batch.need("degraded")
        with torch.no_grad():
            found = one_hot(method.parser(degraded)[0])
        output = method.generator(degraded, found)
        real, fake = self.discriminator(image, parts), self.discriminator(output, parts)
        perceptual, style = self.styles(output, image, parts)
        losses = {
            "pixels": F.l1_loss(output, image),
            "matching": matching(fake, real),
            "generator": -torch.stack([judge[-1].mean() for judge in fake]).mean(),
            "style": style,
            "perceptual": perceptual,
        }
        total = c.pixels * losses["pixels"] + c.matching * losses["matching"] + c.gan * losses["generator"]
        total = total + c.style * style + c.perceptual * perceptual
        judged = self.discriminator(output.detach(), parts)
        each = [hinge(a[-1], b[-1]) for a, b in zip(real, judged, strict=True)]
        losses["discriminator"] = torch.stack(each).mean() / 2
        update("generator", total)
        update("discriminator", losses["discriminator"])
        return losses


def matching(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """Feature matching of what the judges give, by scale: the sum over a judge's maps, the mean over the judges."""
    each = [len(made[:-1]) * feature_matching(made[:-1], true[:-1]) for made, true in zip(fake, real, strict=True)]
    return torch.stack(each).mean()


def describe(stage: ParsingStage | RestorationStage, number: int) -> None:
    """What the harness asks of stage `number`: its data, its batch size, its share of the budget."""
    config = stage.config
    stage.degradation = config.degradation
    stage.batch_size, stage.iterations = config.batch_sizes[number], config.iterations[number]
    stage.share = stage.iterations / sum(config.iterations)
