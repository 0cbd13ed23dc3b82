"""Glasses and hats."""

from __future__ import annotations

import torch

from bench.data.synthfaces.canvas import GLASSES, HAT, Canvas
from bench.data.synthfaces.head import azimuth, project, ramp, ridge
from bench.data.synthfaces.noise import band
from bench.data.synthfaces.view import View, rgb


def glasses(view: View, canvas: Canvas) -> None:
    """Frames, lenses with a faint reflection, or sunglasses."""
    p = view.p
    if not p.glasses.any():
        return
    zg = p.rz + 0.115
    x, y = view.rays.plane(zg)
    ax = x.abs()
    cx = p.eye_x * 1.06
    r = p.lens_round * torch.minimum(p.lens_w, p.lens_h)
    qx, qy = (ax - cx).abs() - p.lens_w + r, (y - 0.012).abs() - p.lens_h + r
    outside = (qx.clamp(min=0).square() + qy.clamp(min=0).square()).sqrt()
    d = outside + torch.maximum(qx, qy).clamp(max=0) - r
    canvas.shade(1 - 0.22 * p.glasses * view.front * ridge(d - 0.03, 0.03))
    # an arm from the frame to the ear, on the side that shows
    for side in (-1.0, 1.0):
        x0, y0 = project(p, side * (cx + p.lens_w), -0.03, zg)
        x1, y1 = project(p, side * (p.rx + 0.035), -0.05, 0.0)
        bx, by = x1 - x0, y1 - y0
        h = (((view.x - x0) * bx + (view.y - y0) * by) / (bx * bx + by * by + 1e-6)).clamp(0, 1)
        arm = ((view.x - x0 - h * bx).square() + (view.y - y0 - h * by).square()).sqrt() - 0.008
        shown = view.cover(arm, view.pixel) * p.glasses * (side * torch.sin(p.yaw) < 0.12).float()
        canvas.paint(p.frame_colour * p.key * 0.7, shown * (1 - p.long * 0.8 * h), GLASSES)
    lens = view.cover(d) * p.glasses
    streak = ramp(0.03, 0.0, (x * 0.8 + y + 0.02 - 0.25 * p.head_light_x).abs() - 0.03)
    glare = 0.03 + 0.10 * streak + 0.06 * ramp(0.05, -0.12, y)
    canvas.paint(rgb(0.75, 0.82, 0.9) * p.key, lens * glare * (1 - 0.5 * p.sunglasses))
    dark = p.tint * 0.5 * (0.35 + 0.9 * ramp(-0.10, 0.12, y)) + 0.12 * glare * p.key
    canvas.paint(dark, lens * p.sunglasses * (0.97 - 0.15 * ramp(-0.05, 0.12, y)), GLASSES)
    bridge = torch.maximum((y + 0.035 - 1.5 * x * x).abs() - 0.6 * p.rim - 0.003, ax - cx + p.lens_w)
    ring = torch.minimum(d.abs() - p.rim, bridge)
    metal = 0.75 + 0.6 * ramp(0.0, -0.010, (d + 0.2 * p.rim).abs() - 0.006) * ramp(0.02, -0.10, y)
    canvas.paint(p.frame_colour * (p.fill + p.key * 0.6) * metal, view.cover(ring) * p.glasses, GLASSES)


def hat(view: View, canvas: Canvas) -> None:
    """A knitted hat, or one with a brim."""
    p = view.p
    if not p.hat.any():
        return
    t, inside = view.rays.ellipsoid(-0.12, -0.06, p.rx + 0.075, 0.76, p.rz + 0.09)
    x, y, z = view.rays.at(t)
    line = p.hat_y + 0.12 * (1 - ramp(-0.2, 0.5, z)) + 0.10 * x * p.part
    angle = azimuth(x, z + 0.1)
    rib = torch.sin(angle * 34) * band(12, view.pixel)
    knit = rib * torch.sin(y * 70 + 1.5 * rib) * band(14, view.pixel)
    cuff = ramp(0.012, -0.012, (y - line + 0.075).abs() - 0.075) * (1 - p.hat_brim)
    nx, ny, nz = x / p.rx, (y + 0.12) / 0.8, z / p.rz
    inv = (nx * nx + ny * ny + nz * nz + 1e-6).rsqrt()
    lit = ((nx * p.head_light_x + ny * p.head_light_y + nz * p.head_light_z) * inv).clamp(min=0)
    wool = 1 + (0.22 * knit + 0.18 * rib * cuff) * (1 - p.hat_brim) + 0.08 * view.texture(x, y, 12.0, 12.0, 3)
    colour = (
        p.hat_colour
        * (p.fill + p.key * lit * 0.95)
        * wool
        * (1 - 0.14 * cuff * ramp(0.02, 0.0, line - 0.15 - y + 0.02))
    )
    ribbon = p.hat_brim * ramp(0.01, -0.01, (y - line + 0.06).abs() - 0.05)
    colour = colour * (1 - 0.65 * ribbon)
    alpha = view.cover(torch.maximum(-inside, y - line)) * p.hat
    canvas.shade(1 - 0.40 * p.hat * view.face_alpha * ramp(0.14, 0.0, view.fy - line))
    canvas.paint(colour, alpha, HAT)
    bx, by = view.rays.plane(0.25)
    q = ((bx / 0.86).square() + ((by - line - 0.03 + 0.10 * bx * bx) / 0.085).square()).sqrt()
    shade = (p.fill + p.key * 0.8) * (0.55 + 0.5 * ramp(0.05, -0.08, by - line))
    canvas.paint(p.hat_colour * shade * (1 + 0.08 * rib), view.cover((q - 1) * 0.085) * p.hat_brim, HAT)
