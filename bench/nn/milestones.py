"""A learning rate that falls in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor
from torch.optim import Adam


class MilestoneAdam(Adam):
    """Adam whose learning rate is multiplied by `factor` after each of these shares of its updates.

    `steps`: updates of the whole training; 0 where it has no end, and the rate stays.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        steps: int,
        milestones: Sequence[float],
        factor: float = 0.5,
    ):
        super().__init__(parameters, lr, betas)
        self.rate, self.ends, self.factor = lr, [share * steps for share in milestones], factor
        for group in self.param_groups:
            group["updates"] = 0  # kept in checkpoints

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        for group in self.param_groups:
            passed = sum(0 < end <= group["updates"] for end in self.ends)
            group["lr"] = self.rate * self.factor**passed
            group["updates"] += 1
        return super().step(closure)
