"""DiffFace's facial guidance: towards the source's identity and the target's expression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.diffface.networks import Judges
from bench.batch import Noise
from bench.nn.perspective import random_perspective

DEGREES, SHIFT, DISTORTION, PROBABILITY = 15.0, 0.1, 0.7, 0.7  # of the copies that show an identity


@dataclass(frozen=True)
class Guide:
    """What a picture is compared with, and what each comparison counts."""

    judges: Judges
    target: Tensor  # (N, 3, H, W), which gives pose and surroundings
    region: Tensor  # (N, 1, H, W), where the face is
    identity: Tensor  # (N, D) of the other face
    parts: Tensor  # (N, 9, H, W) the target's
    weights: tuple[float, float, float]  # of the copies' mean distance, parts, pixels
    copies: int

    def loss(self, picture: Tensor, noise: Noise) -> Tensor:
        """Of each picture (N, 3, H, W) in [-1, 1]: (N,)."""
        face, distance = picture * self.region, picture.new_zeros(len(picture))
        for number in range(self.copies):
            seen = face if number == 0 else moved(face, noise)
            distance = distance + 1 - (self.judges.identity(seen) * self.identity).sum(1)
        parts = (self.judges.parts(picture) - self.parts).abs().mean((2, 3)).sum(1)
        pixels = (picture - self.target).square().mean((1, 2, 3))
        identity, labels, near = self.weights
        return identity * distance / self.copies + labels * parts + near * pixels


def moved(pictures: Tensor, noise: Noise) -> Tensor:
    """Pictures (N, C, H, W), some of them turned and shifted, some seen in another perspective."""
    angle = math.radians(DEGREES) * (2 * noise.uniform(1)[:, 0] - 1)
    place = 2 * SHIFT * (2 * noise.uniform(2) - 1)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).unflatten(1, (2, 2))
    grid = F.affine_grid(torch.cat([turn, place[:, :, None]], dim=2).to(pictures), list(pictures.shape), False)
    turned = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    some = torch.where(noise.uniform(1, 1, 1) < PROBABILITY, turned, pictures)
    return random_perspective(some, noise, DISTORTION, PROBABILITY)
