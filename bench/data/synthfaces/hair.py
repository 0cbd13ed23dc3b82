"""Hair: strands, the cap on the skull, and long hair behind and beside the face."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.data.synthfaces.canvas import HAIR, Canvas
from bench.data.synthfaces.head import azimuth, ramp, ridge
from bench.data.synthfaces.noise import noise
from bench.data.synthfaces.view import View


def strands(view: View, u: Tensor, v: Tensor) -> Tensor:
    """Relative brightness of hair: u across the strands, v along them."""
    p = view.p
    bend = noise(u * 2.2 + p.u0, v * 2.2 + p.v0)
    wavy = u + 0.030 * bend[:, :1] + 0.05 * p.wave * torch.sin(v * 13 + 5 * bend[:, 1:] + 3 * u)
    straight = view.texture(wavy, v, 17.0, 1.1, 4)
    if not p.curl.any():
        return straight
    coil = torch.sin(u * 40 + 4.5 * bend[:, :1] + 1.2 * torch.sin(v * 17)) * torch.sin(v * 31 + 4.5 * bend[:, 1:])
    curls = 0.75 * coil + 0.8 * view.texture(u + 0.03 * coil, v, 22.0, 22.0, 3)
    return straight + (curls - straight) * p.curl


def hair_colour(view: View, strand: Tensor, nx: Tensor, ny: Tensor, nz: Tensor, along: Tensor) -> Tensor:
    """Light on hair: soft diffuse light, and a highlight across strands that run along the y of the head."""
    p = view.p
    diffuse = (nx * p.head_light_x + ny * p.head_light_y + nz * p.head_light_z) * 0.5 + 0.5
    tilt = ny - p.head_half_y * 0.9 + 0.10 * strand
    shine = torch.exp(-tilt * tilt * 14) * (0.35 + 0.65 * (0.5 + 0.5 * strand).clamp(0, 1)) * diffuse
    tone = torch.maximum(0.72 + 0.60 * strand, 0.12 + 0.12 * p.curl) * along
    colour = p.hair * (p.fill * 0.9 + p.key * diffuse * diffuse * 1.1) * tone
    return colour + (0.035 + 0.22 * p.hair) * p.key * (shine * (1 - 0.6 * p.curl) * along)


def shell(view: View, shrink: float = 0.0) -> tuple[Tensor, Tensor]:
    """The rays' hits on the outside of the hair of the head, and how far inside its outline they are."""
    p = view.p
    grow = p.volume - shrink
    top, wide = 0.68 + grow + 0.06 * p.afro, p.rx + 0.02 + grow * (0.75 + 0.25 * p.afro)
    return view.rays.ellipsoid(-0.10, -0.07, wide, top, p.rz + 0.02 + 0.6 * grow)


