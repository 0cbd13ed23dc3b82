"""dlib's face recognition network: 128 numbers of a face, those of one person within 0.6 (King, 2017).

A residual network of 29 layers after He et al. (arXiv 1512.03385), trained by a metric loss. Source: dlib's
`dnn_face_recognition_ex.cpp`. The file `dlib_face_recognition_resnet_model_v1.dat` holds its tensors in the order in
which layers stand here (`bench.weights.dlib`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 150  # pixels of a face
MEAN, SCALE = (122.782, 117.001, 104.298), 256.0  # of red, green and blue
BLOCKS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))  # width, number, first halves


class Affine(nn.Module):
    """Batch normalisation after training: a gain and a shift of each channel."""

    def __init__(self, width: int):
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain.view(-1, 1, 1) + self.shift.view(-1, 1, 1)


class Block(nn.Module):
    """Residual unit. Where it halves the size its input is averaged; channels, rows and columns that one of both sides
    lacks are 0 there."""

    def __init__(self, inputs: int, outputs: int, halved: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 0) if halved else nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.affine1 = Affine(outputs)
        self.conv2, self.affine2 = nn.Conv2d(outputs, outputs, 3, 1, 1), Affine(outputs)
        self.halved = halved

    def forward(self, x: Tensor) -> Tensor:
        changed = self.affine2(self.conv2(self.affine1(self.conv1(x)).relu()))
        kept = F.avg_pool2d(x, 2) if self.halved else x
        shape = [max(sizes) for sizes in zip(changed.shape[1:], kept.shape[1:], strict=True)]
        return (_padded(changed, shape) + _padded(kept, shape)).relu()


def _padded(x: Tensor, shape: list[int]) -> Tensor:
    """Maps with zeros behind their last channel, row and column."""
    channels, rows, columns = (wanted - there for wanted, there in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, columns, 0, rows, 0, channels))


class FaceNetwork(nn.Module):
    """RGB faces (N, 3, 150, 150) in [0, 255] -> (N, 128), compared by their Euclidean distance."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.affine = nn.Conv2d(3, 32, 7, 2), Affine(32)
        blocks, inputs = [], 32
        for width, count, halved in BLOCKS:
            for number in range(count):
                blocks.append(Block(inputs, width, halved and number == 0))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Parameter(torch.zeros(inputs, 128))

    def forward(self, faces: Tensor) -> Tensor:
        x = (faces - faces.new_tensor(MEAN).view(3, 1, 1)) / SCALE
        x = F.max_pool2d(self.affine(self.conv(x)).relu(), 3, 2)
        return self.blocks(x).mean(dim=(2, 3)) @ self.project

    def layers(self) -> list[tuple[nn.Parameter, ...]]:
        """The parameters of each layer that has some, from the input to the output: those of one tensor in the file."""
        parts = [part for part in self.modules() if isinstance(part, nn.Conv2d | Affine)]
        return [*(tuple(part.parameters()) for part in parts), (self.project,)]

    @torch.no_grad()
    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors of the file, in order; RuntimeError, as of `load_state_dict`, where they do not fit."""
        layers = self.layers()
        sizes = [sum(parameter.numel() for parameter in layer) for layer in layers]
        found = [tensor.numel() for tensor in tensors.values()]
        if found != sizes:
            counts = f"{len(found)} tensors of {sum(found):,} numbers, not {len(sizes)} of {sum(sizes):,}"
            raise RuntimeError(f"it has {counts}")
        for layer, tensor in zip(layers, tensors.values(), strict=True):
            torch.nn.utils.vector_to_parameters(tensor.flatten(), layer)
