"""StyleMapGAN's training: generator, encoder and discriminator together, from noise and from pictures (section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.joint import update_jointly
from bench.nn.losses import differentiable_twice, logistic, nonsaturating, r1
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width
from bench.nn.stylegan2_training import Lazy, lazy_adam

if TYPE_CHECKING:
    from baselines.stylemapgan import StyleMapGAN


class JointStage(Stage):
    """Four updates an iteration: generator, encoder, discriminator (and its R1), then generator and encoder at once."""

    method: StyleMapGAN

    def __init__(self, method: StyleMapGAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, c.iterations
        # both take two updates an iteration, of which the authors' average sees the second
        self.ema = dict.fromkeys(("generator", "encoder"), c.ema**0.5)
        self.discriminator = Discriminator(c.size, Width(c.width, c.limit))
        self.look = PerceptualDistance(features)
        self.penalty = Lazy(c.r1_every)

    def optimisers(self) -> dict[str, Optimizer]:
        c, method, betas = self.config, self.method, (0.0, 0.99)
        return {
            "generator": Adam(method.generator.parameters(), c.learning_rate, betas),
            "encoder": Adam(method.encoder.parameters(), c.learning_rate, betas),
            "discriminator": lazy_adam(self.discriminator.parameters(), c.learning_rate, c.r1_every),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        method, judge, image = self.method, self.discriminator, batch.image
        generator, encoder = method.generator, method.encoder
        z = noise.normal(self.config.code)
        losses = {"generator": nonsaturating(judge(generator(z)))}
        update("generator", losses["generator"])

        with torch.no_grad():
            stylemap = generator.mapping_z(z)
            fake = generator.decoder(stylemap)
        losses["stylemap"] = F.mse_loss(encoder(fake), stylemap)
        update("encoder", losses["stylemap"])

        with torch.no_grad():
            again = generator.decoder(encoder(image))
        # each kind of pictures in a batch of its own, whose deviation the discriminator sees
        losses["discriminator"] = logistic(judge(image), judge(fake)) + F.softplus(judge(again)).mean()
        update("discriminator", losses["discriminator"])
        losses |= self.regularise(image, update)

        output = generator.decoder(encoder(image))
        terms = {
            "reconstruction": F.mse_loss(output, image),
            "perceptual": self.look(output, image).mean(),
            "adversarial": nonsaturating(judge(output)),
        }
        total = torch.stack([*terms.values()]).sum()
        update_jointly(total, {"generator": generator, "encoder": encoder}, update)
        return losses | terms

    def regularise(self, image: Tensor, update: Update) -> dict[str, Tensor]:
        """R1 in every sixteenth iteration: gamma / 2 times 16."""
        if not self.penalty.due():
            return {}
        real = image.detach().requires_grad_()
        with differentiable_twice():
            logits = self.discriminator(real)
        loss = r1(logits, real)
        update("discriminator", self.config.r1_every * self.config.gamma / 2 * loss)
        return {"r1": loss}
