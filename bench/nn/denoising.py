"""Networks that learn to take the noise out of pictures: their sizes, what they tell, and how they learn it.

The losses are those of Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (ICML 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.method import Config, Method, Noise, Sizes, Source, Stage
from bench.nn.diffusion import STEPS, Diffusion, at
from bench.nn.schedule import ScheduledAdam, cosine

Network = TypeVar("Network", bound=nn.Module)


class DenoiserConfig(Config):
    """Sizes of a U-Net of `bench.nn.adm`, and its training."""

    width: int = 256  # channels at the whole size
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)  # of the width; sides halve from one to the next
    blocks: int = 2  # residual blocks of a level on the way down; one more on the way up
    attention: tuple[int, ...] = (3, 4, 5)  # levels with attention, counted from 0; the middle has it always
    head: int = 64  # channels of an attention head
    groups: int = 32  # of every norm
    learning_rate: float = 2e-5
    left: float = Field(default=1.0, ge=0, le=1)  # of the learning rate at the end, to which it falls by half a cosine
    batch_size: int = 8
    iterations: int = 1_250_000
    predicts: Literal["noise", "velocity"] = "noise"  # what the network gives and its loss measures
    variances: Literal["learned", "least"] = "learned"  # of a step back
    taught: int = Field(
        default=STEPS, ge=1, le=STEPS
    )  # steps that training draws from: the first ones, of little noise
    gamma: float = 0.0  # P2: the error of the noise counts 1 / (1 + SNR)^gamma
    ema: float = 0.9999

    @property
    def layers(self) -> dict[str, Any]:
        """What the U-Net is made with."""
        names = ("width", "multipliers", "blocks", "attention", "head", "groups")
        return {name: getattr(self, name) for name in names}

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2 ** (len(self.multipliers) - 1))

    def noise_and_v(self, output: Tensor, x: Tensor, k: int | Tensor) -> Tensor:
        """What the network gives of x_k (N, 6, H, W), k = 0 .. 999, of all or (N,), as the noise and v."""
        noise, v = output.chunk(2, dim=1)
        if self.predicts == "velocity":
            abar = LINEAR.abar
            noise = at((1 - abar) ** 0.5, k, x) * x + at(abar**0.5, k, x) * noise
        return torch.cat([noise, v if self.variances == "learned" else torch.full_like(v, -1)], dim=1)


LINEAR = Diffusion.linear()
BETAS = (0.9, 0.999)  # of Adam


class GuidedConfig(DenoiserConfig):
    """The same of a network that is told more than the time."""

    steps: int = Field(default=1000, ge=2, le=1000)  # of the 1,000, equally spaced
    zeros: bool = True  # the layers that end blocks and the network begin at 0, as published

    def started(self, network: Network) -> Network:
        """A new network, as training begins with it; where `zeros` is off, a picture depends on all at once."""
        return network if self.zeros else woken(network)


@torch.no_grad()
def woken(network: Network) -> Network:
    """The network with a tenth of PyTorch's own first weights in the place of zeros."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d) and not layer.weight.is_meta and not layer.weight.any():
            layer.reset_parameters()
            layer.weight *= 0.1
            if layer.bias is not None:
                layer.bias *= 0.1
    return network


class Seen(NamedTuple):
    """What was learned from in an iteration."""

    losses: dict[str, Tensor]  # noise, and bound where variances are learned
    x: Tensor  # (N, 3, H, W) the noised pictures
    k: Tensor  # (N,) their steps
    output: Tensor  # (N, 6, H, W) the noise and v that the network told

    @property
    def loss(self) -> Tensor:
        return torch.stack([*self.losses.values()]).sum()


def learned(config: DenoiserConfig, predict: Callable[[Tensor, Tensor], Tensor], picture: Tensor, noise: Noise) -> Seen:
    """Errors of the noise at steps drawn for pictures (N, 3, H, W), and of the variances by the variational bound.

    predict: gives the noise and v of x_k and k (N,).
    """
    c, abar = config, LINEAR.abar
    k, normal = (noise.uniform() * c.taught).long(), noise.normal(*picture.shape[1:])
    x = LINEAR.noised(picture, k, normal)
    output = predict(x, k).float()
    weights = (1 - abar) ** c.gamma / (abar if c.predicts == "velocity" else 1)  # of the noise's error
    losses = {"noise": (at(weights, k, x) * (output[:, :3] - normal) ** 2).mean()}
    if c.variances == "learned":
        losses["bound"] = LINEAR.bound(picture, x, k, output).mean()
    return Seen(losses, x, k, output)


class DenoiserStage(Stage):
    """Trains the network `trained` of a method, as its options say, by AdamW without decay, which is Adam.

    `share`: of the method's iterations, and of its training budget.
    """

    trained: ClassVar[str] = "network"

    def __init__(self, method: Method, share: float = 1.0):
        super().__init__(method)
        c: Any = method.config
        self.share, self.batch_size, self.iterations = share, c.batch_size, round(share * c.iterations)
        self.ema = {self.trained: c.ema}

    def optimisers(self) -> dict[str, Optimizer]:
        c: Any = self.method.config
        parameters = self.method.get_submodule(self.trained).parameters()
        return {self.trained: ScheduledAdam(parameters, c.learning_rate, BETAS, self.steps, cosine(c.left))}


def times(k: int | Tensor, x: Tensor) -> Tensor:
    """Steps (N,) of x, of which one may be told for all."""
    return k if isinstance(k, Tensor) else x.new_full((len(x),), k)
