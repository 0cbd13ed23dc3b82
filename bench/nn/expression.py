"""The embedded expression network: tells which of the synthetic faces' moods a picture shows.

A small head on the frozen embedded network of role ``metrics``, trained by `tools/train_expression.py`. At 64 pixels a
mood is a matter of a pixel at the brows and the mouth. So the head looks at a fine map of the trunk, turned and scaled
by the landmarks until eyes and mouth lie in the same places in every face.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.data.synthfaces.scene import MOODS
from bench.nn import embedded

SIDE = 12  # cells of the aligned map
LEVEL = 1  # of the trunk's maps: half of the image's size
EYES, MOUTH = (slice(36, 42), slice(42, 48)), slice(48, 68)  # among the 68 landmarks


class ExpressionNet(nn.Module):
    """The frozen trunk and two convolutions on its aligned map.

    `norm` makes the normalisation after each convolution: the training script uses batch normalisation and folds it
    into the convolutions, so the shipped head has none.
    """

    def __init__(self, norm: Callable[[int], nn.Module] = nn.Identity) -> None:
        super().__init__()

        def conv(inside: int, outside: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inside, outside, 3, padding=1), norm(outside), nn.LeakyReLU(0.1), nn.AvgPool2d(2)
            )

        width = 32
        self.trunk = embedded.load("metrics")
        self.head = nn.Sequential(
            conv(embedded.WIDTHS["metrics"][LEVEL], width),
            conv(width, width),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(width * (SIDE // 4) ** 2, len(MOODS)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 6) of `MOODS`, for images (N, 3, H, W) in [-1, 1], at least 32 pixels a side."""
        return self.head(self.face(images))

    def face(self, images: Tensor) -> Tensor:
        """What the head looks at: the aligned map, (N, 36, 12, 12)."""
        seen = self.trunk(images)
        return aligned(seen["maps"][LEVEL], seen["landmarks"])


def aligned(maps: Tensor, landmarks: Tensor) -> Tensor:
    """`maps` (N, C, H, W) from above the brows to below the mouth, (N, C, 12, 12); `landmarks` (N, 68, 2) in [0, 1]."""
    points = landmarks * 2 - 1
    left, right = (points[:, eye].mean(dim=1) for eye in EYES)
    eyes, mouth = (left + right) / 2, points[:, MOUTH].mean(dim=1)
    steps = torch.linspace(-1, 1, SIDE, device=maps.device)
    down, across = steps[:, None, None], steps[None, :, None]

    def everywhere(vectors: Tensor) -> Tensor:
        return vectors[:, None, None]

    grid = everywhere((eyes + mouth) / 2)
    grid = grid + 0.85 * across * everywhere(right - left) + 0.95 * down * everywhere(mouth - eyes)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)


def path() -> Path:
    """Where the head's weights lie in the package."""
    return Path(__file__).with_name("embedded-expression.safetensors")


def load() -> ExpressionNet:
    """The shipped network, float32 on the CPU, for evaluation. BenchError when its file is missing or damaged."""
    net = ExpressionNet().eval()
    embedded.fill(net.head, embedded.content(path()), path())
    return net


def fingerprint() -> str:
    """The extractor's name beside a number: that of the trunk, then ``expression-`` and the head's hash."""
    return f"{embedded.fingerprint('metrics')}-expression-{embedded.stamp(embedded.content(path()))}"
