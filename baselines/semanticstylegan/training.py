"""SemanticStyleGAN's training: pictures and their segmentations are told from drawn ones together (section 3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.semanticstylegan.networks import Discriminator, Drawn, Encoder
from baselines.semanticstylegan.parts import BASE, PARTS, planes
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.joint import update_jointly
from bench.nn.losses import differentiable_twice, logistic, nonsaturating
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Width
from bench.nn.stylegan2_training import Lazy, PathLength, lazy_adam

if TYPE_CHECKING:
    from baselines.semanticstylegan import SemanticStyleGAN


def mixed_codes(mapping: nn.Module, noise: Noise, dim: int, probability: float) -> Tensor:
    """Codes (N, 28, D) of random z; with `probability` an image has a second one.

    Each part is then wholly of the first, of the shape of the first and the texture of the second, or wholly of the
    second. The codes of the whole face are of the first.
    """
    first, second = (mapping(noise.normal(dim))[:, None] for _ in range(2))
    kind = torch.floor(3 * noise.uniform(len(PARTS))) * (noise.uniform(1) < probability)
    theirs = torch.stack([kind == 2, kind > 0], dim=2).flatten(1)  # of shapes and textures
    return torch.where(F.pad(theirs, (BASE, 0))[:, :, None], second, first)


class JointStage(Stage):
    """Adversarial training with lazy regularisation; the masks of the batch are not used."""

    method: SemanticStyleGAN
    guides = ("semantics",)

    def __init__(self, method: SemanticStyleGAN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, c.iterations
        # the generator's average follows each of its steps, the regulariser's too
        self.ema = {"generator": c.ema ** (c.path_every / (c.path_every + 1))}
        self.discriminator = Discriminator(c.size, Width(c.width, c.limit))
        self.penalty, self.path = Lazy(c.r1_every), PathLength(c.path, c.path_every)
        self.encoder = Encoder(c.size, Width(c.width, c.limit), c.code) if c.pixels else None
        self.look = PerceptualDistance(features) if c.pixels else None

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        found: dict[str, Optimizer] = {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, c.path_every),
            "discriminator": lazy_adam(self.discriminator.parameters(), c.learning_rate, c.r1_every),
        }
        return found | ({"encoder": Adam(self.encoder.parameters(), c.learning_rate)} if self.encoder else {})

    def codes(self, noise: Noise) -> Tensor:
        """Codes (N, 130, D) of random z."""
        c, generator = self.config, self.method.generator
        return generator.expanded(mixed_codes(generator.style, noise, c.code, c.mixing))

    def draw(self, codes: Tensor, noise: Noise) -> Drawn:
        """What is drawn of codes."""
        generator = self.method.generator
        return generator(codes, noise.maps(generator.sides) if self.config.noise else None)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, judge = self.config, self.discriminator.both
        image, parts = batch.image, planes(batch.need("semantics")).to(batch.image)
        with torch.no_grad():
            fake = self.draw(self.codes(noise), noise)
        losses = {"discriminator": logistic(judge(image, parts), judge(fake.image, fake.segmentation))}
        update("discriminator", losses["discriminator"])
        if self.penalty.due():
            losses |= self.regularise(image, parts, update)

        fake = self.draw(self.codes(noise), noise)
        losses["generator"] = nonsaturating(judge(fake.image, fake.segmentation))
        losses["mask"] = F.mse_loss(fake.coarse, F.adaptive_avg_pool2d(fake.segmentation, fake.coarse.shape[-1]))
        update("generator", losses["generator"] + c.mask * losses["mask"])
        if self.path.due():
            some = noise.thinned(c.path_shrink)
            with torch.no_grad():  # the penalty reaches no mapping
                codes = self.codes(some)
            codes.requires_grad_()
            with differentiable_twice():
                fake = self.draw(codes, some)
            losses["path"] = self.path(fake.image, codes, some.normal(*fake.image.shape[1:]))
            update("generator", losses["path"])
        return losses | self.draw_again(image, parts, noise, update)

    def draw_again(self, image: Tensor, parts: Tensor, noise: Noise, update: Update) -> dict[str, Tensor]:
        """Where `pixels` counts: pictures and segmentations are drawn again from the codes that an encoder reads."""
        c, generator = self.config, self.method.generator
        if self.encoder is None or self.look is None:
            return {}
        codes = generator.style(self.encoder(image, parts).flatten(0, 1)).unflatten(0, (len(image), -1))
        drawn = self.draw(codes, noise)
        losses = {
            "pixels": F.l1_loss(drawn.image, image),
            "perceptual": self.look(drawn.image, image).mean(),
            "segmentation": F.mse_loss(drawn.segmentation, parts),
        }
        total = torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum()
        update_jointly(total, {"generator": generator, "encoder": self.encoder}, update)
        return losses

    def regularise(self, image: Tensor, parts: Tensor, update: Update) -> dict[str, Tensor]:
        """R1 of pictures and of segmentations: gamma / 2 of each, times the iterations from one to the next."""
        c, given = self.config, [x.detach().requires_grad_() for x in (image, parts)]
        with differentiable_twice():
            logits = self.discriminator.both(*given)
        gradients = torch.autograd.grad(logits.sum(), given, create_graph=True)
        first, second = (gradient.square().flatten(1).sum(1).mean() for gradient in gradients)
        update("discriminator", c.r1_every / 2 * (c.gamma * first + c.segmentation_gamma * second))
        return {"r1": first, "r1_segmentation": second}
