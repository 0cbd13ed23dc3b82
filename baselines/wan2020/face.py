"""The face stage: a SPADE generator (Park et al., 2019) that draws a face anew, guided by the degraded one.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from bench.nn.spade import SPADE, START, SPADEGenerator


def resized(image: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, without a filter where it shrinks."""
    return F.interpolate(image, size, mode="bilinear", align_corners=False)


class SPADEBlock(nn.Module):
    """Residual block: SPADE, leaky ReLU, 3 x 3, twice; a shortcut to other channels is SPADE and 1 x 1."""

    def __init__(self, inputs: int, outputs: int, hidden: int):
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0, self.norm_1 = SPADE(3, inputs, hidden), SPADE(3, middle, hidden)
        self.learned = inputs != outputs
        if self.learned:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = SPADE(3, inputs, hidden)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Maps (N, inputs, h, w) -> (N, outputs, h, w); the image may have any size."""
        image = resized(image, x.shape[2:])
        shortcut = self.conv_s(self.norm_s(x, image)) if self.learned else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, image), 0.2))
        return shortcut + self.conv_1(F.leaky_relu(self.norm_1(x, image), 0.2))


class FaceGenerator(SPADEGenerator):
    """Degraded faces (N, 3, H, W) in [-1, 1], with sides that are multiples of 32 -> restored ones, the same.

    `width`: channels of the last block; the first has 16 times as many.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__(3, width, lambda before, here: SPADEBlock(before, here, hidden))

    def forward(self, image: Tensor) -> Tensor:
        return self.draw(resized(image, [side // START for side in image.shape[2:]]), image)
