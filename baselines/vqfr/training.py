"""VQFR's training: an autoencoder with a dictionary of codes on clean faces, then restoration with its textures."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.vqfr.discriminators import SWAGAN, Patches, StyleGAN2, Whole
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import differentiable_twice, hinge, logistic, nonsaturating, r1
from bench.nn.perceptual import PerceptualDistance, frozen, gram, mean_l1, unit
from bench.nn.schedule import ScheduledAdam, halved
from bench.nn.stylegan2 import Width
from bench.nn.vqgan import Reservoir, Usage

if TYPE_CHECKING:
    from baselines.vqfr import VQFR


def trained(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """What is trained of modules."""
    return [p for module in modules for p in module.parameters() if p.requires_grad]


class Look(PerceptualDistance):
    """LPIPS, and the style loss on its features of unit length."""

    def both(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(LPIPS, mean difference of Gram matrices, summed over layers) of images in [-1, 1]; scalars."""
        ours = self.maps(output)
        with torch.no_grad():
            theirs = self.maps(target)
        grams = [mean_l1(gram(unit(a)), gram(unit(b))) for a, b in zip(ours, theirs, strict=True)]
        return self.between(ours, theirs).mean(), torch.stack(grams).sum()


class VQFRStage(Stage):
    """What both stages share: how a discriminator of whole pictures learns, and the number of the iteration."""

    method: VQFR
    iteration: Tensor
    number: int

    def __init__(self, method: VQFR, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, c.iterations[self.number]
        self.share = self.iterations / sum(c.iterations)
        self.look = Look(features)
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))

    def whole(self) -> Whole:
        """A new discriminator of whole pictures."""
        c = self.config
        width = Width(c.judge_width, c.judge_limit)
        return SWAGAN(c.size, width) if c.version == "v1" else StyleGAN2(c.size, width)

    def penalty(self, judge: nn.Module, real: Tensor) -> Tensor | None:
        """R1; None where it is not due."""
        if int(self.iteration) % self.config.r1_every:
            return None
        real = real.detach().requires_grad_()
        with differentiable_twice():
            logits = judge(real)
        return r1(logits, real)

    def improve(self, judge: nn.Module, real: Tensor, fake: Tensor, update: Update, of: str = "") -> dict[str, Tensor]:
        """Update the discriminator of whole pictures, `of` which the names begin with; its losses."""
        total = logistic(judge(real), judge(fake.detach()))
        losses, penalty = {f"{of}discriminator": total}, self.penalty(judge, real)
        if penalty is not None:
            losses[f"{of}r1"] = penalty
            total = total + self.config.r1_every * self.config.gamma / 2 * penalty
        update(f"{of}discriminator", total)
        return losses


