"""GRIG's forged-patch discriminator, its label map and its loss; the projected one is in `bench.nn.projected`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

KERNEL, PADDING = 4, 1  # of every convolution of the forged-patch discriminator


class PatchDiscriminator(nn.Module):
    """PatchGAN with spectral norm on every convolution. (N, 3, H, W) -> logits, 30 x 30 at 256 px.

    `strides` sets the depth and the receptive field: 70 px with (2, 2, 2, 1, 1).
    """

    def __init__(self, width: int, strides: Sequence[int]):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for i, stride in enumerate(strides):
            outputs = width * min(2**i, 8) if i < len(strides) - 1 else 1
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, KERNEL, stride, PADDING)), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.model = nn.Sequential(*layers[:-1])

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


def label_map(mask: Tensor, strides: Sequence[int]) -> Tensor:
    """The label map X: 1 for each unit whose receptive field contains a hole pixel. (N, 1, H, W) -> the logits' shape.

    Max pooling with the geometry of the discriminator; padding never wins.
    """
    for stride in strides:
        mask = F.max_pool2d(mask, KERNEL, stride, PADDING)
    return (mask > 0).to(mask)


def forged_patch_hinge(real: Tensor, fake: Tensor, label: Tensor) -> Tensor:
    """Hinge loss of the forged-patch discriminator: a unit of a completion is forged only where it sees the hole.

    mean max(0, 1 - D(x)) + mean max(0, 1 - D(r)) (1 - X) + mean max(0, 1 + D(r)) X, over all units.
    """
    return F.relu(1 - real).mean() + torch.where(label > 0, F.relu(1 + fake), F.relu(1 - fake)).mean()
