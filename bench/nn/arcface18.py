"""ArcFace-18: a small residual network of face recognition, on grey faces; restorers measure identity by it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.nn.embedded import load as load_embedded
from bench.nn.perceptual import Frozen, frozen
from bench.sources import Source

LUMA = (0.2989, 0.5870, 0.1140)
SIZE = 128  # pixels of a face


class IRBlock(nn.Module):
    """Residual unit whose two activations share one slope; the second one follows the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        return self.prelu(self.bn2(self.conv2(inner)) + self.downsample(x))


class ArcFace18(nn.Module):
    """Grey faces (N, 1, 128, 128) in [-1, 1] -> embeddings (N, 512), of any length. Names are the checkpoint's."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 64, 128, 256, 512)
        self.conv1 = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = nn.PReLU()
        for number, (inputs, outputs) in enumerate(pairwise(widths), 1):
            stride = 1 if number == 1 else 2
            self.add_module(
                f"layer{number}", nn.Sequential(IRBlock(inputs, outputs, stride), IRBlock(outputs, outputs, 1))
            )
        self.bn4 = nn.BatchNorm2d(widths[-1])
        self.dropout = nn.Dropout()
        self.fc5 = nn.Linear(widths[-1] * (SIZE // 16) ** 2, 512)
        self.bn5 = nn.BatchNorm1d(512)

    def forward(self, faces: Tensor) -> Tensor:
        x = F.max_pool2d(self.prelu(self.bn1(self.conv1(faces))), 2)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return self.bn5(self.fc5(self.dropout(self.bn4(x)).flatten(1)))

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Take the released file, whose names begin with `module.`."""
        self.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})


class Embeddings18(Frozen):
    """Embeddings (N, D) of colour images (N, 3, H, W) in [-1, 1]: ArcFace-18's of the grey face at 128 px.

    `embedded`: those of the project's training network, of length 1.
    """

    luma: Tensor

    def __init__(self, source: Source):
        super().__init__()
        self.embedded = source == "embedded"
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)
        if self.embedded:
            self.network: nn.Module = load_embedded("training")
        else:
            self.network = ArcFace18()
            self.network.load_official(weights.load("arcface-resnet18"))
        frozen(self)

    def forward(self, images: Tensor) -> Tensor:
        if self.embedded:
            return self.network(images)["identity"]
        grey = (images * self.luma).sum(1, keepdim=True)
        return self.network(F.interpolate(grey, size=(SIZE, SIZE), mode="bilinear", align_corners=False))
