"""The scenes as the camera sees them: pixels, rays, textures and light, which all layers share."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from bench.data.synthfaces.head import Rays, march
from bench.data.synthfaces.noise import band, noise


def rgb(r: float, g: float, b: float) -> Tensor:
    """A linear colour, (1, 3, 1, 1)."""
    return torch.tensor([r, g, b]).reshape(1, 3, 1, 1)


def luminous(colour: Tensor) -> Tensor:
    """About the luminance of a linear colour, (N, 1, H, W)."""
    return 0.3 * colour[:, :1] + 0.6 * colour[:, 1:2] + 0.1 * colour[:, 2:]


class View:
    """N scenes `p` seen at `size` pixels a side; fields are (N, 1, H, W).

    x, y: the picture's coordinates, -1 to 1. pixel: the side of a pixel there; px: the same in lengths of the head.
    fx, fy, fz: where the rays meet the face, in the head frame. face_alpha: how much of the pixel the face covers.
    face_gap: the least distance of the ray to the face. pores: fine noise on the skin.
    front, diffuse, gloss: set by the skin for the features on it. neck_x: set by the neck for the shoulders.
    """

    front: Tensor
    diffuse: Tensor
    gloss: Tensor
    neck_x: Tensor

    def __init__(self, p: SimpleNamespace, size: int) -> None:
        self.p = p
        n = len(p.yaw)
        centres = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
        self.x = centres.reshape(1, 1, 1, -1).expand(n, 1, size, size).contiguous()
        self.y = centres.reshape(1, 1, -1, 1).expand(n, 1, size, size).contiguous()
        self.pixel = 2 / size
        self.px = self.pixel / p.scale
        self.rays = Rays(p, self.x, self.y)
        t, least = march(p, self.rays, self.px)
        self.fx, self.fy, self.fz = self.rays.at(t)
        self.face_alpha, self.face_gap = self.cover(least), least
        self.pores = self.texture(self.fx, self.fy, 14.0, 14.0, 3)

    def cover(self, distance: Tensor, px: Tensor | float | None = None) -> Tensor:
        """Antialiased coverage of a signed distance (negative inside), in head units."""
        return (0.5 - distance / (self.px if px is None else px)).clamp(0, 1)

    def texture(self, u: Tensor, v: Tensor, fu: float, fv: float, octaves: int = 3) -> Tensor:
        """Sum of noise octaves, (N, 1, H, W) in about [-1, 1]; octaves finer than the pixels are left out."""
        total, weight = torch.zeros_like(u), 1.0
        for k in range(octaves):
            share = band(max(fu, fv), self.pixel) * weight
            if share <= 0:
                break
            total = total + share * noise(u * fu + self.p.u0 + 17 * k, v * fv + self.p.v0 + 31 * k, 1)
            fu, fv, weight = fu * 2.1, fv * 2.1, weight * 0.6
        return total

    def thin(self, width: float) -> float:
        """Strength of a line of this width: what pixels wider than it leave of it."""
        return min(1.0, 1.6 * width / self.pixel) if self.pixel > width else 1.0

    def light(self, nx: Tensor, ny: Tensor, nz: Tensor, shadow: Tensor | float, ao: Tensor | float) -> Tensor:
        """Light on skin, normals in the camera's frame: red wraps further around than blue, as under real skin."""
        p = self.p
        d = nx * p.light_x + ny * p.light_y + nz * p.light_z
        lit = []
        for k, wrap in enumerate((0.36, 0.20, 0.14)):
            wrapped = ((d + wrap) * (1 / (1 + wrap))).clamp(min=0)
            soft = shadow if k else torch.as_tensor(shadow) * 0.9 + 0.1
            lit.append(p.key[:, k : k + 1] * wrapped * soft + p.fill[:, k : k + 1] * (0.75 - 0.25 * ny) * ao)
        return torch.cat(lit, 1)
