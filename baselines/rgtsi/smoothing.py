"""Structure of a picture by relative total variation (Xu et al., SIGGRAPH Asia 2012): texture is smoothed away."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.stylegan2_blocks import full_precision

WEIGHT, SHARPNESS, ROUNDS = 0.015, 0.001, 3


def structure(images: Tensor, deviation: float = 3.0, steps: int = 30) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1] with edges of objects but without texture.

    `deviation`: of the first round's Gaussian, in pixels: what is smaller is texture. `steps`: of the conjugate
    gradient method, in each round.
    """
    with torch.no_grad(), full_precision(images):
        given = smooth = (images + 1) / 2
        for number in range(ROUNDS):
            across, down = edge_weights(smooth, max(deviation / 2**number, 0.5))
            smooth = solved(given, WEIGHT / 2 * across, WEIGHT / 2 * down, steps)
        return 2 * smooth.clamp(0, 1) - 1


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    """To the right neighbour and to the lower one; 0 at the border."""
    return F.pad(x.diff(dim=3), (0, 1)), F.pad(x.diff(dim=2), (0, 0, 0, 1))


def edge_weights(x: Tensor, deviation: float) -> tuple[Tensor, Tensor]:
    """How much each pixel must be like its right neighbour and like its lower one, (N, 1, H, W) both; 0 at the border.

    One by the gradient, and one by that of the blurred picture, which texture leaves small.
    """
    right, low = differences(x)
    gradient = (right.square() + low.square()).sqrt().mean(1, keepdim=True).clamp_min(SHARPNESS)
    blurred = (step.abs().mean(1, keepdim=True).clamp_min(SHARPNESS) for step in differences(blur(x, deviation)))
    across, down = (1 / (gradient * step) for step in blurred)
    return F.pad(across[:, :, :, :-1], (0, 1)), F.pad(down[:, :, :-1], (0, 0, 0, 1))


def blur(x: Tensor, deviation: float) -> Tensor:
    """Gaussian blur over about five deviations, with zeros around the picture."""
    size = math.floor(5 * deviation + 0.5) | 1
    place = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
    line = (-place.square() / (2 * deviation**2)).softmax(0).expand(x.shape[1], 1, 1, size)
    x = F.conv2d(x, line, padding=(0, size // 2), groups=x.shape[1])
    return F.conv2d(x, line.transpose(2, 3), padding=(size // 2, 0), groups=x.shape[1])


def solved(given: Tensor, across: Tensor, down: Tensor, steps: int) -> Tensor:
    """x of x + L x = given, L the Laplacian of the pixels with these weights between neighbours.

    By conjugate gradients on the diagonally scaled system, each channel of each image on its own.
    """

    def applied(x: Tensor) -> Tensor:
        right, low = differences(x)
        right, low = across * right, down * low  # flows to the pixel from its neighbours
        return x - right - low + F.pad(right, (1, -1)) + F.pad(low, (0, 0, 1, -1))

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((2, 3), keepdim=True)

    diagonal = 1 + across + down + F.pad(across, (1, -1)) + F.pad(down, (0, 0, 1, -1))
    x, left = given, given - applied(given)
    way = scaled = left / diagonal
    size = product(left, scaled)
    for _ in range(steps):
        there = applied(way)
        length = size / product(way, there).clamp_min(1e-20)
        x, left = x + length * way, left - length * there
        scaled = left / diagonal
        before, size = size, product(left, scaled)
        way = scaled + size / before.clamp_min(1e-20) * way
    return x
