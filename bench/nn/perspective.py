"""Random perspectives, as torchvision's RandomPerspective draws them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.batch import Noise
from bench.nn.stylegan2_blocks import full_precision

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))  # (x, y) from -1 to 1


def random_perspective(images: Tensor, noise: Noise, distortion: float, probability: float) -> Tensor:
    """Images (N, C, H, W), each seen in a perspective of its own with that probability.

    Every corner moves inwards by up to `distortion` times half the side, on both axes; what the image does not cover
    is 0.
    """
    start = torch.tensor(CORNERS, device=images.device)
    end = start * (1 - distortion * noise.uniform(4, 2))
    with full_precision(images):  # half of it would miss places by pixels
        grid = projected(end, start.expand_as(end), *images.shape[2:])
    turned = F.grid_sample(images, grid.to(images.dtype), align_corners=True)
    return torch.where(noise.uniform(1, 1, 1) < probability, turned, images)


def projected(source: Tensor, target: Tensor, height: int, width: int) -> Tensor:
    """Where the projective maps take each pixel (N, height, width, 2) that take four points (N, 4, 2) to four others.

    With x, y of a source and u, v of its target: u = (a x + b y + c) / (g x + h y + 1), v = (d x + e y + f) / (same).
    """
    x, y = source[..., :1], source[..., 1:]
    point, nothing = torch.cat([x, y, torch.ones_like(x)], dim=2), torch.zeros(*x.shape[:2], 3).to(x)
    rows = [
        torch.cat([*place, -wanted * x, -wanted * y], dim=2)
        for place, wanted in (((point, nothing), target[..., :1]), ((nothing, point), target[..., 1:]))
    ]
    solved = torch.linalg.solve(torch.cat(rows, dim=1), torch.cat([target[..., 0], target[..., 1]], dim=1))
    maps = F.pad(solved, (0, 1), value=1.0).unflatten(1, (3, 3))
    lines = (torch.linspace(-1, 1, side, device=x.device, dtype=x.dtype) for side in (height, width))
    rows_of, columns = torch.meshgrid(*lines, indexing="ij")
    pixels = torch.stack([columns, rows_of, torch.ones_like(columns)], dim=2).flatten(0, 1)
    moved = pixels @ maps.transpose(1, 2)  # (N, H W, 3)
    return (moved[..., :2] / moved[..., 2:]).unflatten(1, (height, width))
