"""StarGAN v2's training (section 2.2): styles of noise and of other pictures, in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.starganv2.networks import Discriminator
from bench.method import Batch, Noise, Stage, Update
from bench.nn import across
from bench.nn.augment import resized_crop
from bench.nn.joint import update_jointly
from bench.nn.losses import differentiable_twice, logistic, nonsaturating, r1

if TYPE_CHECKING:
    from baselines.starganv2 import StarGANv2

TRAINED = ("generator", "mapping", "style_encoder")
Masks = Sequence[Tensor] | None


class TranslationStage(Stage):
    """L = L_adv + L_sty - L_ds + L_cyc (Eq. 5), four updates an iteration.

    The discriminator against styles of noise, then of pictures; all that is trained on styles of noise, then the
    generator alone on styles of pictures. All pictures are of one domain, the first: training here knows no others.
    """

    method: StarGANv2
    seen: Tensor

    def __init__(self, method: StarGANv2):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, c.iterations
        # the generator takes two updates an iteration, of which the authors' average sees the second
        self.ema = dict.fromkeys(TRAINED, c.ema) | {"generator": c.ema**0.5} if c.ema else {}
        self.discriminator = Discriminator(c.size, c.width, c.limit, c.domains)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))  # iterations

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        networks: dict[str, nn.Module] = {name: self.method.get_submodule(name) for name in TRAINED}
        rates = {"mapping": c.mapping_rate}
        return {
            name: Adam(network.parameters(), rates.get(name, c.learning_rate), c.betas, weight_decay=c.decay)
            for name, network in (networks | {"discriminator": self.discriminator}).items()
        }

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        """A crop of half of the pictures."""
        if not self.config.crops:
            return images
        cropped = resized_crop(images, noise, (0.8, 1.0), 1.1)
        return torch.where(noise.uniform(1, 1, 1) < self.config.crops, cropped, images)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, images = self.config, self.method, batch.image
        domain = torch.zeros(len(images), dtype=torch.long, device=images.device)
        masks = method.masks(images)
        every = across.whole(images)
        others = [across.part(every.roll(shift, 0)) for shift in (1, 2)]  # pictures whose styles are taken
        codes = [noise.normal(c.latent) for _ in range(2)]
        weight = max(0.0, 1 - float(self.seen) / (self.steps or self.iterations)) * c.diversity
        self.seen += 1

        def of_noise() -> list[Tensor]:
            return [method.mapping(z, domain) for z in codes]

        def of_pictures() -> list[Tensor]:
            return [method.style_encoder(other, domain) for other in others]

        losses: dict[str, Tensor] = {}
        for name, styles in (("noise", of_noise), ("pictures", of_pictures)):
            losses |= named(self.judge(images, domain, masks, styles, update), name)
        for name, styles in (("noise", of_noise), ("pictures", of_pictures)):
            total, terms = self.translate(images, domain, masks, styles(), weight)
            losses |= named(terms, name)
            if name == "noise":
                update_jointly(total, {part: method.get_submodule(part) for part in TRAINED}, update)
            else:
                update("generator", total)
        return losses

    def judge(
        self, images: Tensor, domain: Tensor, masks: Masks, styles: Callable[[], list[Tensor]], update: Update
    ) -> dict[str, Tensor]:
        """An update of the discriminator, with R1 on real pictures; the losses."""
        with torch.no_grad():
            fake = self.method.generator(images, styles()[0], masks)
        real = images.detach().requires_grad_()
        with differentiable_twice():
            logits = self.discriminator(real, domain)
        losses = {"discriminator": logistic(logits, self.discriminator(fake, domain)), "r1": r1(logits, real)}
        update("discriminator", losses["discriminator"] + self.config.r1 / 2 * losses["r1"])
        return losses

    def translate(
        self, images: Tensor, domain: Tensor, masks: Masks, styles: Sequence[Tensor], diversity: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a translation into the first of two styles, and its terms (Eq. 1 to 4)."""
        c, generator, encoder = self.config, self.method.generator, self.method.style_encoder
        fake = generator(images, styles[0], masks)
        with torch.no_grad():
            other = generator(images, styles[1], masks)
        back = generator(fake, encoder(images, domain), self.method.masks(fake))
        terms = {
            "generator": nonsaturating(self.discriminator(fake, domain)),
            "style": F.l1_loss(encoder(fake, domain), styles[0]),
            "diversity": F.l1_loss(fake, other),
            "cycle": F.l1_loss(back, images),
        }
        total = terms["generator"] + c.style_weight * terms["style"] + c.cycle * terms["cycle"]
        return total - diversity * terms["diversity"], terms


def named(losses: Mapping[str, Tensor], of: str) -> dict[str, Tensor]:
    """The losses of styles of noise, or of pictures."""
    return {f"{name} ({of})": loss for name, loss in losses.items()}
