"""Partial convolution (Liu et al., ECCV 2018): only known pixels count, and the mask grows layer by layer.

Shared by PConv and RFR. It is a class of its own, not nn.Conv2d, for counters that know standard layers only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PartialConv2d(nn.Conv2d):
    """A convolution of the known pixels, rescaled by their share of the window (Eqs. 1 and 2).

    Takes features and their mask, (N, inputs, H, W) both, 1 = known; returns features and the updated mask,
    (N, outputs, H', W') both. Zero padding counts as unknown.
    """

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            window = self.in_channels * self.kernel_size[0] ** 2
            known = F.avg_pool2d(
                mask.sum(1, keepdim=True), self.kernel_size, self.stride, self.padding, divisor_override=1
            )
            updated = known.clamp(0, 1)
            ratio = window / (known + 1e-8) * updated
        y = F.conv2d(x * mask, self.weight, None, self.stride, self.padding) * ratio
        if self.bias is not None:
            y = (y + self.bias.view(1, -1, 1, 1)) * updated
        return y, updated.expand(-1, self.out_channels, -1, -1)


def freeze_batch_norm(network: nn.Module) -> None:
    """Let batch norms use their running statistics and keep them: holes disturb the statistics of a batch."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
