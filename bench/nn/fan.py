"""FAN, the face alignment network (Bulat and Tzimiropoulos, ICCV 2017): 68 points of a face by stacked hourglasses.

Sources: arXiv 1703.07332 and the package face-alignment 1.5.0 with its checkpoint `2DFAN4-11f355bf06.pth.tar`; layer
names are the checkpoint's. `landmarks` does what the package does for one face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, DEPTH, STACKS = 256, 4, 4
CROP, HEAT = 256, 64  # sides of what the network sees and of its heat maps
RAISED = 0.12  # of the box's height: so much higher lies the crop
ENLARGED = 200 / 195  # side of the crop over the sum of the box's sides
MIRRORED = np.r_[  # the points of iBUG 300-W as a mirror shows them: jaw, brows, nose, eyes, lips
    16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1
]


class Unit(nn.Module):
    """Residual unit: three convolutions behind each other, whose outputs stand side by side."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs:
            self.downsample = nn.Sequential(
                nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False)
            )

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(self.bn1(x).relu())
        second = self.conv2(self.bn2(first).relu())
        third = self.conv3(self.bn3(second).relu())
        return torch.cat([first, second, third], dim=1) + self.downsample(x)


class Hourglass(nn.Module):
    """Down to a sixteenth and up again; each level (4 is the finest) adds its own detail."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(DEPTH, 0, -1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", Unit(WIDTH, WIDTH))
        self.b2_plus_1 = Unit(WIDTH, WIDTH)

    def forward(self, x: Tensor, level: int = DEPTH) -> Tensor:
        beside, before, behind = (self.get_submodule(f"{branch}_{level}") for branch in ("b1", "b2", "b3"))
        coarse = before(F.avg_pool2d(x, 2))
        coarse = self.forward(coarse, level - 1) if level > 1 else self.b2_plus_1(coarse)
        return beside(x) + F.interpolate(behind(coarse), scale_factor=2.0, mode="nearest")


class FAN(nn.Module):
    """2D FAN-4. RGB crops (N, 3, 256, 256) in [0, 1] -> heat maps (N, 68, 64, 64) of the last of four hourglasses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = Unit(64, 128), Unit(128, 128), Unit(128, WIDTH)
        for i in range(STACKS):
            self.add_module(f"m{i}", Hourglass())
            self.add_module(f"top_m_{i}", Unit(WIDTH, WIDTH))
            self.add_module(f"conv_last{i}", nn.Conv2d(WIDTH, WIDTH, 1))
            self.add_module(f"bn_end{i}", nn.BatchNorm2d(WIDTH))
            self.add_module(f"l{i}", nn.Conv2d(WIDTH, len(MIRRORED), 1))
            if i < STACKS - 1:
                self.add_module(f"bl{i}", nn.Conv2d(WIDTH, WIDTH, 1))
                self.add_module(f"al{i}", nn.Conv2d(len(MIRRORED), WIDTH, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(self.conv2(self.bn1(self.conv1(x)).relu()), 2)
        x = self.conv4(self.conv3(x))
        layer = self.get_submodule
        for i in range(STACKS):
            features = layer(f"top_m_{i}")(layer(f"m{i}")(x))
            features = layer(f"bn_end{i}")(layer(f"conv_last{i}")(features)).relu()
            heat = layer(f"l{i}")(features)
            if i < STACKS - 1:  # what was found goes on to the next hourglass
                x = x + layer(f"bl{i}")(features) + layer(f"al{i}")(heat)
        return heat


def landmarks(network: Callable[[Tensor], Tensor], image: Tensor, box: Sequence[float]) -> Tensor:
    """The 68 points (x, y), whole pixels as float32, of the face in `box` of a uint8 RGB image (3, H, W).

    `box`: left, top, right, bottom. The heat maps of the crop and of its mirror image are added.
    """
    centre, side = frame(box)
    pixels = crop(image.permute(1, 2, 0).cpu().numpy(), centre, side)
    face = torch.from_numpy(pixels).to(image.device).permute(2, 0, 1).float() / 255
    heat, mirrored = network(torch.stack([face, face.flip(2)]))
    points = decode((heat + mirrored[MIRRORED].flip(2)).cpu().numpy())
    return torch.from_numpy(in_image(points, HEAT, centre, side)).float()


def frame(box: Sequence[float]) -> tuple[np.ndarray, float]:
    """The square to cut out around the face in `box`: its centre (x, y) and its side."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return np.array([right - width / 2, bottom - height / 2 - RAISED * height]), (width + height) * ENLARGED


def in_image(points: np.ndarray, size: int, centre: np.ndarray, side: float) -> np.ndarray:
    """Pixels of the image for points of the square at `size` x `size`; what is behind the point is cut off."""
    return np.trunc(centre + side * (points / size - 0.5))


def crop(image: np.ndarray, centre: np.ndarray, side: float) -> np.ndarray:
    """The square of `image` (H, W, 3) at 256 x 256; black outside of the image."""
    (left, top), (right, bottom) = (in_image(np.full(2, end), CROP, centre, side).astype(int) for end in (1, CROP))
    square = np.zeros((bottom - top, right - left, 3), np.uint8)
    above, below = np.clip([top, bottom], 0, image.shape[0])
    start, end = np.clip([left, right], 0, image.shape[1])
    square[above - top : below - top, start - left : end - left] = image[above:below, start:end]
    return cv2.resize(square, (CROP, CROP), interpolation=cv2.INTER_LINEAR)


def decode(heat: np.ndarray) -> np.ndarray:
    """The peaks (n, 2) of heat maps (n, h, w): middles of pixels, moved by a quarter towards the larger neighbours.

    Peaks at the border stay where they are.
    """
    height, width = heat.shape[1:]
    y, x = np.unravel_index(heat.reshape(len(heat), -1).argmax(axis=1), (height, width))
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    maps, around = np.arange(len(heat)), np.pad(heat, ((0, 0), (1, 1), (1, 1)))  # so that all have neighbours
    slopes = [
        around[maps, y + 1, x + 2] - around[maps, y + 1, x],
        around[maps, y + 2, x + 1] - around[maps, y, x + 1],
    ]
    return np.stack([x, y], axis=1) + 0.5 + 0.25 * np.sign(np.stack(slopes, axis=1)) * inside[:, None]
