"""The embedded networks: two small face networks that ship with the package, so that no command needs a download.

Both were trained on the procedural faces of `bench.data.synthfaces` by `tools/train_embedded.py`, apart from each
other: other widths, other faces, another seed. Methods learn from the one of role ``training``; only the one of role
``metrics`` measures. `fingerprint` names the weights and stands beside every number that they make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypedDict, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import BenchError

Network = TypeVar("Network", bound=nn.Module)
Role = Literal["training", "metrics"]
WIDTHS: dict[Role, tuple[int, ...]] = {"training": (16, 32, 64, 96, 128), "metrics": (20, 36, 56, 88, 144)}
SIZE = 64  # the heads see images of this size
FEATURES, IDENTITY, LANDMARKS, CLASSES = 256, 128, 68, 19


class Heads(TypedDict):
    """What `EmbeddedNet` tells of N images."""

    features: Tensor  # (N, 256), pooled: for Fréchet distances and discriminative scores
    identity: Tensor  # (N, 128), of length 1, so that a dot product is the cosine
    landmarks: Tensor  # (N, 68, 2), x and y as fractions of width and height, in [0, 1]
    parsing: Tensor  # (N, 19, 32, 32), logits of the CelebAMask-HQ classes
    maps: list[Tensor]  # the trunk's, of the image at 64 x 64


class Residual(nn.Module):
    """One convolution with a shortcut, y = lrelu(x + norm(conv(x)))."""

    def __init__(self, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.conv(x), 0.1)


class EmbeddedNet(nn.Module):
    """A residual trunk of five scales, a feature pyramid (Lin et al., 2017) for what has a place, a pool for the rest.

    `widths` are the channels of the trunk, fine to coarse. `norm` makes the normalisation after each convolution:
    the training script uses batch normalisation and folds it into the convolutions, so the shipped network has none
    and an image's features never depend on its batch.
    """

    def __init__(self, widths: tuple[int, ...], norm: Callable[[int], nn.Module] = nn.Identity) -> None:
        super().__init__()

        def conv(inside: int, outside: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1), norm(outside), nn.LeakyReLU(0.1))

        pyramid = 32
        self.stem = conv(3, widths[0])
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AvgPool2d(2), conv(inside, outside), Residual(outside, norm))
            for inside, outside in pairwise(widths)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, pyramid, 1) for width in widths[1:])
        self.smooth = conv(pyramid, pyramid)
        self.parsing = nn.Conv2d(pyramid, CLASSES, 1)
        self.heatmaps = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(pyramid, LANDMARKS, 1))
        self.features = nn.Sequential(nn.Conv2d(sum(widths[1:]), FEATURES, 1), norm(FEATURES))
        self.identity = nn.Sequential(
            nn.Linear(FEATURES + 2 * LANDMARKS, FEATURES), nn.LeakyReLU(0.1), nn.Linear(FEATURES, IDENTITY)
        )

    def maps(self, images: Tensor) -> list[Tensor]:
        """The trunk's five feature maps, fine (full size) to coarse (1/16), at the images' own size.

        `images`: (N, 3, H, W) in [-1, 1], at least 32 pixels a side. This is what perceptual and style losses use.
        """
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def pyramid(self, maps: list[Tensor]) -> Tensor:
        """Fuse all scales but the finest, coarse to fine: (N, 32, H/2, W/2)."""
        fused = self.lateral[-1](maps[-1])
        for lateral, finer in zip(reversed(self.lateral[:-1]), reversed(maps[1:-1]), strict=True):
            fused = lateral(finer) + F.interpolate(fused, size=finer.shape[-2:], mode="bilinear", align_corners=False)
        return self.smooth(fused)

    def forward(self, images: Tensor) -> Heads:
        """All heads of `images` (N, 3, H, W) in [-1, 1], at least 32 pixels a side; first resized to 64 x 64."""
        maps = self.maps(scaled(images))
        return self.heads(maps, self.pyramid(maps))

    def heads(self, maps: list[Tensor], fused: Tensor) -> Heads:
        """All heads from the trunk's maps and their pyramid."""
        pooled = torch.cat([level.mean(dim=(2, 3), keepdim=True) for level in maps[1:]], dim=1)
        features = self.features(pooled).flatten(1)
        landmarks = soft_argmax(self.heatmaps(fused))
        identity = self.identity(torch.cat([features, landmarks.flatten(1)], dim=1))
        return {
            "features": features,
            "identity": F.normalize(identity, dim=1),
            "landmarks": landmarks,
            "parsing": self.parsing(fused),
            "maps": maps,
        }


def scaled(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) at the size that the heads see."""
    if images.shape[-2:] == (SIZE, SIZE):
        return images
    return F.interpolate(images, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)


def soft_argmax(heatmaps: Tensor) -> Tensor:
    """The mean place under each map's softmax: (N, K, H, W) to (N, K, 2), x and y in [0, 1]."""
    height, width = heatmaps.shape[-2:]
    weights = heatmaps.flatten(2).softmax(dim=2).unflatten(2, (height, width))
    x = (torch.arange(width, device=heatmaps.device, dtype=heatmaps.dtype) + 0.5) / width
    y = (torch.arange(height, device=heatmaps.device, dtype=heatmaps.dtype) + 0.5) / height
    return torch.stack([(weights.sum(dim=2) * x).sum(dim=2), (weights.sum(dim=3) * y).sum(dim=2)], dim=2)


def path(role: Role) -> Path:
    """Where the weights of `role` lie in the package."""
    if role not in WIDTHS:
        raise BenchError(f"no embedded network has the role {role!r}: choose one of {', '.join(WIDTHS)}")
    return Path(__file__).with_name(f"embedded-{role}.safetensors")


@lru_cache
def _file(role: Role) -> bytes:
    return content(path(role))


def content(file: Path) -> bytes:
    """A file of weights in the package; BenchError when it is missing."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {file}: {error.strerror}; install the package again") from error


def fill(network: Network, data: bytes, file: Path, kept: str | None = None) -> Network:
    """Give a network the weights in `data`, in float32; names that start with `kept` stay as they are.

    The network is for evaluation then: its parameters take no gradients. Raises BenchError, which names `file`, when
    the weights are damaged.
    """
    state = {name: tensor for name, tensor in network.state_dict().items() if kept and name.startswith(kept)}
    try:
        state |= {name: tensor.float() for name, tensor in read_tensors(data).items()}
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError) as error:
        raise BenchError(f"{file} is damaged: install the package again") from error
    return network.eval().requires_grad_(False)


def stamp(data: bytes) -> str:
    """The first 8 hex digits of the SHA-256: names weights beside a number."""
    return hashlib.sha256(data).hexdigest()[:8]


def load(role: Role) -> EmbeddedNet:
    """The shipped network of `role`, float32 on the CPU, for evaluation: its parameters take no gradients.

    Every call returns a network of its own, so moving one to a device moves no other. Raises BenchError when the
    role is unknown or the file in the package is missing or damaged.
    """
    data = _file(role)
    return fill(EmbeddedNet(WIDTHS[role]), data, path(role))


def fingerprint(role: Role) -> str:
    """The extractor's name beside a number: ``embedded-<role>-<first 8 hex digits of the file's SHA-256>``."""
    return f"embedded-{role}-{stamp(_file(role))}"
