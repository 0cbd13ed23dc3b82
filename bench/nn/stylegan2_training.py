"""How StyleGAN2 is trained (Karras et al., 2020; section 3 and appendix B): parts that its descendants share."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Adam

from bench.batch import Noise
from bench.method import Update
from bench.nn import across
from bench.nn.losses import differentiable_twice, logistic, r1


def lazy_adam(parameters: Iterable[nn.Parameter], rate: float, every: int, beta1: float = 0.0) -> Adam:
    """Adam (beta1, 0.99) for a network that takes one more step, its regulariser's, each `every` iterations.

    Learning rate and decays are corrected by every / (every + 1), so that time runs as without that step.
    """
    ratio = every / (every + 1)
    return Adam(parameters, lr=rate * ratio, betas=(beta1**ratio if beta1 else 0.0, 0.99**ratio), eps=1e-8)


def mixed_codes(mapping: nn.Module, noise: Noise, dim: int, layers: int, probability: float) -> Tensor:
    """Codes (N, layers, D) of random z; with `probability` an image has a second code from a random layer on."""
    first = mapping(noise.normal(dim))[:, None]
    if not probability:
        return first.expand(-1, layers, -1)
    second = mapping(noise.normal(dim))[:, None]
    cut = 1 + torch.floor(noise.uniform(1) * (layers - 1))  # (N, 1)
    cut = torch.where(noise.uniform(1) < probability, cut, layers)
    return torch.where((torch.arange(layers, device=cut.device) >= cut)[:, :, None], second, first)


class Lazy(nn.Module):
    """Counts iterations; a regulariser is due in the first and in each `every`-th after it."""

    iteration: Tensor

    def __init__(self, every: int):
        super().__init__()
        self.every = every
        self.register_buffer("iteration", torch.zeros((), dtype=torch.long))

    def due(self) -> bool:
        """Whether this iteration has the regulariser; call once an iteration."""
        due = int(self.iteration) % self.every == 0
        self.iteration += 1
        return due


class Adversary(Lazy):
    """A discriminator with the logistic loss and lazy R1: gamma / 2 |dD(x)/dx|² on real images, times `every`."""

    def __init__(self, network: nn.Module, gamma: float, every: int):
        super().__init__(every)
        self.network, self.gamma = network, gamma

    def forward(self, images: Tensor, beside: Tensor | None = None) -> Tensor:
        """Logits of images, with what the discriminator is shown beside them, a mask say (N, C, H, W)."""
        return self.network(images if beside is None else torch.cat([images, beside], dim=1))

    def improve(self, real: Tensor, fake: Tensor, update: Update, beside: Tensor | None = None) -> dict[str, Tensor]:
        """Update the optimiser "discriminator"; the losses."""
        losses = {"discriminator": logistic(self(real, beside), self(fake.detach(), beside))}
        update("discriminator", losses["discriminator"])
        if self.due():
            real = real.detach().requires_grad_()
            with differentiable_twice():
                logits = self(real, beside)
            losses["r1"] = r1(logits, real)
            update("discriminator", self.every * self.gamma / 2 * losses["r1"])
        return losses


class PathLength(Lazy):
    """Path length regularisation (section 3.2): a step in w should change the image by the same length everywhere."""

    mean: Tensor

    def __init__(self, weight: float, every: int, decay: float = 0.01):
        super().__init__(every)
        self.weight, self.decay = weight, decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
        """The penalty (Eq. 4), weighted for its lazy use; moves the running mean of the lengths.

        `images` (N, 3, H, W) were made from `codes` (N, layers, D), which need a gradient, `differentiable_twice`;
        `noise`: normal values like `images`.
        """
        scale = (images.shape[2] * images.shape[3]) ** 0.5
        (gradient,) = torch.autograd.grad((images * noise).sum() / scale, codes, create_graph=True)
        lengths = gradient.square().sum(2).mean(1).sqrt()
        mean = self.mean.lerp(across.mean(lengths.mean()), self.decay)
        self.mean.copy_(mean.detach())
        return self.every * self.weight * (lengths - mean).square().mean()
