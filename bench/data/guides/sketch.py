"""Line drawings, 1 = line: (N, 1, H, W). Made from the picture by the pencil filter. (Canny: `bench.nn.canny`.)"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from bench.data.guides.guide import Asked, Frame, Guide, Maker
from bench.given import Given


class Sketch(Guide):
    told = "black lines on white, of the whole picture"
    by_hand = "a drawing of dark lines on white"
    layer = 2

    def of(self, asked: Asked) -> Maker:
        return lambda indices: sketch(asked.images.images(indices))

    def handed(self, given: Given, frame: Frame) -> Tensor:
        """Lines are what is darker than the middle grey."""
        return frame.pixels(given, self.name).mean(1, keepdim=True).lt(0).float()

    def drawn(self, value: Tensor, inside: Tensor) -> Tensor:
        return inside * (1 - value.byte())

    def exported(self, value: Tensor) -> list[Tensor]:
        return list(value.lt(0.5).byte() * 255)


def pencil(image: np.ndarray) -> np.ndarray:
    """The pencil filter of pSp's sketches: (H, W, 3) uint8 RGB to (H, W) uint8, dark lines on white.

    Bright and dark sides of an edge are drawn apart: the positive derivatives of the picture, then of its negative.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    across, down = (cv2.Sobel(grey, cv2.CV_16S, dx, 1 - dx).astype(np.int32) for dx in (1, 0))
    edges = sum((sign * across).clip(0, 255) | (sign * down).clip(0, 255) for sign in (1, -1))
    return (255 - np.rint(0.75 * edges).clip(0, 255)).astype(np.uint8)


def sketch(images: Tensor, threshold: float | None = None) -> Tensor:
    """Line drawings, 1 = line: (N, 3, H, W) uint8 to (N, 1, H, W) float, on the CPU.

    Pixels that the pencil filter makes darker than `threshold` (of 255). The default, 255 - 70 sqrt(256 / side), is
    ours and gives drawings of faces at 64 to 512 pixels: in small pictures all edges are steep. The papers (pSp,
    FACEMUG) clean the filter's output by the sketch simplification network of Simo-Serra et al. instead, whose weights
    are a Torch7 file that PyTorch no longer reads.
    """
    if threshold is None:
        threshold = 255 - 70 * math.sqrt(256 / min(images.shape[-2:]))
    pictures = images.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    drawn = np.stack([pencil(picture) for picture in pictures])
    return torch.from_numpy(drawn)[:, None].lt(threshold).float()


GUIDE = Sketch()