def hairline(view: View, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """How far inside the hair a point of the head is (positive: hair)."""
    p = view.p
    ax = x.abs()
    bangs = p.bangs * (0.245 - 0.05 * ramp(0.1, 0.4, ax))
    lean = p.part * x * 0.35 * (1 - p.bangs)
    front = p.hairline - 0.02 + 0.45 * x * x * (1 - p.bangs) + bangs + lean - p.recede * ridge(ax - 0.25, 0.11)
    front = front + 0.60 * (ax - 0.33).clamp(min=0) + 2.6 * (ax - 0.455).clamp(min=0)
    nape = 0.16 + 0.2 * p.long
    return torch.maximum(front - y, torch.minimum(-0.02 - z, nape - y - 1.6 * p.curl * (ax - 0.5).clamp(min=0)))


def curtain_edge(view: View, y: Tensor) -> Tensor:
    """The inner edge of long hair beside the face."""
    p = view.p
    return 0.475 + 0.35 * p.frame - 0.17 * ramp(0.0, -0.45, y) - 0.07 * ramp(0.15, 0.7, y)


def hair_shadow(view: View, x: Tensor, y: Tensor) -> Tensor:
    """The soft shadow of the hair on the forehead and temples."""
    p = view.p
    gap = hairline(view, x, y, view.fz)
    dark = (0.42 * ramp(-0.14, 0.02, gap) * (p.volume * 10).clamp(max=1)) * (1 - p.bald)
    inner = curtain_edge(view, y)
    dark = dark + p.long * 0.35 * ramp(-0.14, 0.0, x.abs() - inner)
    return 1 - dark.clamp(max=0.6)


def back_hair(view: View, canvas: Canvas) -> None:
    """The hair on the back of the head, and long hair behind the neck."""
    p = view.p
    t, inside = shell(view, 0.02)
    scalp = view.cover(torch.maximum(-inside, view.rays.at(t)[1] - 0.10))
    dim = p.hair * (p.fill + 0.25 * p.key)
    canvas.paint(dim + p.buzz * (0.4 * p.skin - dim), scalp * (1 - p.bald), HAIR)
    if not p.long.any():
        return
    x, y = view.rays.plane(-0.22)
    wob = noise(x * 4 + p.v0, y * 4 + p.u0)
    half = 0.52 + p.volume + p.frame + 0.10 * ramp(0.0, 0.8, y) + 0.05 * p.wave * wob[:, :1] + 0.02 * wob[:, 1:]
    side = x.abs() - half
    d = torch.maximum(torch.maximum(side, y - p.length - 0.1 * wob[:, :1]), -y - 0.35)
    strand = strands(view, x, y)
    d = torch.maximum(d, -inside - 0.5 * ramp(-0.30, 0.65, y))
    alpha = view.cover(d + 0.03 * strand) * p.long
    nx = (x / (half + 0.1)).clamp(-1, 1)
    dark = 0.30 + 0.45 * ramp(0.25, 0.6, x.abs())
    colour = hair_colour(view, strand, nx * 0.8, torch.zeros_like(x) - 0.1, 1 - 0.6 * nx * nx, dark)
    canvas.paint(colour, alpha, HAIR)


def cap_hair(view: View, canvas: Canvas) -> None:
    """The hair on the head: a shell over the skull, cut by the hairline."""
    p = view.p
    t, inside = shell(view)
    x, y, z = view.rays.at(t)
    angle = azimuth(x - p.part, z + 0.25)
    away = (angle * angle + 0.01).sqrt()
    combed = 0.8 * (y - 0.7 * away - 0.5 * p.sweep * angle)
    u = 0.8 * angle + (combed - 0.8 * angle) * p.fall
    wisps = view.texture(view.x, view.y, 20.0, 20.0, 2)
    strand = strands(view, u, y + 0.5 * away) * ramp(-0.01, 0.07, inside) * (1 - 0.5 * p.buzz)
    rough = 0.008 + 0.020 * p.curl + 0.02 * p.afro + 0.016 * p.bangs
    gap = hairline(view, x, y, z) + rough * strand * (1 - 0.7 * p.buzz)
    edge = 0.014 + 0.05 * p.buzz + 0.026 * (1 - p.bangs)
    alpha = ramp(-edge, edge, gap) * view.cover(-inside - rough * wisps - 0.004, view.px * (1 + 1.5 * p.curl))
    alpha = alpha * (1 - p.bald) * (1 - p.buzz * (0.28 - 0.2 * strand))
    nx, ny, nz = x / p.rx, (y + 0.10) / 0.8, (z + 0.07) / p.rz
    inv = (nx * nx + ny * ny + nz * nz + 1e-6).rsqrt()
    root = 0.62 + 0.38 * ramp(0.0, 0.13, gap)
    parting = 1 - 0.45 * ridge(x - p.part, 0.018) * ramp(-0.35, -0.5, y) * p.long * (1 - p.bangs)
    colour = hair_colour(view, strand, nx * inv, ny * inv, nz * inv, root * parting)
    canvas.paint(colour, alpha.clamp(0, 1), HAIR)


def curtains(view: View, canvas: Canvas) -> None:
    """Long hair that hangs beside the face and over the shoulders."""
    p = view.p
    if not p.long.any():
        return
    x, y = view.rays.plane(0.10)
    wob = noise(x * 3.1 + p.u0, y * 3.1 + p.v0)
    swing = 0.035 * (0.3 + p.wave) * torch.sin(y * 9 + p.u0 + wob[:, 1:])
    ax = x.abs() + swing
    inner = curtain_edge(view, y)
    wide = p.rx + 0.02 + 0.8 * p.volume
    round_top = (1 - (y.clamp(max=0) * 1.3).square()).clamp(min=0.01).sqrt()
    outer = wide * round_top + (0.5 * p.frame + 0.12 * ramp(0.0, 0.9, y)) * ramp(-0.1, 0.3, y)
    d = torch.maximum(torch.maximum(inner - ax, ax - outer), y - p.length + 0.10 + 0.12 * wob[:, :1])
    inside = shell(view)[1]
    d = torch.maximum(d, -inside - 0.5 * ramp(-0.30, 0.65, y))
    strand = strands(view, x * 1.1, y)
    alpha = (
        view.cover(d + 0.022 * strand, view.px * (1.3 + 1.5 * p.curl)) * p.long * ramp(-0.46, -0.24, y + 0.08 * strand)
    )
    across = ((ax - inner) / (outer - inner)).clamp(0, 1)
    side = torch.where(x > 0, 1.0, -1.0)
    nx = side * (1.7 * across - 0.75)
    nz = (1 - 0.7 * nx * nx).clamp(min=0.1)
    lock = 0.70 + 0.30 * ramp(0.0, 0.3, across) + 0.25 * wob[:, :1]
    ny = -0.25 + 0.55 * ramp(-0.4, 0.9, y) + 0.25 * p.wave * torch.sin(y * 9 + p.u0)
    canvas.paint(hair_colour(view, strand, nx * 0.8, ny, nz, lock), alpha, HAIR)
