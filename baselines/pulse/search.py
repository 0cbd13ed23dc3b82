"""What PULSE minimises, and how: losses, learning rates, and Adam on spheres."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam

from bench.nn.cubic import cubic


def shrunk(images: Tensor, side: int) -> Tensor:
    """Square images (N, C, H, H) at `side`, of which H is a multiple: cubic (a = -0.5), antialiased, edges mirrored."""
    factor = images.shape[-1] // side
    line = cubic((np.arange(4 * factor) - 2 * factor + 0.5) / factor)
    kernel = torch.as_tensor(line / line.sum()).to(images)
    before = 3 * factor // 2
    after = 3 * factor - before
    x = F.pad(images.flatten(0, 1)[:, None], (before, after, before, after), mode="reflect")
    x = F.conv2d(x, kernel[None, None, :, None], stride=(factor, 1))
    x = F.conv2d(x, kernel[None, None, None, :], stride=(1, factor))
    return x.reshape(*images.shape[:2], side, side)


def l2(image: Tensor, target: Tensor, enough: float) -> Tensor:
    """Mean squared difference of each image, (N,): never below `enough`, so that a match pulls no further."""
    return (image - target).square().mean((1, 2, 3)).clamp(min=enough)


def l1(image: Tensor, target: Tensor, enough: float) -> Tensor:
    """10 times the mean absolute difference of each image, not below `enough`."""
    return 10 * (image - target).abs().mean((1, 2, 3)).clamp(min=enough)


def geocross(codes: Tensor) -> Tensor:
    """How far the rows of codes (N, L, D) are from each other: D / 8 of the mean squared angle over all pairs, (N,)."""
    one, other = codes[:, None], codes[:, :, None]
    apart, along = ((v.square().sum(-1) + 1e-9).sqrt() for v in (one - other, one + other))
    angles = 2 * torch.atan2(apart, along)
    return codes.shape[-1] / 8 * angles.square().mean((1, 2))


def slope(step: int, steps: int) -> float:
    """The share of the learning rate at a step: up and down from and to a tenth, then in the last tenth to a 1000th."""
    t = step / (0.9 * steps)
    if t < 1:
        return (9 * (1 - abs(2 * t - 1)) + 1) / 10
    return 0.1 + (0.001 - 0.1) * (step - 0.9 * steps) / (0.1 * steps)


def norm(x: Tensor) -> Tensor:
    """The length of x (N, A, ...) over the axes from the third on."""
    return (x.square().flatten(2).sum(2) + 1e-9).sqrt().reshape(*x.shape[:2], *[1] * (x.dim() - 2))


class SphericalAdam:
    """Adam, after each step of which every part of a tensor (see `norm`) is as long as it was at the beginning."""

    def __init__(self, tensors: list[Tensor], rate: float, steps: int):
        self.tensors, self.rate, self.steps, self.taken = tensors, rate, steps, 0
        self.adam = Adam(tensors, rate)
        self.lengths = [norm(x.detach()) for x in tensors]

    def step(self, loss: Tensor) -> None:
        """Follow the gradient of `loss` in the tensors."""
        for group in self.adam.param_groups:
            group["lr"] = self.rate * slope(self.taken, self.steps)
        for x, gradient in zip(self.tensors, torch.autograd.grad(loss, self.tensors), strict=True):
            x.grad = gradient
        self.adam.step()
        self.taken += 1
        with torch.no_grad():
            for x, length in zip(self.tensors, self.lengths, strict=True):
                x.mul_(length / norm(x))