class CodebookStage(VQFRStage):
    """Stage one, on clean pictures: encoder, codes and texture decoder."""

    name = "codebook"
    number = 0

    def __init__(self, method: VQFR, features: Source):
        super().__init__(method, features)
        c = self.config
        self.judge = self.whole()
        self.reservoir = Reservoir(c.reservoir, c.dim, -(-c.reservoir // c.estimate_every))
        self.usage = Usage(c.codes)

    def optimisers(self) -> dict[str, Optimizer]:
        c, network = self.config, self.method.network

        def adam(parameters: list[nn.Parameter]) -> Adam:
            return ScheduledAdam(parameters, c.codebook_rate, (0.9, 0.96), self.steps, halved(*c.halved))

        return {"autoencoder": adam(trained(network.autoencoder())), "discriminator": adam(trained([self.judge]))}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, network, image = self.config, self.method.network, batch.image
        iteration = int(self.iteration)
        z = network.encode(image)
        losses: dict[str, Tensor] = {}
        if iteration <= c.estimate_until:
            self.reservoir.collect(z, noise)
        if c.uncoded <= iteration <= c.estimate_until and iteration % c.estimate_every == 0 and iteration:
            self.reservoir.estimate(network.codebook.embedding.weight)
        codes = z
        if iteration >= c.uncoded:
            codes, losses["code"], numbers = network.codebook(z, c.code_share)
            losses |= self.usage.told(numbers)
        output, _ = network.decode(codes)
        losses["pixels"] = F.l1_loss(output, image)
        losses["lpips"] = self.look(output, image).mean()
        total = c.pixels * losses["pixels"] + c.lpips * losses["lpips"] + c.code * losses.get("code", 0.0)
        if iteration >= c.codebook_gan_from:
            losses["generator"] = nonsaturating(self.judge(output))
            total = total + c.codebook_gan * losses["generator"]
        update("autoencoder", total)
        losses |= self.improve(self.judge, image, output, update)
        self.iteration += 1
        return losses


class RestorationStage(VQFRStage):
    """Stage two, on degraded pictures: all but the codes; version 2 also leaves the textures as they are.

    Texture picture and main picture have a pair of discriminators each, of the whole and of patches.
    """

    name = "restoration"
    number = 1

    def __init__(self, method: VQFR, features: Source):
        super().__init__(method, features)
        self.degradation = self.config.degradation
        self.ema = {"restorer": self.config.ema} if self.config.ema else {}
        names = method.network.last()
        self.judges = nn.ModuleDict({name: self.whole() for name in names})
        self.patches = nn.ModuleDict(
            {name: Patches(self.config.patch_width, self.config.patch_halvings) for name in names}
        )
        self.clean = frozen(copy.deepcopy(method.network.encoding()))

    def optimisers(self) -> dict[str, Optimizer]:
        c, network = self.config, self.method.network
        self.clean.load_state_dict(network.encoding().state_dict())  # as the first stage leaves it: this one begins

        def adam(*modules: nn.Module) -> Optimizer:
            return Adam(trained(modules), c.restoration_rate, (0.5, 0.9))

        restorer = adam(*network.restorer())
        if network.finder():
            found = {"params": trained(network.finder()), "lr": c.finding_rate, "betas": (0.9, 0.96)}
            restorer.add_param_group(found)
        judges = {f"{name} discriminator": adam(judge) for name, judge in self.judges.items()}
        patches = {f"{name} patch discriminator": adam(patches) for name, patches in self.patches.items()}
        return {"restorer": restorer} | judges | patches

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, network, image = self.config, self.method.network, batch.image
        with torch.no_grad():
            indices = network.codebook.nearest(self.clean(image))
            target = network.codebook.lookup(indices)
        restored = network(batch.need("degraded"))
        losses = {"code": F.mse_loss(restored.z, target)}
        total = c.code * losses["code"]
        if restored.logits is not None:
            losses["entropy"] = F.cross_entropy(restored.logits.movedim(-1, 1), indices)
            total = total + c.entropy * losses["entropy"]
        judged: dict[str, Tensor] = {}
        for name, picture in restored.pictures.items():
            lpips, style = self.look.both(picture, image)
            pixels = F.l1_loss(picture, image)
            losses |= {f"{name} lpips": lpips, f"{name} style": style, f"{name} pixels": pixels}
            near = c.lpips * lpips + c.style * style + (c.main_pixels if name == "main" else c.pixels) * pixels
            total = total + near
            if restored.logits is not None:
                near = c.lpips * lpips  # version 2 balances patches with it alone
            if name == "main" and int(self.iteration) < c.main_gan_from:
                continue
            judged[name] = picture
            whole, parts = nonsaturating(self.judges[name](picture)), -self.patches[name](picture).mean()
            losses |= {f"{name} generator": whole, f"{name} patches": parts}
            share = balance(near, parts, network.last()[name].get_parameter("weight"))
            total = total + c.gan * whole + c.patches * share * parts
        update("restorer", total)
        for name, picture in judged.items():
            losses |= self.improve(self.judges[name], image, picture, update, f"{name} ")
            patches, loss = self.patches[name], f"{name} patch discriminator"
            losses[loss] = hinge(patches(image), patches(picture.detach()))
            update(loss, losses[loss])
        self.iteration += 1
        return losses


def balance(near: Tensor, adversarial: Tensor, weight: Tensor) -> Tensor:
    """The factor that makes the gradients of two losses equally long at a weight (Esser et al., 2021)."""
    gradients = (torch.autograd.grad(loss, weight, retain_graph=True)[0] for loss in (near, adversarial))
    wanted, given = (across.mean(gradient).norm() for gradient in gradients)
    return (wanted / (given + 1e-4)).clamp(0, 1e4).detach()
