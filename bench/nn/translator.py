"""pix2pixHD's network of pictures to pictures (Wang et al., 2018), and the parts that its heirs put together otherwise.

Names inside are those of the heirs' released files.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.lgnet import Norm


class Conv(nn.Module):
    """A convolution with reflected borders [, norm] [, ReLU]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        activate: bool = True,
        norm: Norm | None = None,
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, padding_mode="reflect")
        self.norm = norm(outputs) if norm else None
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return F.relu(x) if self.activate else x


class ResidualBlock(nn.Module):
    """x + [3 x 3, instance norm, ReLU, 3 x 3, instance norm] of x (N, C, H, W).

    With a style the norms are adaptive (Huang & Belongie, 2017): scale * norm(x) + shift.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(*(Conv(channels, channels, 3, activate=False) for _ in range(2)))

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """`style`: (N, 2, 2, C), shift and scale of the first norm, then of the second."""
        first, second = self.conv_block
        inner = F.relu(normal(first(x), None if style is None else style[:, 0]))
        return x + normal(second(inner), None if style is None else style[:, 1])


class NormedBlock(nn.Module):
    """The same with norms of its own, which may learn scale and shift."""

    def __init__(self, channels: int, norm: Norm):
        super().__init__()
        self.conv_block = nn.Sequential(
            *(Conv(channels, channels, 3, activate=activate, norm=norm) for activate in (True, False))
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def normal(x: Tensor, style: Tensor | None) -> Tensor:
    """Instance norm of maps (N, C, H, W), with shift and scale (N, 2, C) where they are given."""
    x = F.instance_norm(x)
    if style is None:
        return x
    shift, scale = style[..., None, None].unbind(1)
    return x * scale + shift


def halving(inputs: int, width: int, halvings: int, norm: Norm) -> list[nn.Module]:
    """The first layers: (N, inputs, H, W) -> (N, width 2^halvings, H / 2^halvings, W / 2^halvings)."""
    widths = [width * 2**i for i in range(halvings + 1)]
    convolutions = [nn.Conv2d(inputs, width, 7), *(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(widths))]
    return [nn.ReflectionPad2d(3), *_normed(convolutions, norm)]


def doubling(width: int, halvings: int, norm: Norm) -> list[nn.Module]:
    """What undoes the halvings: -> (N, width, H, W)."""
    widths = [width * 2**i for i in range(halvings, -1, -1)]
    return _normed((nn.ConvTranspose2d(a, b, 3, 2, 1, 1) for a, b in pairwise(widths)), norm)


def drawing(width: int, last: nn.Module) -> list[nn.Module]:
    """The last layers: (N, width, H, W) -> pictures (N, 3, H, W)."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), last]


def translator(
    inputs: int,
    width: int,
    halvings: int,
    blocks: Iterable[nn.Module],
    last: nn.Module,
    norm: Norm = nn.InstanceNorm2d,
    after: Norm | None = None,
) -> nn.Sequential:
    """The whole network: (N, inputs, H, W) -> (N, 3, H, W).

    Channels are doubled with each halving; residual blocks at the smallest size. `after`: the norm of the layers behind
    them, where it is another one.
    """
    return nn.Sequential(
        *halving(inputs, width, halvings, norm),
        *blocks,
        *doubling(width, halvings, after or norm),
        *drawing(width, last),
    )


def _normed(convolutions: Iterable[nn.Conv2d | nn.ConvTranspose2d], norm: Norm) -> list[nn.Module]:
    return [layer for one in convolutions for layer in (one, norm(one.out_channels), nn.ReLU())]
