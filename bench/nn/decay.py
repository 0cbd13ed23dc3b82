"""A learning rate that falls to 0, as pix2pix (Isola et al., 2017) and what is built on its code train."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor
from torch.optim import Adam


class DecayingAdam(Adam):
    """Adam at a constant learning rate first, which then falls linearly to 0.

    `steps`: updates of the whole training; 0 where it has no end, and the rate stays. `constant`: the share of them at
    the full rate.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        steps: int,
        constant: float = 0.5,
        weight_decay: float = 0,
    ):
        super().__init__(parameters, lr, betas, weight_decay=weight_decay)
        self.rate, self.steps, self.constant = lr, steps, constant
        for group in self.param_groups:
            group["updates"] = 0  # kept in checkpoints

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            if self.steps:
                group["lr"] = self.rate * min(1, (1 - group["updates"] / self.steps) / (1 - self.constant))
            group["updates"] += 1
        return super().step(closure)
