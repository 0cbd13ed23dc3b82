"""The texture network of ZITS: LaMa's residual blocks between plain convolutions, guided by the structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.zits.structure import Structure
from bench.nn.fourier import FFCResBlock, split


class TextureGenerator(nn.Module):
    """Fourier CNN Texture Restoration (section 3.3). (N, 4, H, W) -> (N, 3, H, W) in [0, 1].

    Input: the masked image in [0, 1] and the mask; H and W are multiples of 8. What the structure encoder gives is
    added at each of the four sizes; without it, the network is the one that is trained first.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        w = width
        self.conv1, self.bn1 = nn.Conv2d(4, w, 7), nn.BatchNorm2d(w)
        for i in (1, 2, 3):
            inputs, outputs = w << (i - 1), w << i
            self.add_module(f"conv{i + 1}", nn.Conv2d(inputs, outputs, 3, 2, 1))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(outputs))
        self.pair = split(8 * w)
        self.middle = nn.Sequential(*(FFCResBlock(self.pair) for _ in range(blocks)))
        for i in (1, 2, 3):
            inputs, outputs = w << (4 - i), w << (3 - i)
            self.add_module(f"convt{i}", nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1))
            self.add_module(f"bnt{i}", nn.BatchNorm2d(outputs))
        self.convt4 = nn.Conv2d(w, 3, 7)

    def forward(self, x: Tensor, structure: Structure | None = None) -> Tensor:
        x = self.conv1(F.pad(x, (3,) * 4, mode="reflect"))
        features: list[Tensor] = []
        if structure is not None:
            features, positions = structure
            x = x + positions
        x = F.relu(self.bn1(x))
        for i in (2, 3, 4):
            x = x + features[i - 2] if features else x
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)))
        x = x + features[3] if features else x
        local, whole = x.split(self.pair, dim=1)
        x = torch.cat(self.middle((local, whole)), dim=1)
        for i in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bnt{i}")(self.get_submodule(f"convt{i}")(x)))
        return (self.convt4(F.pad(x, (3,) * 4, mode="reflect")).tanh() + 1) / 2
