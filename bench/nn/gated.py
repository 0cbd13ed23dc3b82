"""Plain and gated convolutions of the DeepFill family (Yu et al., CVPR 2018 and ICCV 2019), padded by reflection.

The TensorFlow releases pad with zeros instead ("same"): at stride 2 the odd pixel goes to the right and bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Padding = Literal["reflect", "same"]
Activation = Callable[[Tensor], Tensor]


def identity(x: Tensor) -> Tensor:
    """No activation."""
    return x


class PaddedConv(nn.Module):
    """A convolution with bias, padded to keep the size over the stride, and an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation = F.elu,
        padding: Padding = "reflect",
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, dilation=dilation)
        self.activation, self.padding = activation, padding

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(self.pad(x)))

    def pad(self, x: Tensor) -> Tensor:
        """The input with its border."""
        reach = (self.conv.kernel_size[0] - 1) * self.conv.dilation[0]
        if self.padding == "reflect":
            return F.pad(x, (reach // 2,) * 4, mode="reflect")
        stride = self.conv.stride[0]
        rows, columns = (max((-(-n // stride) - 1) * stride + reach + 1 - n, 0) for n in x.shape[2:])
        return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


class GatedConv(nn.Module):
    """Gated convolution (Eq. 3): one convolution gives features and gates, activation(features) sigmoid(gates)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation = F.elu,
        padding: Padding = "reflect",
    ):
        super().__init__()
        self.conv = PaddedConv(inputs, 2 * outputs, kernel, stride, dilation, identity, padding)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        features, gates = self.conv(x).chunk(2, dim=1)
        return self.activation(features) * torch.sigmoid(gates)
