"""Gaussian diffusion in discrete steps: its schedule, fewer steps of it, one step back or forward, and the losses.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020); learned variances and respacing: Nichol and
Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (ICML 2021).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

STEPS = 1000  # of training


class Reverse(NamedTuple):
    """What a network tells of one step back."""

    clean: Tensor  # (N, 3, H, W) the picture as it sees it now, in [-1, 1]
    mean: Tensor  # of x one step back, and the logarithm of its variance
    log_variance: Tensor

    def drawn(self, normal: Tensor) -> Tensor:
        """x one step back, by normal values."""
        return self.mean + (self.log_variance / 2).exp() * normal


class Diffusion:
    """A schedule: x_k = sqrt(abar_k) picture + sqrt(1 - abar_k) normal, k = 0 .. len - 1.

    Arrays of one double a step. `times` are the steps of training that these are, which networks are told.
    """

    def __init__(self, times: np.ndarray, abar: np.ndarray):
        before = np.append(1.0, abar[:-1])
        self.times, self.abar, self.beta = times, abar, 1 - abar / before
        # of the posterior q(x_(k-1) | x_k, picture): its mean is clean * picture + noisy * x_k
        self.clean = self.beta * np.sqrt(before) / (1 - abar)
        self.noisy = (1 - before) * np.sqrt(1 - self.beta) / (1 - abar)
        variance = self.beta * (1 - before) / (1 - abar)
        self.log_beta, self.log_posterior = np.log(self.beta), np.log(np.append(variance[1], variance[1:]))

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def linear(cls) -> Diffusion:
        """The 1,000 steps that ADM is trained with, betas from 0.0001 to 0.02."""
        return cls(np.arange(STEPS), np.cumprod(1 - np.linspace(1e-4, 0.02, STEPS)))

    @classmethod
    def rooted(cls, first: float, last: float) -> Diffusion:
        """1,000 steps, the roots of whose betas are equally spaced: as latent diffusion has them."""
        return cls(np.arange(STEPS), np.cumprod(1 - np.linspace(first**0.5, last**0.5, STEPS) ** 2))

    def strided(self, count: int) -> Diffusion:
        """`count` steps out of these (2 or more), each as far from the next one, the second of all the first."""
        kept = np.arange(count) * (len(self) // count) + 1
        return Diffusion(self.times[kept], self.abar[kept])

    def respaced(self, count: int) -> Diffusion:
        """`count` steps out of these (2 or more), equally spaced, the first and the last among them."""
        kept = np.round(np.arange(count) * (len(self) - 1) / (count - 1)).astype(int)
        return Diffusion(self.times[kept], self.abar[kept])

    def noised(self, picture: Tensor, k: int | Tensor, normal: Tensor) -> Tensor:
        """x_k of pictures (N, 3, H, W) by normal values of that shape; k: of all, or (N,)."""
        return at(self.abar**0.5, k, picture) * picture + at((1 - self.abar) ** 0.5, k, picture) * normal

    def forward(self, x: Tensor, k: int, normal: Tensor) -> Tensor:
        """x_(k + 1) of x_k: one step of the diffusion itself."""
        beta = float(self.beta[k + 1])
        return (1 - beta) ** 0.5 * x + beta**0.5 * normal

    def reverse(self, x: Tensor, k: int | Tensor, output: Tensor, clipped: bool = True) -> Reverse:
        """One step back from x_k. `output`: of a network, the noise in x and v, which mixes two variances."""
        noise, v = output.chunk(2, dim=1)
        clean = at(self.abar**-0.5, k, x) * x - at((1 / self.abar - 1) ** 0.5, k, x) * noise
        if clipped:
            clean = clean.clamp(-1, 1)
        share = (v + 1) / 2
        log_variance = share * at(self.log_beta, k, x) + (1 - share) * at(self.log_posterior, k, x)
        return Reverse(clean, self.posterior(clean, x, k), log_variance)

    def posterior(self, picture: Tensor, x: Tensor, k: int | Tensor) -> Tensor:
        """The mean of x_(k - 1) where picture and x_k are known; at 0 it is the picture."""
        return at(self.clean, k, x) * picture + at(self.noisy, k, x) * x

    def bound(self, picture: Tensor, x: Tensor, k: Tensor, output: Tensor) -> Tensor:
        """The terms of the variational bound at x_k, bits a value (N,): they teach v alone, as the noise is detached.

        KL of the posterior from what the network tells; at k = 0 the likelihood of the picture's 8-bit values.
        """
        noise, v = output.chunk(2, dim=1)
        told = self.reverse(x, k, torch.cat([noise.detach(), v], dim=1), clipped=False)
        log_posterior = at(self.log_posterior, k, x)
        distance = (self.posterior(picture, x, k) - told.mean) ** 2 * (-told.log_variance).exp()
        ratio = log_posterior - told.log_variance
        divergence = (ratio.exp() - ratio - 1 + distance) / 2
        nats = torch.where(k[:, None, None, None] == 0, unlikelihood(picture, told), divergence)
        return nats.mean(dim=(1, 2, 3)) / math.log(2)


def unlikelihood(picture: Tensor, told: Reverse) -> Tensor:
    """Negative log likelihood of 8-bit values in [-1, 1]: a Gaussian's share between the values' limits."""
    deviation, half = (told.log_variance / 2).exp(), 1 / 255
    below = torch.special.ndtr((picture - told.mean - half) / deviation)
    above = torch.special.ndtr((picture - told.mean + half) / deviation)
    below, above = torch.where(picture < -0.999, 0, below), torch.where(picture > 0.999, 1, above)
    return -(above - below).clamp(min=1e-12).log()


def at(values: np.ndarray, k: int | Tensor, like: Tensor) -> Tensor | float:
    """The value of step k, or those of steps (N,) as (N, 1, 1, 1) of another tensor's type and device."""
    if isinstance(k, Tensor):
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)[k][:, None, None, None]
    return float(values[k])
