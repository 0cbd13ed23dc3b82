"""The network of DISTS (Ding et al., 2020): VGG-16 whose pooling is the root of blurred squares, and channel weights.

Sources: arXiv 2004.07728 and the package DISTS-pytorch 0.1 with its file of weights, alpha and beta.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.perceptual import IMAGENET

CHANNELS = (3, 64, 128, 256, 512, 512)
"""Of the six maps: the picture itself, then relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3."""
ENDS = (3, 8, 15, 22, 29)  # torchvision's numbers of these layers


class Blur(nn.Module):
    """Section 2.1: the root of the squares' mean under a 3 x 3 Hanning window, every second pixel."""

    def forward(self, maps: Tensor) -> Tensor:
        window = torch.tensor([0.25, 0.5, 0.25], dtype=maps.dtype, device=maps.device)
        kernel = (window[:, None] * window).expand(maps.shape[1], 1, 3, 3)
        return (F.conv2d(maps.square(), kernel, stride=2, padding=1, groups=maps.shape[1]) + 1e-12).sqrt()


class DISTS(nn.Module):
    """Pictures (N, 3, H, W) in [0, 1] -> the six maps. `features` has torchvision's names of VGG-16's layers."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import vgg

        layers = list(vgg.make_layers(vgg.cfgs["D"], batch_norm=False))[: ENDS[-1] + 1]
        self.features = nn.Sequential(*(Blur() if isinstance(layer, nn.MaxPool2d) else layer for layer in layers))
        self.alpha, self.beta = (nn.Parameter(torch.zeros(1, sum(CHANNELS), 1, 1)) for _ in range(2))
        for name, values in zip(("mean", "deviation"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def weights(self) -> tuple[Tensor, Tensor]:
        """Those of structure, beta, and of texture, alpha: (1475,) twice, together they sum to 1."""
        total = self.alpha.sum() + self.beta.sum()
        return (self.beta / total).flatten(), (self.alpha / total).flatten()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps, x = [pictures], (pictures - self.mean) / self.deviation
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in ENDS:
                maps.append(x.clone())  # the next layer may work in place
        return maps
