"""LSM-HAWP (Xue et al., CVPR 2020, trained again with masks by the authors of MST): the straight lines of a picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from skimage.draw import line_aa
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.errors import BenchError
from bench.nn.perceptual import Frozen, frozen

MEAN, STD = (109.730, 103.832, 98.681), (22.275, 22.124, 23.229)  # of RGB in [0, 255]
INPUT, GRID = 512, 128  # sides of its input and of its maps
JUNCTIONS, JUNCTION = 300, 0.008  # at most so many, and the least score of one
LENGTH = 5.0  # what distances are multiplied by, in pixels of the maps
POINTS = 32  # along a line, where it is verified
SURE = 0.85  # score from which a line is drawn


class Bottleneck(nn.Module):
    """Pre-activation: 1x1, 3x3 and 1x1 convolutions and a shortcut. (N, inputs, H, W) -> (N, 2 * width, H, W)."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, width, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(width), nn.Conv2d(width, 2 * width, 1)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, 2 * width, 1)) if inputs != 2 * width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        return self.downsample(x) + self.conv3(F.relu(self.bn3(y)))


def layer(inputs: int, width: int) -> nn.Sequential:
    """A layer of one block."""
    return nn.Sequential(Bottleneck(inputs, width))


class Hourglass(nn.Module):
    """Four sizes, each with a way round (Newell et al., 2016). (N, 256, H, W) -> same; `hg.0` is the smallest."""

    def __init__(self) -> None:
        super().__init__()
        self.hg = nn.ModuleList(nn.ModuleList(layer(256, 128) for _ in range(3 if i else 4)) for i in range(4))

    def forward(self, x: Tensor, level: int = 3) -> Tensor:
        across, before, after, *inner = self.hg[level].children()
        low = before(F.max_pool2d(x, 2))
        low = after(inner[0](low) if inner else self(low, level - 1))
        return across(x) + F.interpolate(low, scale_factor=2)


class Heads(nn.Module):
    """Directions (3 channels), distance, residual, junction (2), offset (2). (N, 256, H, W) -> (N, 9, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv2d(256, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, n, 1)) for n in (3, 1, 1, 2, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x) for head in self.heads], dim=1)


class Backbone(nn.Module):
    """Two stacked hourglasses. (N, 3, 512, 512) -> the maps (N, 9, 128, 128) of each, and features (N, 256, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64)
        self.layer1, self.layer2, self.layer3 = layer(64, 64), layer(128, 128), layer(256, 128)
        self.hg = nn.ModuleList(Hourglass() for _ in range(2))
        self.res = nn.ModuleList(layer(256, 128) for _ in range(2))
        self.fc = nn.ModuleList(nn.Sequential(nn.Conv2d(256, 256, 1), nn.BatchNorm2d(256), nn.ReLU()) for _ in range(2))
        self.score = nn.ModuleList(Heads() for _ in range(2))
        self.fc_, self.score_ = nn.ModuleList([nn.Conv2d(256, 256, 1)]), nn.ModuleList([nn.Conv2d(9, 256, 1)])

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        x = self.layer1(F.relu(self.bn1(self.conv1(x))))
        x = self.layer3(self.layer2(F.max_pool2d(x, 2)))
        first = self.fc[0](self.res[0](self.hg[0](x)))
        maps = self.score[0](first)
        x = x + self.fc_[0](first) + self.score_[0](maps)
        second = self.fc[1](self.res[1](self.hg[1](x)))
        return [maps, self.score[1](second)], second


