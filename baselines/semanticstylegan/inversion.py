"""The codes of a picture, found by gradient descent (section 4.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    """Looks for the codes of pictures (N, 3, size, size); each for itself, whatever is beside it."""

    def __init__(self, config: SemanticStyleGANConfig, distance: PerceptualDistance, pictures: Tensor):
        self.config, self.distance, self.pictures = config, distance, pictures
        with torch.no_grad():
            self.maps = self.seen(pictures)

    def seen(self, pictures: Tensor) -> Sequence[Tensor]:
        """What LPIPS compares of pictures."""
        return self.distance.maps(F.adaptive_avg_pool2d(pictures, min(SEEN, pictures.shape[-1])))

    def apart(self, ours: Tensor) -> Tensor:
        """How far pictures are from those that are looked for, (N,): LPIPS, and a little squared error."""
        squared = (ours - self.pictures).square().mean((1, 2, 3))
        return self.distance.between(self.seen(ours), self.maps) + self.config.squared * squared

    def codes(self, generator: Generator, noise: NoiseMaps) -> Tensor:
        """The codes of the pictures, (N, 28, D)."""
        c = self.config
        mean = mean_code(generator.style, c.code, c.samples)
        codes = mean.repeat(len(self.pictures), CODES, 1).requires_grad_()
        adam = Adam([codes], c.rate)
        for step in range(c.steps):
            adam.param_groups[0]["lr"] = c.rate * slope(step, c.steps)
            near = (codes - mean).square().mean((1, 2))
            image = generator(generator.expanded(codes), noise).image  # the counter of operations refuses a leaf
            loss = self.apart(image) + c.near * near
            (codes.grad,) = torch.autograd.grad(loss.sum(), codes)
            adam.step()
        return codes.detach()

    def tuned(self, generator: Generator, codes: Tensor, noise: NoiseMaps) -> Generator:
        """A copy of the generator that draws the pictures better, from the codes that were found."""
        c, tuned = self.config, deepcopy(generator)
        parameters = [*tuned.parameters()]
        adam = Adam(parameters, c.tuning_rate)
        for _ in range(c.tuning_steps):
            loss = self.apart(tuned(codes, noise).image).mean()
            for parameter, gradient in zip(
                parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
            ):
                parameter.grad = gradient
            adam.step()
        return tuned
