"""StyleFlow's network: a continuous normalising flow between codes and normal values, told the attributes.

Grathwohl et al., "FFJORD" (2019), conditional as in Yang et al., "PointFlow" (2019).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import log, pi

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
Move = Callable[[Tensor, State], State]
"""The derivatives of a state at a time."""


class ConcatSquash(nn.Module):
    """y = linear(x) * sigmoid(gate(c)) + shift(c), with the context c = [t, attributes]."""

    def __init__(self, inputs: int, outputs: int, context: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(context, outputs)
        self.shift = nn.Linear(context, outputs, bias=False)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.linear(x) * self.gate(context).sigmoid() + self.shift(context)


class Field(nn.Module):
    """dx / dt of codes x (N, rows, dim) at a time, for attributes (N, K): six layers, tanh between them."""

    def __init__(self, dim: int, attributes: int, layers: int = 6):
        super().__init__()
        self.layers = nn.ModuleList(ConcatSquash(dim, dim, 1 + attributes) for _ in range(layers))

    def forward(self, time: Tensor, x: Tensor, attributes: Tensor) -> Tensor:
        context = torch.cat([time.expand(len(attributes), 1), attributes], dim=1)[:, None]  # one for all rows
        for number, layer in enumerate(self.layers):
            x = layer(x.tanh() if number else x, context)
        return x


class MovingNorm(nn.Module):
    """Normalisation by statistics that follow those of the batches; in training, too, by those of before the batch."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, dim: int, decay: float = 0.1, eps: float = 1e-4):
        super().__init__()
        self.decay, self.eps = decay, eps
        self.weight, self.bias = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    @property
    def gain(self) -> Tensor:
        """The logarithms (dim,) of what it multiplies by."""
        return self.weight - (self.running_var + self.eps).log() / 2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What becomes of codes (N, rows, dim), and the logarithm of the determinant, of one row."""
        gain = self.gain
        y = (x - self.running_mean) * gain.exp() + self.bias
        if self.training:
            self.follow(x.detach().flatten(0, -2))
        return y, gain.sum()

    @torch.no_grad()
    def follow(self, rows: Tensor) -> None:
        self.running_mean.copy_(self.running_mean.lerp(rows.mean(0), self.decay))  # not in place: gradients need them
        self.running_var.copy_(self.running_var.lerp(rows.var(0), self.decay))

    def inverse(self, y: Tensor) -> Tensor:
        return (y - self.bias) * (-self.gain).exp() + self.running_mean


class Flow(nn.Module):
    """Codes (N, rows, dim) with attributes (N, K) to normal values of the same shape, and back.

    `steps`: of the fourth-order Runge-Kutta method, which takes the place of an adaptive solver.
    """

    def __init__(self, dim: int = 512, attributes: int = 17, steps: int = 32):
        super().__init__()
        self.steps = steps
        self.first, self.last = MovingNorm(dim), MovingNorm(dim)
        self.field = Field(dim, attributes)
        self.root_of_end = nn.Parameter(torch.ones(()))

    def forward(self, codes: Tensor, attributes: Tensor) -> Tensor:
        """The normal values of codes."""
        x, _ = self.first(codes)
        (x,) = self.solve(lambda t, state: (self.field(t, *state, attributes),), (x,))
        return self.last(x)[0]

    def inverse(self, normal: Tensor, attributes: Tensor) -> Tensor:
        """The codes that have these attributes."""
        x = self.last.inverse(normal)
        (x,) = self.solve(lambda t, state: (self.field(t, *state, attributes),), (x,), backwards=True)
        return self.first.inverse(x)

    def likelihood(self, codes: Tensor, attributes: Tensor, probe: Tensor) -> Tensor:
        """Log-likelihoods (N,) of codes, summed over their rows; `probe`: normal values like them (Hutchinson)."""

        def moved(time: Tensor, state: State) -> State:
            change = self.field(time, state[0], attributes)
            (towards,) = torch.autograd.grad(change, state[0], probe, create_graph=True)
            return change, (towards * probe).sum((1, 2))

        x, gain = self.first(codes)
        x = x if x.requires_grad else x.requires_grad_()
        x, grown = self.solve(moved, (x, x.new_zeros(len(x))))
        x, last = self.last(x)
        normal = -(x.square() + log(2 * pi)).sum((1, 2)) / 2
        return normal + grown + (gain + last) * x.shape[1]

    def solve(self, move: Move, state: State, backwards: bool = False) -> State:
        """From time 0 to the learnt end, or back."""
        end = self.root_of_end.square().reshape(1, 1)
        step = -end / self.steps if backwards else end / self.steps
        time = end if backwards else torch.zeros_like(end)
        for _ in range(self.steps):
            state, time = runge_kutta(move, time, state, step), time + step
        return state

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Load the released names; counters are no weights."""
        names = {"_layer": "linear", "_hyper_gate": "gate", "_hyper_bias": "shift"}
        own = {}
        for key, value in state.items():
            if key.endswith((".step", "._num_evals")):
                continue
            key = re.sub(r"^chain\.1\.odefunc\.diffeq\.", "field.", key).replace("chain.1.sqrt_end_time", "root_of_end")
            key = key.replace("chain.0.", "first.").replace("chain.2.", "last.")
            own[re.sub(r"_layer|_hyper_\w+", lambda found: names[found[0]], key)] = value
        self.load_state_dict(own)


def runge_kutta(move: Move, time: Tensor, state: State, step: Tensor) -> State:
    """One step of the classical fourth-order method."""

    def ahead(change: State, share: float) -> State:
        return tuple(x + (share * step).reshape((1,) * x.ndim) * d for x, d in zip(state, change, strict=True))

    first = move(time, state)
    second = move(time + step / 2, ahead(first, 0.5))
    third = move(time + step / 2, ahead(second, 0.5))
    fourth = move(time + step, ahead(third, 1))
    mean = tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True))
    return ahead(mean, 1)
