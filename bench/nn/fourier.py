"""Fast Fourier convolution (Chi et al., NeurIPS 2020) as LaMa uses it, also in FcF and ZITS.

A feature map is a pair: local channels for ordinary convolutions, global channels for convolutions of the spectrum,
where one 1x1 convolution sees the whole picture.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pair = tuple[Tensor, Tensor]  # (local, global)


def _norm(channels: int, used: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if used else nn.Identity()


class FourierUnit(nn.Module):
    """A 1x1 convolution of the spectrum. (N, channels, H, W) -> same; any H and W, even or odd.

    The half spectrum along W ("ortho" norm) has real and imaginary parts as neighbouring channels. The transforms run
    in float32 also under mixed precision: half-precision FFTs exist for powers of two only.
    """

    def __init__(self, channels: int, norm: bool = True):
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = _norm(2 * channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        full = torch.promote_types(x.dtype, torch.float32)
        spectrum = torch.view_as_real(torch.fft.rfft2(x.to(full), norm="ortho"))  # (N, C, H, W / 2 + 1, 2)
        y = F.relu(self.bn(self.conv_layer(spectrum.movedim(-1, 2).flatten(1, 2))), inplace=True)
        parts = y.to(full).unflatten(1, (-1, 2)).movedim(2, -1).contiguous()
        return torch.fft.irfft2(torch.view_as_complex(parts), s=x.shape[2:], norm="ortho").to(x.dtype)


class SpectralTransform(nn.Module):
    """The global branch: half the channels, x + Fourier unit of x, then all channels again.

    local_unit: adds a second Fourier unit (`lfu`) on the quadrants of the first quarter of the channels; its result
        is repeated 2 x 2. H and W must be even.
    """

    def __init__(self, inputs: int, outputs: int, norm: bool = True, local_unit: bool = False):
        super().__init__()
        hidden = outputs // 2
        self.conv1 = nn.Sequential(nn.Conv2d(inputs, hidden, 1, bias=False), _norm(hidden, norm), nn.ReLU())
        self.fu = FourierUnit(hidden, norm)
        self.lfu = FourierUnit(hidden, norm) if local_unit else None
        self.conv2 = nn.Conv2d(hidden, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        y = x + self.fu(x)
        if self.lfu is not None:
            quarter = x[:, : x.shape[1] // 4]
            rows = torch.cat(quarter.chunk(2, dim=2), dim=1)
            y += self.lfu(torch.cat(rows.chunk(2, dim=3), dim=1)).repeat(1, 1, 2, 2)
        return self.conv2(y)


class FFC(nn.Module):
    """One fast Fourier convolution: local and global channels to local and global channels.

    `inputs` and `outputs` are (local, global) channels; a part without channels is None. Convolutions have no bias.
    """

    def __init__(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        mode: Literal["zeros", "reflect"] = "reflect",
        norm: bool = True,
        local_unit: bool = False,
    ):
        super().__init__()

        def convolution(inside: int, outside: int) -> nn.Conv2d | None:
            if not inside or not outside:
                return None
            return nn.Conv2d(inside, outside, kernel, stride, padding, bias=False, padding_mode=mode)

        (local_in, global_in), (local_out, global_out) = inputs, outputs
        self.convl2l = convolution(local_in, local_out)
        self.convl2g = convolution(local_in, global_out)
        self.convg2l = convolution(global_in, local_out)
        self.convg2g = SpectralTransform(global_in, global_out, norm, local_unit) if global_in and global_out else None

    def forward(self, local: Tensor | None, whole: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        return (
            _sum(self.convl2l(local) if self.convl2l else None, self.convg2l(whole) if self.convg2l else None),
            _sum(self.convl2g(local) if self.convl2g else None, self.convg2g(whole) if self.convg2g else None),
        )


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a.add_(b)  # both are fresh


class FFCLayer(nn.Module):
    """A fast Fourier convolution, then batch norm (`norm`) and ReLU on each part. Options as in `FFC`."""

    def __init__(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        norm: bool = True,
        local_unit: bool = False,
    ):
        super().__init__()
        self.ffc = FFC(inputs, outputs, kernel, stride, padding, norm=norm, local_unit=local_unit)
        self.bn_l = _norm(outputs[0], norm and outputs[0] > 0)
        self.bn_g = _norm(outputs[1], norm and outputs[1] > 0)

    def forward(self, x: Tensor | tuple[Tensor | None, Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
        local, whole = self.ffc(*(x if isinstance(x, tuple) else (x, None)))
        return (
            None if local is None else F.relu(self.bn_l(local), inplace=True),
            None if whole is None else F.relu(self.bn_g(whole), inplace=True),
        )


class FFCResBlock(nn.Module):
    """Two FFC layers and a shortcut; no activation after the sum. (local, global) -> same."""

    def __init__(self, channels: tuple[int, int], norm: bool = True, local_unit: bool = False):
        super().__init__()
        self.conv1 = FFCLayer(channels, channels, 3, padding=1, norm=norm, local_unit=local_unit)
        self.conv2 = FFCLayer(channels, channels, 3, padding=1, norm=norm, local_unit=local_unit)

    def forward(self, x: Pair) -> Pair:
        local, whole = self.residual(x)
        return x[0] + local, x[1] + whole

    def residual(self, x: Pair) -> Pair:
        """What is added to the shortcut."""
        return self.conv2(self.conv1(x))


def split(channels: int, share: float = 0.75) -> tuple[int, int]:
    """(local, global) channels where `share` of all are global."""
    whole = int(channels * share)
    return channels - whole, whole
