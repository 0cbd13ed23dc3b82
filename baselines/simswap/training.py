"""SimSwap's training: pictures of one person and of two in turn, with the paper's losses or the released program's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.simswap.networks import Judges, Maps
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import hinge
from bench.nn.projected import ProjectedDiscriminator, pretrained_backbone
from bench.nn.schedule import ScheduledAdam, falling
from bench.nn.stylegan2_training import Lazy

if TYPE_CHECKING:
    from baselines.simswap import SimSwap


class SwapStage(Stage):
    """The faces of a batch with the identities of that batch, every second time each with its own.

    L = L_GAN + 10 L_wFM + `identity` L_Id + 10 L_Rec (section 3.4), L_Rec where the identity is the face's own.
    """

    method: SimSwap

    def __init__(self, method: SimSwap):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, c.iterations
        self.ema = {"generator": c.ema} if c.ema else {}
        self.turns = Lazy(2)

    def optimisers(self) -> dict[str, Optimizer]:
        c, judge = self.config, self.get_submodule("judge")
        judged = [p for p in judge.parameters() if p.requires_grad]
        steps = self.steps if c.falls else 0

        def adam(parameters: Iterable[nn.Parameter]) -> Optimizer:
            return ScheduledAdam(parameters, c.learning_rate, c.betas, steps, falling())

        return {"generator": adam(self.method.generator.parameters()), "discriminator": adam(judged)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, target = self.config, self.method, batch.image
        with torch.no_grad():
            identities = method.embed(target)
        same = self.turns.due()
        neighbours = across.part(across.whole(identities).roll(1, 0))
        wanted = identities if same else neighbours
        output = method.swap(target, wanted)
        adversarial, matching, discriminator = self.judged(target, output)
        losses = {
            "generator": adversarial,
            "matching": matching,
            "identity": (1 - (method.embed(output) * wanted).sum(1)).mean(),
        }
        total = adversarial + c.matching * matching + c.identity * losses["identity"]
        if same:
            losses["reconstruction"] = F.l1_loss(output, target)
            total = total + c.reconstruction * losses["reconstruction"]
        update("generator", total)
        update("discriminator", discriminator)
        return losses | {"discriminator": discriminator}

    def judged(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The adversarial loss of the generator, feature matching, the loss of the discriminator."""
        raise NotImplementedError


class PatchStage(SwapStage):
    """With the paper's discriminators: hinge loss, and weak feature matching (Eq. 6) by the last of their maps."""

    def __init__(self, method: SimSwap):
        super().__init__(method)
        self.judge = Judges(self.config.judge_width, self.config.judge_halvings)

    def judged(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        true, made = self.judge(real), self.judge(fake)
        adversarial = -torch.stack([maps[-1].mean() for maps in made]).mean()
        judged = self.judge(fake.detach())
        each = [hinge(ours[-1], theirs[-1]) for ours, theirs in zip(true, judged, strict=True)]
        return adversarial, self.matching(made, true), torch.stack(each).mean()

    def matching(self, fake: Maps, real: Maps) -> Tensor:
        """L1 of the chosen maps before the logits: summed, times 4 / (halvings + 1), mean over the scales."""
        last = slice(-1 - self.config.matched, -1)
        pairs = [pair for a, b in zip(fake, real, strict=True) for pair in zip(a[last], b[last], strict=True)]
        near = torch.stack([F.l1_loss(a, b.detach()) for a, b in pairs]).sum()
        return near * 4 / (self.config.judge_halvings + 1) / len(fake)


class ProjectedStage(SwapStage):
    """With a projected discriminator, as released: feature matching by its backbone's coarsest maps."""

    def __init__(self, method: SimSwap, features: Source):
        super().__init__(method)
        c = self.config
        self.judge = ProjectedDiscriminator(pretrained_backbone(features), resolution=c.resolution, width=c.judge_width)

    def judged(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        network, judge = self.judge.feature_network, self.judge.discriminator
        with torch.no_grad():
            true = network.pretrained(real)
            mixed = network.mix(true)
        made = network.pretrained(fake)
        ours = network.mix(made)
        discriminator = hinge(judge(mixed), judge([one.detach() for one in ours]))
        return -judge(ours).mean(), F.l1_loss(made[-1], true[-1]), discriminator
