"""SPADE (Park et al., 2019): a picture is drawn from coarse to fine, under a condition that every norm sees.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

START = 32  # the first map's sides are the picture's, divided by it


class SPADE(nn.Module):
    """A norm without parameters, batch normalisation by default; the condition says scale and shift of every pixel."""

    def __init__(self, condition: int, channels: int, hidden: int, norm: nn.Module | None = None):
        super().__init__()
        self.param_free_norm = norm or nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(condition, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma, self.mlp_beta = (nn.Conv2d(hidden, channels, 3, padding=1) for _ in range(2))

    def modulation(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The scale, less 1, and the shift (N, C, h, w) that a condition (N, D, h, w) says."""
        seen = self.mlp_shared(condition)
        return self.mlp_gamma(seen), self.mlp_beta(seen)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (N, C, h, w), and the condition at their size."""
        gamma, beta = self.modulation(condition)
        return self.param_free_norm(x) * (1 + gamma) + beta


Block = Callable[[int, int], nn.Module]  # of the channels before and after


class SPADEGenerator(nn.Module):
    """The layers of the generator: seven blocks, the size doubled five times.

    `width`: channels of the last block, `last`, which may be another kind; the first has 16 times as many.
    """

    def __init__(self, condition: int, width: int, block: Block, last: Block | None = None):
        super().__init__()
        w = width
        self.fc = nn.Conv2d(condition, 16 * w, 3, padding=1)
        self.head_0, self.G_middle_0, self.G_middle_1 = (block(16 * w, 16 * w) for _ in range(3))
        self.up_0, self.up_1, self.up_2 = (block(n * w, n // 2 * w) for n in (16, 8, 4))
        self.up_3 = (last or block)(2 * w, w)
        self.conv_img = nn.Conv2d(w, 3, 3, padding=1)

    def draw(self, small: Tensor, *given: Any) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] from the condition at a 32nd of their sides; blocks see what is `given`."""
        x = self.head_0(self.fc(small), *given)
        x = self.G_middle_0(doubled(x), *given)
        x = self.G_middle_1(x, *given)
        for layer in (self.up_0, self.up_1, self.up_2, self.up_3):
            x = layer(doubled(x), *given)
        return self.conv_img(F.leaky_relu(x, 0.2)).tanh()


def doubled(x: Tensor) -> Tensor:
    """Twice the size, nearest."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
