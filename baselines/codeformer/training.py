"""CodeFormer's training: a VQGAN on clean faces, its codes from degraded ones, then the fusion with the encoder."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.data.dataset import floats
from bench.data.degradation import degrade
from bench.method import Batch, Noise, Source, Stage, Update
from bench.metrics.images import to_uint8
from bench.nn.perceptual import PerceptualDistance
from bench.nn.schedule import Schedule, ScheduledAdam, cosine, halved, part
from bench.nn.vqgan import Adversary, LateCodes, PatchDiscriminator

if TYPE_CHECKING:
    from baselines.codeformer import CodeFormer, CodeFormerConfig

BETAS = (0.9, 0.99)
EVERY = 15  # at the end of the last stage, iterations with a light degradation
FROM = 4 / 7  # of the last stage


def adversary(c: CodeFormerConfig, weight: float, start: float) -> Adversary:
    return Adversary(PatchDiscriminator(c.discriminator_width, c.halvings), weight, 1.0, start)


class CodeFormerStage(Stage):
    """What the stages share: their place in the budget, and Adam."""

    method: CodeFormer

    def __init__(self, method: CodeFormer, name: str, number: int, ema: str, decay: float):
        super().__init__(method)
        c = self.config = method.config
        self.name, self.batch_size, self.iterations = name, c.batch_sizes[number], c.iterations[number]
        self.share = c.iterations[number] / sum(c.iterations)
        self.ema = {ema: decay} if c.ema is None else {ema: c.ema}
        self.rate = c.learning_rates[number]

    def adam(self, schedule: Schedule, *networks: nn.Module | nn.Parameter) -> Adam:
        parameters = [p for n in networks for p in ([n] if isinstance(n, nn.Parameter) else n.parameters())]
        return ScheduledAdam(parameters, self.rate, BETAS, self.steps, schedule)


class VQGANStage(CodeFormerStage):
    """Stage one: encoder, codebook and decoder give clean faces back, against a discriminator."""

    def __init__(self, method: CodeFormer, distance: PerceptualDistance):
        super().__init__(method, "vqgan", 0, "vqgan", 0.995)
        c = self.config
        self.lpips, self.codes = distance, LateCodes(c.codes, c.dim, c.estimated)
        self.adversary = adversary(c, c.vqgan_adversarial, c.starts[0])

    def optimisers(self) -> dict[str, Optimizer]:
        network, schedule = self.method.network, cosine(self.config.left[0])
        return {
            "vqgan": self.adam(schedule, network.encoder, network.quantize, network.generator),
            "discriminator": self.adam(schedule, self.adversary),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        network = self.method.network
        codes, told = self.codes.quantise(network.quantize, network.encoder(batch.image)[0], self.steps, noise)
        output = network.generator(codes)
        losses = {
            "l1": F.l1_loss(output, batch.image),
            "lpips": self.lpips(output, batch.image).mean(),
            **told,
        }
        reconstruction = losses["l1"] + self.config.lpips * losses["lpips"]
        joins = self.adversary.joins(self.steps)
        if joins:
            losses["generator"] = self.adversary.fooled(output, reconstruction, network.generator.last)
        update("vqgan", reconstruction + losses["codebook"] + losses.get("generator", 0))
        if joins:
            losses["discriminator"] = self.adversary.improve(batch.image, output, update)
        return losses


class CodesStage(CodeFormerStage):
    """Stage two: encoder and transformer find the codes of the clean face; codebook and decoder are frozen.

    `clean`: the encoder as stage one leaves it.
    """

    def __init__(self, method: CodeFormer, clean: nn.Module):
        super().__init__(method, "codes", 1, "network", 0.995)
        self.clean, self.degradation = clean, self.config.degradation

    def optimisers(self) -> dict[str, Optimizer]:
        self.clean.load_state_dict(self.method.network.encoder.state_dict())
        return {"network": self.adam(halved(0.8, 0.9), *predictors(self.method))}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        losses, *_ = code_losses(self.method, self.clean, batch)
        update("network", code_total(self.config, losses))
        return losses


def predictors(method: CodeFormer) -> list[nn.Module | nn.Parameter]:
    """What the losses of codes train."""
    n = method.network
    return [n.encoder, n.position_emb, n.feat_emb, n.ft_layers, n.idx_pred_layer]


def code_losses(
    method: CodeFormer, clean: nn.Module, batch: Batch
) -> tuple[dict[str, Tensor], Tensor, Tensor, list[Tensor]]:
    """The losses of the codes; and the logits, vectors and maps of what the network is given."""
    network = method.network
    with torch.no_grad():
        numbers = network.quantize.nearest(clean(batch.image)[0])
        wanted = network.quantize.lookup(numbers)
    encoded, maps = network.encoder(method.given(batch))
    logits = network.predict(encoded)
    losses = {"codes": F.mse_loss(encoded, wanted), "entropy": F.cross_entropy(logits.flatten(0, 1), numbers.flatten())}
    return losses, logits, encoded, maps


def code_total(c: CodeFormerConfig, losses: dict[str, Tensor]) -> Tensor:
    return losses["codes"] + c.entropy * losses["entropy"]


class FusionStage(CodeFormerStage):
    """Stage three: the fusions learn from images, encoder and transformer go on with the losses of codes.

    Restoration, first part: lightly degraded faces; the weight w of the fusion grows at half time. Second part: heavily
    degraded faces, and losses of codes alone; from `FROM` on, each `EVERY`-th iteration is as in the first part.
    Inpainting: this stage takes the place of the second one, too; w is 1.
    """

    iteration: Tensor

    def __init__(
        self, method: CodeFormer, number: int, clean: nn.Module, distance: PerceptualDistance, adversary: Adversary
    ):
        heavy = number == 3
        super().__init__(method, "heavy" if heavy else "fusion", number, "network", 0.997)
        self.clean, self.lpips, self.adversary, self.heavy = clean, distance, adversary, heavy
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))
        c = self.config
        self.inpaints = method.card.task == "inpainting"
        if self.inpaints:
            self.masks = c.masks
        else:
            self.degradation = c.degradation if heavy else c.light_degradation

    def schedule(self) -> Schedule:
        """Over both parts."""
        if self.inpaints:
            return halved(5 / 6, 1)
        first, second = self.config.iterations[2:]
        middle = first / (first + second)
        whole = cosine(self.config.left[1])
        return part(whole, middle, 1) if self.heavy else part(whole, 0, middle)

    def optimisers(self) -> dict[str, Optimizer]:
        if self.inpaints:
            self.clean.load_state_dict(self.method.network.encoder.state_dict())
        networks = [*predictors(self.method), self.method.network.fuse_convs_dict]
        return {
            "network": self.adam(self.schedule(), *networks),
            "discriminator": self.adam(self.schedule(), self.adversary),
        }

    def weight(self) -> float | None:
        """The fusion's w in this iteration; none where images are not looked at."""
        done = int(self.iteration)
        self.iteration += 1
        if self.inpaints:
            return 1.0
        early, late = self.config.training_weights
        if self.heavy:
            return late if done >= FROM * self.steps and done % EVERY == 0 else None
        return early if 2 * done < self.steps else late

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, network, w = self.config, self.method.network, self.weight()
        if self.heavy and w is not None:
            batch = batch.guided(degraded=degraded(batch.image, c.light_degradation, noise))
        losses, logits, encoded, maps = code_losses(self.method, self.clean, batch)
        total = code_total(c, losses)
        if w is None:
            update("network", total)
            return losses
        output = network.decode(logits, encoded, maps, w, normalised=False)
        losses["l1"] = F.l1_loss(output, batch.image)
        losses["lpips"] = self.lpips(output, batch.image).mean()
        reconstruction = losses["l1"] + c.lpips * losses["lpips"]
        joins = self.adversary.joins(self.steps)
        if joins:
            last = network.get_parameter(f"fuse_convs_dict.{max(c.fusion)}.shift.2.weight")
            losses["generator"] = self.adversary.fooled(output, reconstruction, last)
        update("network", total + reconstruction + losses.get("generator", 0))
        if joins:
            losses["discriminator"] = self.adversary.improve(batch.image, output, update)
        return losses


def degraded(images: Tensor, recipe: str, noise: Noise) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1], degraded by a recipe."""
    seeds = (noise.uniform() * 2**32).long().tolist()
    pictures = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
    copies = [degrade(one, recipe, np.random.default_rng(seed))[0] for one, seed in zip(pictures, seeds, strict=True)]
    return floats(torch.from_numpy(np.stack(copies)).permute(0, 3, 1, 2)).to(images)


def stages(method: CodeFormer, features: Source) -> list[Stage]:
    """The stages to which the options give iterations."""
    c, distance = method.config, PerceptualDistance(features)
    clean = copy.deepcopy(method.network.encoder).requires_grad_(False)
    judge = adversary(c, c.adversarial, c.starts[1])
    every: list[Stage] = [
        VQGANStage(method, distance),
        CodesStage(method, clean),
        *(FusionStage(method, number, clean, distance, judge) for number in (2, 3)),
    ]
    return [stage for stage in every if stage.iterations]
