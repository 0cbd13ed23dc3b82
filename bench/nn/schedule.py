"""Learning rates that change in the course of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch.optim import Adam

Schedule = Callable[[float], float]
"""Share of the training that is done, 0 to 1 -> factor of the learning rate."""


class ScheduledAdam(Adam):
    """Adam at its learning rate times what a schedule says.

    `steps`: updates of the whole training; 0 where it has no end, and the rate stays that of its beginning.
    `options`: more of PyTorch's, such as weight decay.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float,
        betas: tuple[float, float],
        steps: int,
        schedule: Schedule,
        **options: Any,
    ):
        super().__init__(parameters, lr, betas, **options)
        self.steps, self.schedule = steps, schedule
        for group in self.param_groups:
            group["rate"], group["updates"] = group["lr"], 0  # kept in checkpoints

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            done = min(1.0, group["updates"] / self.steps) if self.steps else 0.0
            group["lr"] = group["rate"] * self.schedule(done)
            group["updates"] += 1
        return super().step(closure)


def cosine(last: float) -> Schedule:
    """Half a cosine from 1 to `last`."""
    return lambda done: last + (1 - last) * (1 + math.cos(math.pi * done)) / 2


def falling(constant: float = 0.5) -> Schedule:
    """The full rate for a share of the training, then linearly to 0, as pix2pix (Isola et al., 2017) trains."""
    return lambda done: min(1.0, (1 - done) / (1 - constant))


def halved(*shares: float) -> Schedule:
    """Half of the rate from each of these shares of the training on."""
    return lambda done: 0.5 ** sum(done >= share for share in shares)


def part(schedule: Schedule, first: float, last: float) -> Schedule:
    """What a schedule says from one share of its training to another, as one of its own."""
    return lambda done: schedule(first + (last - first) * done)
