"""DiffFace's networks: ADM's U-Net that is told an identity, and those that steer it.

Names inside the U-Net are those of the released file.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.arcface import IdentityLoss
from bench.method import Source
from bench.nn import embedded
from bench.nn.adm import UNet
from bench.nn.faceparsing import SIDE, FaceParser
from bench.nn.perceptual import Frozen, frozen
from masks.generators.semantic import LABELS

IDENTITIES = {"official": 512, "embedded": embedded.IDENTITY}  # values of an identity
PARTS = [LABELS.index(part) for part in (
    "skin", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth", "u_lip", "l_lip",
)]  # fmt: skip
"""What is swapped, and compared: neither glasses nor ears, hair and neck."""


class IdentityUNet(UNet):
    """The U-Net with an identity of `values` numbers, which is added to the time."""

    def __init__(self, values: int, **layers: Any):
        super().__init__(**layers)
        told = 4 * self.width
        self.id_embed = nn.Sequential(nn.Linear(values, told), nn.SiLU(), nn.Linear(told, told))

    def forward(self, x: Tensor, times: Tensor, *more: Any) -> Tensor:
        """(N, 6, H, W) of x (N, 3, H, W), times (N,) and identities (N, values)."""
        (identities,) = more
        return self.drawn(x, self.time(x, times) + self.id_embed(identities))


class Judges(Frozen):
    """Whose face it is, and where its parts are: ArcFace and BiSeNet, or the embedded network in the place of both.

    Pictures are (N, 3, H, W) in [-1, 1]; all but `region` passes gradients.
    """

    def __init__(self, source: Source):
        super().__init__()
        self.recogniser = IdentityLoss(source)
        self.parser = FaceParser() if source == "official" else None
        frozen(self)

    def identity(self, pictures: Tensor) -> Tensor:
        """Identities (N, values) of length 1."""
        return self.recogniser.embed(pictures)

    def parts(self, pictures: Tensor) -> Tensor:
        """Logits (N, 9, H, W) of `PARTS`."""
        return self.logits(pictures)[:, PARTS]

    def region(self, pictures: Tensor) -> Tensor:
        """Where `PARTS` are (N, 1, H, W), 0 or 1."""
        labels = self.logits(pictures).argmax(1)
        return torch.isin(labels, torch.tensor(PARTS, device=labels.device))[:, None].to(pictures)

    def logits(self, pictures: Tensor) -> Tensor:
        if self.parser is None:
            found = self.recogniser.network(pictures)["parsing"]
        else:
            large = F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", align_corners=False)
            twice = 2 * self.parser.normalised(large) - 1  # normalised a second time, as released
            found = self.parser.network(twice)[0]
        return F.interpolate(found, pictures.shape[2:], mode="bilinear", align_corners=False)


@lru_cache
def judges(source: Source, device: torch.device, dtype: torch.dtype) -> Judges:
    """The networks that steer; they are no part of the method, and not saved with it."""
    with torch.inference_mode(False):
        return Judges(source).to(device, dtype)
