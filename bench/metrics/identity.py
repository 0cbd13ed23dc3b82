"""Identity distance: how far a face's identity vector moved; and ArcFace's network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Where ArcFace's training crops (112 x 112) have the eyes, the nose and the corners of the mouth.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))


def distance(completed: Mapping[str, Tensor], truth: Mapping[str, Tensor], masks: Tensor | None) -> Tensor:
    """1 - cosine of the identity vectors (N, d), for each image (N,) float64; NaN where no face was found.

    Both images are cropped by the original's face, so a completion cannot gain from being cropped otherwise.
    """
    a, b = completed["identity"].double(), truth["identity"].double()
    return 1 - (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))


def align(images: Tensor, points: Tensor, size: int = 112) -> Tensor:
    """Crops (N, 3, size, size) of float `images` that bring five `points` (N, 5, 2), in pixels, nearest to ArcFace's
    template by a similarity (Umeyama, 1991), bilinear. NaN points give NaN crops."""
    height, width = images.shape[-2:]
    target = torch.tensor(TEMPLATE, dtype=torch.float64, device=images.device) * (size / 112)
    points = points.double()
    # x' = a x - b y, y' = b x + a y maps centred template points to centred image points, least squares
    source, goal = target - target.mean(dim=0), points - points.mean(dim=1, keepdim=True)
    energy = source.square().sum()
    a = (goal * source).sum(dim=(1, 2)) / energy
    b = (goal[..., 1] * source[:, 0] - goal[..., 0] * source[:, 1]).sum(dim=1) / energy
    linear = torch.stack([torch.stack([a, -b], dim=1), torch.stack([b, a], dim=1)], dim=1)  # (N, 2, 2)
    pixels = torch.arange(size, dtype=torch.float64, device=images.device)
    grid = torch.stack(torch.meshgrid(pixels, pixels, indexing="xy"), dim=2) - target.mean(dim=0)  # (size, size, 2)
    where = torch.einsum("nij,hwj->nhwi", linear, grid) + points.mean(dim=1)[:, None, None]
    scale = torch.tensor([width, height], dtype=torch.float64, device=images.device)
    where = (where + 0.5) / scale * 2 - 1
    missing = where.isnan().flatten(1).any(dim=1)
    crops = F.grid_sample(images, where.nan_to_num().to(images), align_corners=False)
    return crops.masked_fill(missing[:, None, None, None], torch.nan)


class IRSE50(nn.Module):
    """ArcFace's IR-SE50 (Deng et al., 2019) in the layout of ``model_ir_se50.pth``: (N, 3, 112, 112) to (N, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        widths = [64] * 4 + [128] * 4 + [256] * 14 + [512] * 3
        strides = [2 if i in (0, 3, 7, 21) else 1 for i in range(24)]
        self.body = nn.Sequential(*(_Block(*sizes) for sizes in zip(widths, widths[1:], strides, strict=False)))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0.6), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Identity vectors of length 1 of RGB images in [-1, 1]."""
        raw = self.output_layer(self.body(self.input_layer(images)))
        return raw / raw.norm(dim=1, keepdim=True)


class _Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inside), nn.Conv2d(inside, outside, 3, 1, 1, bias=False), nn.PReLU(outside),
            nn.Conv2d(outside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), _SqueezeExcite(outside),
        )  # fmt: skip
        self.shortcut_layer = (
            nn.MaxPool2d(1, stride)
            if inside == outside
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + self.shortcut_layer(x)


class _SqueezeExcite(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, width // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(width // 16, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))))
