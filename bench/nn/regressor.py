"""A network that tells the numbers which describe a face (`bench.data.attributes`), and how it learns them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.data.attributes import chosen
from bench.method import Batch, Method, Noise, Stage, Update


class Residual(nn.Module):
    """Two convolutions and a shortcut, at half the size: (N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(8, outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1), nn.GroupNorm(8, outputs),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.convs(x) + self.shortcut(F.avg_pool2d(x, 2)))


class Regressor(nn.Module):
    """Numbers (N, len(names)) of pictures (N, 3, H, W) in [-1, 1], which it sees at `size` x `size` pixels.

    What the network gives is standardised: `targets` keeps mean and variance of all numbers that it learnt from.
    """

    def __init__(self, names: Sequence[str], size: int, widths: Sequence[int]):
        super().__init__()
        self.names, self.size = tuple(names), size
        self.stem = nn.Conv2d(3, widths[0], 3, 1, 1)
        self.blocks = nn.Sequential(*(Residual(*pair) for pair in pairwise(widths)))
        side = size >> (len(widths) - 1)
        self.linear = nn.Linear(widths[-1] * side**2, len(names))
        self.targets = nn.BatchNorm1d(len(names), affine=False, momentum=None)

    def standardised(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        return self.linear(self.blocks(self.stem(images)).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        mean, variance = self.targets.running_mean, self.targets.running_var
        assert mean is not None and variance is not None
        return self.standardised(images) * (variance + self.targets.eps).sqrt() + mean

    def loss(self, images: Tensor, values: Tensor) -> Tensor:
        """Mean squared error of the standardised numbers, of which `values` (N, len(names)) are the true ones."""
        self.targets.train()(values)  # it follows their mean and variance
        return F.mse_loss(self.standardised(images), self.targets.eval()(values))


class RegressorStage(Stage):
    """The regressor learns what the data set says of its pictures. It judges, later, what a generator draws."""

    regressor: Regressor
    name, iterations, batch_size = "regressor", 100_000, 32
    guides = ("attributes",)

    def __init__(self, method: Method, regressor: Regressor, rate: float = 1e-3):
        super().__init__(method)
        object.__setattr__(self, "regressor", regressor)  # the method's own
        self.rate = rate

    def optimisers(self) -> dict[str, Optimizer]:
        return {"regressor": Adam(self.regressor.parameters(), self.rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        values = self.values(batch)
        loss = self.regressor.loss(batch.image, values)
        update("regressor", loss)
        return {"regression": loss}

    def values(self, batch: Batch) -> Tensor:
        """The true numbers (N, len(names)) of a batch."""
        return chosen(batch.need("attributes"), self.regressor.names, self.method.card.slug)
