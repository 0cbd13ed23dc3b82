"""Ranger: rectified Adam with look-ahead and gradient centralisation, the optimiser of StyleGAN2 encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import RAdam


class Ranger(RAdam):
    """Rectified Adam (Liu et al., 2020), gradient centralisation (Yong et al., 2020), look-ahead (Zhang et al., 2019).

    A gradient with more than one axis loses its mean over all axes but the first. Every `every` steps the slow
    weights move by `share` towards the fast ones, which go on from there. The defaults are those of pSp and e4e.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float = 1e-4, betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5, every: int = 6, share: float = 0.5,
    ):  # fmt: skip
        super().__init__(parameters, lr, betas, eps)
        self.every, self.share = every, share

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for parameter in moved:
            if parameter.grad.ndim > 1:
                parameter.grad -= parameter.grad.mean(dim=tuple(range(1, parameter.ndim)), keepdim=True)
        before = {p: p.clone() for p in moved if "slow" not in self.state[p]}
        loss = super().step(closure)
        for parameter in moved:
            state = self.state[parameter]
            slow = state.setdefault("slow", before.get(parameter))
            if state["step"] % self.every == 0:
                parameter.copy_(slow.lerp_(parameter, self.share))
        return loss
