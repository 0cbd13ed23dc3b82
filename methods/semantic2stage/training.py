"""The progressive training: the layout alone, the texture on true and then predicted layouts, both together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.data.guides.semantics import one_hot
from bench.method import Batch, Noise, Stage, Update
from bench.nn.faceparsing import FaceParser
from bench.nn.losses import gradient_penalty
from bench.nn.perceptual import FeatureLoss

if TYPE_CHECKING:
    from methods.semantic2stage import Semantic2Stage
    from methods.semantic2stage.networks import Critic


class Phase(Stage):
    """What the phases share. All losses are means, so each is that of the whole batch."""

    method: Semantic2Stage
    number: int  # which of the three

    def __init__(self, method: Semantic2Stage, parser: FaceParser | None):
        super().__init__(method)
        c = self.config = method.config
        self.parser = parser
        if parser is None:
            self.guides, self.mirrored = ("semantics",), False
        self.masks, self.batch_size, self.share = c.masks, c.batch_size, c.shares[self.number]
        self.ema = {"generator": c.ema}

    def adam(self, network: nn.Module, rate: float) -> Adam:
        return Adam(network.parameters(), rate, self.config.betas)

    def labelled(self, batch: Batch) -> Batch:
        """The batch with true labels: the data's, or what the face parser sees in the whole pictures."""
        return batch if self.parser is None else batch.guided(semantics=self.parser(batch.image))


def disagreement(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of a layout with the true labels, mean over all pixels."""
    return F.cross_entropy(logits, batch.need("semantics").long())


class LayoutPhase(Phase):
    """Phase 1: the layout generator alone."""

    name, number, iterations = "layout", 0, 100_000

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": self.adam(self.method.layout, self.config.learning_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        loss = disagreement(self.method.layout(batch.masked, batch.mask), self.labelled(batch))
        update("generator", loss)
        return {"layout": loss}


class TexturePhase(Phase):
    """Phase 2: the texture generator on true layouts, which predicted ones replace little by little."""

    name, number, iterations = "texture", 1, 300_000
    done: Tensor

    def __init__(self, method: Semantic2Stage, parser: FaceParser | None, critic: Critic, features: FeatureLoss):
        super().__init__(method, parser)
        self.critic, self.features = critic, features
        self.register_buffer("done", torch.zeros((), dtype=torch.long))  # iterations; saved, so that a run can resume

    def optimisers(self) -> dict[str, Optimizer]:
        rate = self.config.learning_rate
        return {"generator": self.adam(self.method.texture, rate), "critic": self.adam(self.critic, rate)}

    def drawn(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The layouts (N, 19, H, W) that the texture generator is given, and the layout generator's losses."""
        with torch.no_grad():
            predicted = self.method.predicted(batch)
        share = int(self.done) / self.config.ramp
        return torch.where(noise.uniform(1, 1, 1) < share, predicted, one_hot(batch.need("semantics"))), {}

    def judged(self) -> bool:
        """Whether the generator hears the critic."""
        return int(self.done) >= self.config.warmup

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        """Update the critic, then the generator."""
        c, batch = self.config, self.labelled(batch)
        layout, losses = self.drawn(batch, noise)
        output = self.method.texture(batch.masked, batch.mask, layout)
        composite, error = batch.composite(output), (output - batch.image).abs()
        judged = self.judge(batch, composite.detach(), update, noise)
        losses |= {
            "known": (error * (1 - batch.mask)).mean(),
            "hole": (error * batch.mask).mean(),
            "perceptual": self.features(output, batch.image)[0] + self.features(composite, batch.image)[0],
            "semantic": disagreement(self.parsed(output), batch),
        }
        if self.judged():
            losses["adversarial"] = -self.critic(composite, batch.mask).mean()
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        self.done += 1
        return losses | judged

    def judge(self, batch: Batch, fake: Tensor, update: Update, noise: Noise) -> dict[str, Tensor]:
        """WGAN-GP: D(fake) - D(real) and the gradient penalty; the critic sees the mask beside each picture."""
        scores = self.critic(fake, batch.mask).mean() - self.critic(batch.image, batch.mask).mean()
        penalty = gradient_penalty(lambda images: self.critic(images, batch.mask), batch.image, fake, noise)
        update("critic", scores + self.config.penalty * penalty)
        return {"critic": scores, "penalty": penalty}

    def parsed(self, images: Tensor) -> Tensor:
        """Logits of whole pictures by the layout generator, which does not learn from them."""
        network = self.method.layout
        network.requires_grad_(False)
        logits = network(images, torch.zeros_like(images[:, :1]))
        network.requires_grad_(True)
        return logits


class JointPhase(TexturePhase):
    """Phase 3: both generators, on predicted layouts."""

    name, number, iterations = "joint", 2, 100_000

    def optimisers(self) -> dict[str, Optimizer]:
        rate = self.config.joint_rate
        return {"generator": self.adam(self.method, rate), "critic": self.adam(self.critic, rate)}

    def drawn(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.method.layout(batch.masked, batch.mask)
        return logits.softmax(dim=1), {"layout": disagreement(logits, batch)}

    def judged(self) -> bool:
        return True
