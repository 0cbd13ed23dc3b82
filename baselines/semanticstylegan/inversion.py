"""The codes of a picture, found by gradient descent (section 4.3)."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam

from baselines.semanticstylegan.networks import Generator
from baselines.semanticstylegan.parts import CODES
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import NoiseMaps, mean_code

if TYPE_CHECKING:
    from baselines.semanticstylegan import SemanticStyleGANConfig

SEEN = 256  # side at which pictures are compared, at most


def slope(step: int, steps: int) -> float:
    """The share of the learning rate: a line up in the first twentieth, half a cosine down in the last quarter."""
    t = step / steps
    return 0.5 * (1 - math.cos(math.pi * min(1.0, 4 * (1 - t)))) * min(1.0, 20 * t)


class Inversion:
    """Looks for the codes of pictures; each for itself, whatever is beside it."""

    def __init__(self, config: SemanticStyleGANConfig, distance: PerceptualDistance):
        self.config, self.distance = config, distance

    def apart(self, ours: Tensor, pictures: Tensor) -> Tensor:
        """How far pictures are from those that are looked for, (N,): LPIPS, and a little squared error."""
        small = [F.adaptive_avg_pool2d(x, min(SEEN, x.shape[-1])) for x in (ours, pictures)]
        return self.distance(*small) + self.config.squared * (ours - pictures).square().mean((1, 2, 3))

    def codes(self, generator: Generator, pictures: Tensor, noise: NoiseMaps) -> Tensor:
        """The codes (N, 28, D) of pictures (N, 3, size, size)."""
        c = self.config
        mean = mean_code(generator.style, c.code, c.samples)
        codes = mean.repeat(len(pictures), CODES, 1).requires_grad_()
        adam = Adam([codes], c.rate)
        for step in range(c.steps):
            adam.param_groups[0]["lr"] = c.rate * slope(step, c.steps)
            near = (codes - mean).square().mean((1, 2))
            image = generator(generator.expanded(codes), noise).image  # the counter of operations refuses a leaf
            loss = self.apart(image, pictures) + c.near * near
            (codes.grad,) = torch.autograd.grad(loss.sum(), codes)
            adam.step()
        return codes.detach()

    def tuned(self, generator: Generator, pictures: Tensor, codes: Tensor, noise: NoiseMaps) -> Generator:
        """A copy of the generator that draws these pictures better, from the codes that were found."""
        c, tuned = self.config, deepcopy(generator)
        parameters = [*tuned.parameters()]
        adam = Adam(parameters, c.tuning_rate)
        for _ in range(c.tuning_steps):
            loss = self.apart(tuned(codes, noise).image, pictures).mean()
            for parameter, gradient in zip(
                parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
            ):
                parameter.grad = gradient
            adam.step()
        return tuned
