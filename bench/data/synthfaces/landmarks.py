"""The 68 landmarks of a `synthfaces` head, in the order of iBUG-68 (left is the left of the picture)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from bench.data.synthfaces.curves import brow, brow_span, eyelids, lips, mouth_width
from bench.data.synthfaces.head import depth, half_width, project


def landmarks(p: SimpleNamespace, size: int) -> Tensor:
    """(N, 68, 2) float32, (x, y) in pixels: points fixed on the head's surface, seen by the camera."""
    q = SimpleNamespace(**{k: v[:, 0, 0] for k, v in vars(p).items() if v.shape[1] == 1})
    points = [_jaw(q), _brow(q, -1), _brow(q, 1), _nose(q), _eye(q, -1), _eye(q, 1), _mouth(q)]
    x, y = (torch.cat(axis, 1) for axis in zip(*points, strict=True))
    px, py = project(q, x, y, depth(q, x, y))
    return torch.stack([(px + 1) * (size / 2), (py + 1) * (size / 2)], -1)


def _row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float32)


def _jaw(p: SimpleNamespace) -> tuple[Tensor, Tensor]:
    angle = torch.linspace(-0.97, 0.97, 17).reshape(1, -1) * (torch.pi / 2)
    y = 0.05 + (p.ry - 0.03) * torch.cos(angle)
    reach = (1 - ((y - 0.02) / p.ry).square()).clamp(min=0).sqrt()
    return torch.sign(angle) * 0.97 * half_width(p, y) * reach, y


def _brow(p: SimpleNamespace, side: int) -> tuple[Tensor, Tensor]:
    q = _row(0.88, 0.69, 0.5, 0.30, 0.10)  # the left brow starts outside, the right one inside
    q = q if side < 0 else q.flip(1)
    return side * (p.brow_in + q * brow_span(p)), brow(p, q)


def _nose(p: SimpleNamespace) -> tuple[Tensor, Tensor]:
    t = _row(0.0, 1 / 3, 2 / 3, 1.0)
    wings = _row(-1.0, -0.5, 0.0, 0.5, 1.0) * p.nose_w
    low = p.nose_y + 0.055 - 0.03 * _row(1.0, 0.4, 0.0, 0.4, 1.0)
    return torch.cat([0 * t * p.nose_y, wings], 1), torch.cat([t * p.nose_y, low], 1)


def _eye(p: SimpleNamespace, side: int) -> tuple[Tensor, Tensor]:
    # corner, two of the upper lid, corner, two of the lower lid; the left eye starts outside, the right one inside
    s = _row(0.97, 0.35, -0.35, -0.97, -0.35, 0.35) * -side
    upper, lower = eyelids(p, s)
    y = torch.cat([upper[:, :3], 0.5 * (upper + lower)[:, 3:4], lower[:, 4:]], 1)
    return side * (p.eye_x + s * p.eye_w), y + p.eye_tilt * s * p.eye_w


def _mouth(p: SimpleNamespace) -> tuple[Tensor, Tensor]:
    w = mouth_width(p)
    runs = [  # outer top and bottom, inner top and bottom
        (_row(-0.98, -0.6, -0.25, 0.0, 0.25, 0.6, 0.98) * w, "top"),
        (_row(0.6, 0.25, 0.0, -0.25, -0.6) * w, "bottom"),
        (_row(-0.88, -0.3, 0.0, 0.3, 0.88) * w, "upper"),
        (_row(0.3, 0.0, -0.3) * w, "lower"),
    ]
    y = [getattr(lips(p, x), edge) for x, edge in runs]
    return torch.cat([x for x, _ in runs], 1), torch.cat(y, 1)
