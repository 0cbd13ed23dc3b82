"""Partial convolution (Liu et al., ECCV 2018): only known pixels count, and the mask grows layer by layer.

Shared by PConv, RFR and APFI. Counters that know exactly nn.Conv2d, like that of the published columns, pass this
class over.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PartialConv2d(nn.Conv2d):
    """A convolution of the known pixels, rescaled by their share of the window (Eqs. 1 and 2).

    Square odd kernels, padded by half of their side. Takes features and their mask, (N, inputs, H, W) both,
    1 = known; returns features and the updated mask, (N, outputs, H', W') both. A mask of one channel stands for all
    channels and stays one. Zero padding counts as unknown.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False):
        super().__init__(inputs, outputs, kernel, stride, bias=bias)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        with torch.no_grad():
            window = mask.shape[1] * self.kernel_size[0] ** 2
            padding = self.kernel_size[0] // 2
            known = F.avg_pool2d(mask.sum(1, keepdim=True), self.kernel_size, self.stride, padding, divisor_override=1)
            updated = known.clamp(0, 1)
            ratio = window / (known + 1e-8) * updated
        y = F.conv2d(x * mask, self.weight, None, self.stride, padding) * ratio
        if self.bias is not None:
            y = (y + self.bias.view(1, -1, 1, 1)) * updated
        return y, updated if mask.shape[1] == 1 else updated.expand(-1, self.out_channels, -1, -1)


def freeze_batch_norm(network: nn.Module) -> None:
    """Let batch norms use their running statistics and keep them: holes disturb the statistics of a batch."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
