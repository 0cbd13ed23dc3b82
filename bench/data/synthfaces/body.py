"""Neck, shoulders and ears."""

from __future__ import annotations

import torch

from bench.data.synthfaces.canvas import CLOTH, EAR, EARRING, NECK, NECKLACE, Canvas
from bench.data.synthfaces.head import bump, project, ramp, ridge
from bench.data.synthfaces.noise import band
from bench.data.synthfaces.view import View, rgb


def neck(view: View, canvas: Canvas) -> None:
    """A cylinder with the shadow of the chin, sinews, and perhaps a necklace."""
    p = view.p
    cx, cy = project(p, 0.0, 0.45, -0.15)
    view.neck_x = cx
    x, y = (view.x - cx) / p.scale, (view.y - cy) / p.scale
    w = p.neck_w + 0.22 * ramp(0.30, 0.75, y) * ramp(0.30, 0.75, y)
    alpha = view.cover(torch.maximum(x.abs() - w, -y - 0.1))
    nx = (x / w).clamp(-1, 1)
    nz = (1 - nx * nx * 0.9).sqrt()
    sinew = ridge(x.abs() - 0.13 + 0.12 * y, 0.030)
    under = ramp(0.0, 0.34, view.face_gap)
    ao = 0.30 + 0.70 * under
    above = ramp(0.05, 0.38, view.face_gap + 0.10 * p.light_y + 0.1 * x * p.light_x)
    colour = p.skin * view.light(nx * 0.85 + 0.10 * sinew, 0.15 + 0 * nx, nz, 0.15 + 0.85 * above, ao)
    canvas.paint(colour * (1 + 0.04 * view.pores), alpha, NECK)
    chain = y - 0.53 + 1.65 * x * x
    beads = 0.7 + 0.5 * torch.sin(x * 90) * band(30, view.pixel)
    shown = view.cover(chain.abs() - 0.010) * (x.abs() < w).float() * p.necklace
    canvas.paint(p.jewel * (0.35 + 0.9 * beads), shown, NECKLACE)


def cloth(view: View, canvas: Canvas) -> None:
    """Shoulders in a shirt, a collar, a jumper or a turtleneck."""
    p = view.p
    x, y = view.x - view.neck_x * 0.9, view.y
    ax = x.abs()
    slope = p.shoulder + 0.30 * (ax - 0.30).clamp(min=0) + 0.5 * (ax - 0.62).clamp(min=0).square()
    slope = slope + 0.10 * ridge(ax, 0.2)
    kind = p.neckline
    round_cut = 0.10 + p.shoulder - 1.5 * ax * ax
    v_cut = 0.26 + p.shoulder - 0.95 * ax
    high = p.shoulder - 0.06 + 0.10 * ax
    cut = torch.where(kind == 0, round_cut, torch.where(kind == 3, high, v_cut))
    d = torch.maximum(slope, cut) - y
    d = torch.where((kind == 3) & (ax < 0.31 * p.scale), high - y, d)
    fold = view.texture(x + 0.3 * y, y, 2.2, 1.2, 3)
    c, s = torch.cos(p.pattern_angle), torch.sin(p.pattern_angle)
    u, v = (x * c + y * s) * p.pattern_step, (y * c - x * s) * p.pattern_step
    keep = band(9.0, view.pixel)
    bar, bar2 = torch.sin(u * 3.14) * keep, torch.sin(v * 3.14) * keep
    stripes = ramp(-0.3, 0.3, bar)
    checks = 0.5 * stripes + 0.5 * ramp(-0.3, 0.3, bar2)
    weave = torch.sin(x * 100 + 0.6 * torch.sin(y * 60)) * torch.sin(y * 100) * band(16, view.pixel)
    mix = torch.where(p.pattern == 1, stripes, torch.where(p.pattern == 2, checks, 0 * x))
    colour = p.cloth + (p.cloth2 - p.cloth) * mix
    colour = colour * (1 + torch.where(p.pattern == 3, 0.35 * weave, 0.06 * weave))
    nx, ny = (x * 0.8 + 0.35 * fold).clamp(-1, 1), -0.35 + 0.3 * fold
    lit = (nx * p.light_x + ny * p.light_y + 0.75 * p.light_z).clamp(min=0)
    shade = 0.45 + 0.55 * ramp(0.0, 0.35, view.face_gap)
    hem = 1 - 0.35 * ridge(y - cut - 0.03, 0.02) * (kind != 2).float()
    canvas.paint(colour * (p.fill + p.key * lit * 0.9) * (shade * hem), view.cover(d, view.pixel), CLOTH)
    # the two leaves of a collar
    leaf = torch.maximum((y - cut - 0.02 - 0.1 * ax).abs() - 0.085 + 0.10 * ax, ax - 0.42)
    leaf = torch.maximum(leaf, slope - 0.05 - y)
    collar = view.cover(leaf, view.pixel) * (kind == 2).float()
    tone = 0.80 + 0.25 * ramp(0.05, -0.07, y - cut)
    canvas.paint(p.cloth2 * (p.fill + p.key * lit * 0.9) * (tone * shade), collar, CLOTH)


def ears(view: View, canvas: Canvas) -> None:
    """Ears at the sides of the head, and earrings."""
    p = view.p
    for side, label in ((-1.0, EAR), (1.0, EAR + 1)):
        away = side * torch.sin(p.yaw)  # > 0: this ear turns out of sight
        ex, ey = project(p, side * (p.rx + 0.015), 0.07, -0.06)
        x, y = (view.x - ex) / p.scale, (view.y - ey) / p.scale
        x = x + side * 0.18 * y
        w = p.ear * (0.46 - 0.30 * away).clamp(0.15, 0.75) * (1.10 - 0.45 * ramp(-0.08, 0.16, y))
        q = ((x / w).square() + (y / p.ear).square()).sqrt()
        d = (q - 1) * w
        alpha = view.cover(d) * (1 - p.long)
        inner = bump((x + side * 0.02) / w, y / p.ear + 0.05, 0.45, 0.52)
        rim = ridge(q - 0.80, 0.14)
        colour = (
            p.skin
            * rgb(1.08, 0.93, 0.92)
            * view.light(side * (0.45 + 0.3 * q) + 0.1 * rim, -0.05 + 0 * q, 0.65 + 0.2 * rim, 0.85, 0.9)
        )
        canvas.paint(colour * (1 - 0.50 * inner + 0.12 * rim), alpha, label)
        dy = y - p.ear - p.earring_drop * 0.5 - 0.5 * p.earring_size
        r = p.earring_size
        ring = ((x / r).square() + (dy / (r + 0.5 * p.earring_drop)).square()).sqrt()
        shine = 0.35 + 1.3 * bump(x + 0.3 * r, dy + 0.3 * r, 0.5 * r, 0.6 * r)
        shown = view.cover((ring - 1) * r) * p.earring * (away < 0.25).float()
        canvas.paint(p.jewel * shine, shown, EARRING)
