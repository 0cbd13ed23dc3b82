"""VSPBFR's code diffuser: a few diffusion steps give clean style codes under those of a degraded picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bench.nn.tacc import TACC


@dataclass(frozen=True)
class Schedule:
    """Diffusion in a few steps, whose betas have equally spaced roots between 0.1 and 0.99.

    One value for each step t. The values are rounded to single precision, as the released code keeps them.
    """

    signal: tuple[float, ...]  # of a noised code: signal * code + noise * normal values
    noise: tuple[float, ...]
    clean: tuple[float, ...]  # of the mean one step back: clean * clean code + noisy * noised code
    noisy: tuple[float, ...]

    @classmethod
    def of(cls, steps: int) -> Schedule:
        """The schedule of that many steps."""
        beta = np.linspace(0.1**0.5, 0.99**0.5, steps) ** 2
        kept = np.cumprod(1 - beta)  # share of the code's variance
        before = np.append(1, kept[:-1])
        clean = np.sqrt(before) * beta / (1 - kept)
        noisy = np.sqrt(1 - beta) * (1 - before) / (1 - kept)
        rows = (np.sqrt(kept), np.sqrt(1 - kept), clean, noisy)
        return cls(*(tuple(row.astype(np.float32).tolist()) for row in rows))


class CodeDiffuser(nn.Module):
    """Four TACC blocks that predict the clean code, and the reverse diffusion with them."""

    def __init__(self, dim: int = 512, blocks: int = 4, steps: int = 4):
        super().__init__()
        self.steps, self.schedule = steps, Schedule.of(steps)
        self.att_mapper = nn.ModuleList(TACC(dim, dim + 1) for _ in range(blocks))

    def predict(self, x: Tensor, condition: Tensor, step: int) -> Tensor:
        """The clean codes (N, L, D) of noised ones under the codes of the degraded picture."""
        time = condition.new_full((*condition.shape[:2], 1), step / self.steps)
        e = torch.cat([condition, time], dim=2)
        for block in self.att_mapper:
            x = block(x, e)
        return x

    def noised(self, codes: Tensor, normal: Tensor) -> Tensor:
        """Codes (N, L, D) at the last step of the diffusion, by normal values of that shape."""
        return self.schedule.signal[-1] * codes + self.schedule.noise[-1] * normal

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Clean codes (N, L, D) by all steps back from x; each goes to the mean, no noise is added."""
        for step in reversed(range(self.steps)):
            x = self.schedule.clean[step] * self.predict(x, condition, step) + self.schedule.noisy[step] * x
        return x
