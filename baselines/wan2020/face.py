"""The face stage: a SPADE generator (Park et al., 2019) that draws a face anew, guided by the degraded one.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

START = 32  # the first map's side is the image's, divided by it


def resized(image: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, without a filter where it shrinks."""
    return F.interpolate(image, size, mode="bilinear", align_corners=False)


class SPADE(nn.Module):
    """Batch normalisation without parameters; the image says scale and shift of every pixel."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(3, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma, self.mlp_beta = (nn.Conv2d(hidden, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Maps (N, C, h, w) and the image (N, 3, h, w) at their size."""
        seen = self.mlp_shared(image)
        return self.param_free_norm(x) * (1 + self.mlp_gamma(seen)) + self.mlp_beta(seen)


class SPADEBlock(nn.Module):
    """Residual block: SPADE, leaky ReLU, 3 x 3, twice; a shortcut to other channels is SPADE and 1 x 1."""

    def __init__(self, inputs: int, outputs: int, hidden: int):
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0, self.norm_1 = SPADE(inputs, hidden), SPADE(middle, hidden)
        self.learned = inputs != outputs
        if self.learned:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = SPADE(inputs, hidden)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Maps (N, inputs, h, w) -> (N, outputs, h, w); the image may have any size."""
        image = resized(image, x.shape[2:])
        shortcut = self.conv_s(self.norm_s(x, image)) if self.learned else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, image), 0.2))
        return shortcut + self.conv_1(F.leaky_relu(self.norm_1(x, image), 0.2))


class FaceGenerator(nn.Module):
    """Degraded faces (N, 3, H, W) in [-1, 1], with sides that are multiples of 32 -> restored ones, the same.

    `width`: channels of the last block; the first has 16 times as many.
    """

    def __init__(self, width: int, hidden: int):
        super().__init__()
        w = width
        self.fc = nn.Conv2d(3, 16 * w, 3, padding=1)
        self.head_0, self.G_middle_0, self.G_middle_1 = (SPADEBlock(16 * w, 16 * w, hidden) for _ in range(3))
        self.up_0, self.up_1, self.up_2, self.up_3 = (SPADEBlock(n * w, n // 2 * w, hidden) for n in (16, 8, 4, 2))
        self.conv_img = nn.Conv2d(w, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.head_0(self.fc(resized(image, [side // START for side in image.shape[2:]])), image)
        x = self.G_middle_0(doubled(x), image)
        x = self.G_middle_1(x, image)
        for layer in (self.up_0, self.up_1, self.up_2, self.up_3):
            x = layer(doubled(x), image)
        return self.conv_img(F.leaky_relu(x, 0.2)).tanh()


def doubled(x: Tensor) -> Tensor:
    """Twice the size, nearest."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
