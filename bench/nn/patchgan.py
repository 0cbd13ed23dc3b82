"""The 70x70 PatchGAN with spectral norm of EdgeConnect (Nazeri et al., 2019), also used by APFI."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from bench.nn.init import normal_init


class PatchGAN(nn.Module):
    """Five 4x4 convolutions without bias, each under spectral norm; leaky ReLU after all but the last.

    (N, inputs, H, W) -> its five feature maps; the last one is the logits, 30 x 30 at 256 px.
    """

    def __init__(self, inputs: int, width: int):
        super().__init__()
        sizes = [inputs, width, 2 * width, 4 * width, 8 * width, 1]
        for i, (before, after) in enumerate(pairwise(sizes), start=1):
            convolution = nn.Conv2d(before, after, 4, stride=2 if i < 4 else 1, padding=1, bias=False)
            activation = [nn.LeakyReLU(0.2)] if i < 5 else []
            self.add_module(f"conv{i}", nn.Sequential(spectral_norm(convolution), *activation))
        normal_init(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for block in self.children():
            x = block(x)
            maps.append(x)
        return maps
