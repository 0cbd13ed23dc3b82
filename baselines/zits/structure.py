"""What brings structure to the picture: the upsampler of its maps, positions in the hole, the encoder of both."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Structure = tuple[list[Tensor], Tensor]  # features of the generator's four sizes, largest first; codes of the position


class Upsampler(nn.Module):
    """Simple Structure Upsampler (section 3.3): a map (N, 1, H, W) in [0, 1] -> logits (N, 1, 2H, 2W)."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(1, width, 7), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )  # fmt: skip
        self.out = nn.Sequential(
            nn.Conv2d(1, width // 2, 4, 2, 1), nn.ReLU(), nn.Conv2d(width // 2, 1, 3, padding=1)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))

    def shrunk(self, logits: Tensor) -> Tensor:
        """Logits of the map that was enlarged (N, 1, H, W), of its enlargement's: training asks for it."""
        return self.out(logits)


def hole_positions(mask: Tensor, side: int, codes: int) -> tuple[Tensor, Tensor]:
    """Masking positional encoding (section 3.4): how far a pixel is from what is known, and on which sides that lies.

    Mask (N, 1, H, W), 1 = hole -> distances (N, H, W), int64 in [0, `codes`), 0 in known pixels; directions
    (N, 4, H, W): whether something nearer to the border of the hole touches the pixel above left, below left, above
    right, below right. Both are made at `side` x `side` pixels; `codes` distances reach over half of that.
    """
    small = (F.interpolate(mask, (side, side), mode="area") > 0).cpu().numpy().astype(np.uint8)[:, 0]
    # repeated 3x3 dilation of what is known is the chessboard distance
    steps = torch.from_numpy(np.stack([cv2.distanceTransform(hole, cv2.DIST_C, 3) for hole in small]))[:, None]
    nearest = -F.max_pool2d(-F.pad(steps, (1,) * 4, mode="reflect"), 2, stride=1)  # of 2x2 windows
    corners = nearest[..., :-1, :-1], nearest[..., 1:, :-1], nearest[..., :-1, 1:], nearest[..., 1:, 1:]
    directions = (torch.cat(corners, dim=1) < steps).float()
    distances = (steps * codes / (side / 2)).floor().clamp(max=codes - 1)
    both = torch.cat([distances, directions], dim=1).to(mask)
    both = F.interpolate(both, mask.shape[2:], mode="nearest") * mask
    return both[:, 0].long(), both[:, 1:]


def sinusoids(codes: int, channels: int) -> Tensor:
    """Fixed codes of positions (codes, channels): sines, then cosines of p / 10000^(2k / channels)."""
    k = torch.arange(channels // 2, dtype=torch.float64)
    angles = torch.arange(codes, dtype=torch.float64)[:, None] * 10_000 ** (-2 * k / channels)
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(torch.get_default_dtype())


class Gated(nn.Module):
    """A gated convolution without activation: one half of its channels times the sigmoid of the other."""

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.gate_conv = convolution

    def forward(self, x: Tensor) -> Tensor:
        features, gates = self.gate_conv(x).chunk(2, dim=1)
        return features * gates.sigmoid()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the first with dilation 2; no activation after the sum. (N, channels, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(channels, channels, 3, dilation=2))
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3))
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))


class StructureEncoder(nn.Module):
    """Structure Feature Encoder (section 3.3) whose outputs have learned factors that start at zero (ZeroRA).

    Maps (N, 3, H, W), edges, lines and mask, with `hole_positions` of the mask -> `Structure`.
    """

    def __init__(self, width: int, codes: int, start: float = 0.0):
        super().__init__()
        w = width
        self.conv1 = Gated(nn.Conv2d(3, 2 * w, 7))
        self.conv2 = Gated(nn.Conv2d(w, 4 * w, 4, 2, 1))
        self.conv3 = nn.Conv2d(2 * w, 4 * w, 4, 2, 1)
        self.conv4 = nn.Conv2d(4 * w, 8 * w, 4, 2, 1)
        self.middle = nn.Sequential(*(ResidualBlock(8 * w) for _ in range(3)))
        for i, channels in enumerate((4 * w, 2 * w, w), start=1):
            self.add_module(f"convt{i}", Gated(nn.ConvTranspose2d(2 * channels, 2 * channels, 4, 2, 1)))
            self.add_module(f"bnt{i}", nn.BatchNorm2d(channels))
        for i, channels in enumerate((w, 2 * w, 4 * w, 8 * w), start=1):
            self.add_module(f"bn{i}", nn.BatchNorm2d(channels))
        self.rel_pos_emb = nn.Embedding.from_pretrained(sinusoids(codes, w))  # frozen
        self.direct_emb = nn.Embedding(4, w)
        for i in range(1, 7):
            self.register_parameter(f"alpha{i}", nn.Parameter(torch.tensor(start)))

    def forward(self, maps: Tensor, distances: Tensor, directions: Tensor) -> Structure:
        x = F.pad(maps, (3,) * 4, mode="reflect")
        for i in (1, 2, 3, 4):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)))
        x = self.middle(x)
        features = [self.get_parameter("alpha1") * x]
        for i in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bnt{i}")(self.get_submodule(f"convt{i}")(x)))
            features.insert(0, self.get_parameter(f"alpha{i + 1}") * x)
        distance, direction = self.positions(distances, directions)
        return features, distance + direction

    def positions(self, distances: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, width, H, W) of the distances and of the directions."""
        distance = self.get_parameter("alpha5") * self.rel_pos_emb(distances)
        direction = self.get_parameter("alpha6") * (directions.movedim(1, 3) @ self.direct_emb.weight)
        return distance.movedim(3, 1), direction.movedim(3, 1)
