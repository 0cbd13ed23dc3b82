"""Where the parts of a face are: heat maps of 98 landmarks (Wang et al., AWing, ICCV 2019), and masks made of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.fan import Hourglass, Unit
from bench.nn.perceptual import Frozen, frozen

SIDE, LANDMARKS = 256, 98  # pixels of what the network sees; its maps have a quarter of them
LEAST = 0.1  # of a heat map, below which it counts as 0

Group = tuple[int, int, int, int]
CHIN, BROWS = (8, 25), (33, 51)
GROUPS: tuple[Group, ...] = (  # landmarks, the second not included; rows upwards; power
    (*CHIN, 0, 3),
    (*BROWS, -7, 2),
    (52, 55, 4, 1),  # the nose
    (55, 60, 8, 4),  # nostrils
    (77, 82, -8, 4),  # the upper lip
    (83, 88, 8, 4),  # the lower lip
    (88, 96, -2, 3),  # the inner lips
)
EYES, MOUTH = (60, 76), (76, 96)
NOWHERE = (*range(8), *range(25, 34), 46, 76, 82)


class WithCoordinates(nn.Module):
    """A convolution that also sees where a pixel is: its row, its column, its distance from the middle."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs + 3, outputs, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        ends = (torch.linspace(-1, 1, side, dtype=x.dtype, device=x.device) for side in (height, width))
        rows, columns = torch.meshgrid(*ends, indexing="ij")
        radius = (rows.square() + columns.square()).sqrt()
        places = torch.stack([rows, columns, radius / radius.max()]).expand(len(x), -1, -1, -1)
        return self.conv(torch.cat([x, places], dim=1))


class PlacedHourglass(Hourglass):
    """An hourglass of the face alignment network behind such a convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.coordconv = WithCoordinates(width, width, 1)

    def forward(self, x: Tensor, level: int | None = None) -> Tensor:
        return super().forward(self.coordconv(x)) if level is None else super().forward(x, level)


class LandmarkNetwork(Frozen):
    """Pictures (N, 3, 256, 256) in [0, 1] -> heat maps (N, 99, 64, 64): the landmarks', and that of all edges."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = WithCoordinates(3, 64, 7, 2, 3), nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = Unit(64, 128), Unit(128, 128), Unit(128, 256)
        self.m0, self.top_m_0 = PlacedHourglass(256), Unit(256, 256)
        self.conv_last0, self.bn_end0 = nn.Conv2d(256, 256, 1), nn.BatchNorm2d(256)
        self.l0 = nn.Conv2d(256, LANDMARKS + 1, 1)
        frozen(self)

    def forward(self, images: Tensor) -> Tensor:
        x = F.avg_pool2d(self.conv2(self.bn1(self.conv1(images)).relu()), 2)
        x = self.top_m_0(self.m0(self.conv4(self.conv3(x))))
        return self.l0(self.bn_end0(self.conv_last0(x)).relu())

    @torch.no_grad()
    def masks(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The masks of pictures (N, 3, H, W) in [-1, 1]: see `masks_of`."""
        faces = (F.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False) + 1) / 2
        heat = self(faces)[:, :LANDMARKS]
        return masks_of(F.interpolate(heat, (SIDE, SIDE), mode="bilinear", align_corners=True))


def masks_of(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Heat maps (N, 98, 256, 256) -> two masks (N, 1, 256, 256) in [0, 1]: of all parts, and of eyes and nose alone.

    Parts are moved and sharpened, group by group, as the authors do; moves go around the border.
    """
    heat = torch.where(heat < LEAST, 0, heat)
    least, most = heat.amin((2, 3), keepdim=True), heat.amax((2, 3), keepdim=True)
    heat = (heat - least) / (most - least + 1e-6)
    heat[:, list(NOWHERE)] = 0
    for first, end, up, power in GROUPS:
        heat[:, first:end] = heat[:, first:end].roll(-up, 2) ** power
    eyes = heat[:, slice(*EYES)]
    heat[:, slice(*EYES)] = eyes.roll(8, 2) ** 3 + eyes.roll(24, 2)
    every = heat.sum(1, keepdim=True).clamp(0, 1)
    for group in (CHIN, BROWS, MOUTH):
        heat[:, slice(*group)] = 0
    return every, heat.sum(1, keepdim=True).clamp(0, 1)