class WireframeDetector(Frozen):
    """Attraction fields and junctions propose lines, which a small network verifies."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.fc1 = nn.Conv2d(256, 128, 1)
        self.fc2 = nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1))
        frozen(self)

    @classmethod
    def read(cls, path: Path) -> WireframeDetector:
        """The detector of the authors' best_lsm_hawp.pth."""
        detector, state = cls(), weights.read(path)
        try:
            named = state.get("model", state).items()
            detector.load_state_dict({name: value for name, value in named if name != "tspan"})
        except (RuntimeError, AttributeError) as error:  # its names or shapes
            raise BenchError(f"zits: wireframe_weights: {path} holds no LSM-HAWP: give best_lsm_hawp.pth") from error
        return detector

    @torch.no_grad()
    def forward(self, images: Tensor, mask: Tensor, side: int) -> Tensor:
        """Drawn lines (N, 1, side, side) in [0, 1] of images (N, 3, H, W) in [0, 1]; holes hold nothing."""
        maps, features = self.backbone(prepared(images, mask))
        found = zip(maps[-1], self.fc1(features), strict=True)
        drawn = [drawing(self.lines(maps, features), side) for maps, features in found]
        return torch.stack(drawn)[:, None].to(images)

    def lines(self, maps: Tensor, features: Tensor) -> Tensor:
        """Lines (K, 4) as x1, y1, x2, y2 in [0, 1], of maps (9, 128, 128) and features (128, 128, 128)."""
        found = proposals(maps)
        return found[self.logits(features, found).sigmoid() > SURE] / GRID

    def logits(self, features: Tensor, lines: Tensor) -> Tensor:
        """Whether each of the lines (K, 4), in pixels of the maps, is one: (K,)."""
        share = torch.linspace(0, 1, POINTS).to(lines)[:, None]
        points = lines[:, None, :2] * share + lines[:, None, 2:] * (1 - share) - 0.5  # (K, 32, 2)
        last = GRID - 1
        low = points.floor().clamp(0, last)
        high = (low + 1).clamp(0, last)
        (x0, y0), (x1, y1), (x, y) = (corner.unbind(2) for corner in (low, high, points))
        corners = ((x0, y0, (x1 - x) * (y1 - y)), (x1, y0, (x - x0) * (y1 - y)),
                   (x0, y1, (x1 - x) * (y - y0)), (x1, y1, (x - x0) * (y - y0)))  # fmt: skip
        sampled = torch.stack([features[:, v.long(), u.long()] * weight for u, v, weight in corners]).sum(0)
        pooled = F.max_pool1d(sampled.transpose(0, 1), 4)  # (K, 128, 8)
        return self.fc2(pooled.flatten(1))[:, 0]


def prepared(images: Tensor, mask: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] as the network takes them: 512 px, holes grey, standardised."""
    size = (INPUT, INPUT)
    hole = (F.interpolate(mask, size, mode="area") > 0).to(images)
    grey = torch.where(mask > 0, 0.5, images)  # what lies in holes must not blur into what is known
    images = F.interpolate(grey, size, mode="bilinear", antialias=True) * (1 - hole) + 0.5 * hole
    mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (255 * images - mean) / std


def proposals(maps: Tensor) -> Tensor:
    """Lines (K, 4) between junctions, each once, that pixels of the maps (9, 128, 128) point at with both ends."""
    junctions = junctions_of(maps)
    ends = torch.stack(ends_of(maps[:5].sigmoid()))  # (2, M, 2)
    if not len(junctions):
        return ends.new_zeros(0, 4)
    nearest = torch.cdist(ends, junctions.expand(2, -1, -1)).argmin(2).sort(0).values  # (2, M)
    pairs = nearest[:, nearest[0] < nearest[1]].unique(dim=1)
    return torch.cat([junctions[pairs[0]], junctions[pairs[1]]], dim=1)


def ends_of(field: Tensor) -> tuple[Tensor, Tensor]:
    """Both ends (M, 2) of the line that each pixel sees, for three distances: x, y in [0, 127]. (5, 128, 128)."""
    turn = (field[0] - 0.5) * 2 * math.pi
    rows, columns = torch.meshgrid(*(torch.arange(n).to(field) for n in field.shape[1:]), indexing="ij")
    found = []
    for angle, low, high in ((field[1] * math.pi / 2, 1e-3, None), (-field[2] * math.pi / 2, None, -1e-3)):
        slope = angle.sin().clamp(low, high) / angle.cos().clamp(min=1e-3)
        across, along = turn.cos() - slope * turn.sin(), turn.sin() + slope * turn.cos()
        reach = LENGTH * torch.stack([field[3] + sign * field[4] for sign in (-1, 0, 1)])
        ends = torch.stack([columns + reach * across, rows + reach * along], dim=3)
        found.append(ends.clamp(0, GRID - 1).flatten(0, 2))
    return found[0], found[1]


def junctions_of(maps: Tensor) -> Tensor:
    """Positions (J, 2) of the junctions, x, y in pixels of the maps, the surest first."""
    score = maps[5:7].softmax(0)[1]
    peaks = torch.where(F.max_pool2d(score[None], 3, 1, 1)[0] == score, score, 0).flatten()
    chosen = peaks.topk(min(JUNCTIONS, int((peaks > JUNCTION).sum()))).indices
    offsets = (maps[7:9].sigmoid() - 0.5).flatten(1)[:, chosen]
    return (torch.stack([chosen % GRID, chosen // GRID]) + 0.5 + offsets).T


def drawing(lines: Tensor, side: int) -> Tensor:
    """Lines (K, 4) in [0, 1] drawn smoothly: (side, side), 1 = line; where some cross, the brightest counts."""
    canvas = np.zeros((side, side))
    for x1, y1, x2, y2 in (lines * side).long().clamp(0, side - 1).tolist():
        rows, columns, values = line_aa(y1, x1, y2, x2)
        inside = (np.minimum(rows, columns) >= 0) & (np.maximum(rows, columns) < side)  # soft borders may leave it
        np.maximum.at(canvas, (rows[inside], columns[inside]), values[inside])
    return torch.from_numpy(canvas)
