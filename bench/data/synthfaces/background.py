"""What is behind the person."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.data.synthfaces.head import ramp
from bench.data.synthfaces.noise import noise
from bench.data.synthfaces.view import View, rgb


def wall(view: View) -> Tensor:
    """Studio gradient, lights out of focus, outdoors, or an interior: linear colour (N, 3, H, W)."""
    p, x, y = view.p, view.x, view.y
    c, s = torch.cos(p.wall_angle), torch.sin(p.wall_angle)
    along = x * c + y * s
    cloud = noise(x * 1.7 + p.u0, y * 1.7 + p.v0)
    fine = view.texture(x, y, 9.0, 9.0, 4)
    mix = (0.5 + 0.45 * along + 0.35 * cloud[:, :1]).clamp(0, 1)
    colour = p.wall + (p.wall2 - p.wall) * mix
    glow = 0.55 + 0.75 * torch.exp(-1.1 * (x * x + y * y))
    studio = (p.backdrop == 0).float()
    colour = colour * (1 + studio * (glow - 1))
    bokeh, outdoor, indoor = (p.backdrop == 1).float(), (p.backdrop == 2).float(), (p.backdrop == 3).float()
    # outdoors: sky, foliage and ground
    horizon = y - 0.2 * torch.sin(p.u0) + 0.35 * cloud[:, 1:]
    leaves = noise(x * 3.3 + p.v0, y * 3.3 + p.u0)
    green = rgb(0.10, 0.19, 0.05) * (0.9 + 0.65 * leaves[:, :1] + 0.25 * fine) + 0.05 * p.wall
    sky = rgb(0.55, 0.68, 0.85) * (1.05 + 0.12 * cloud[:, :1])
    scene = sky + (green.clamp(min=0.01) - sky) * ramp(-p.blur * 3, p.blur * 3, horizon + 0.12 * leaves[:, 1:])
    colour = colour + (scene - colour) * outdoor
    # interior: planes with soft edges
    across = y * c - x * s
    cell = torch.floor(across * 2.3 + p.v0)
    edge = across * 2.3 + p.v0 - cell
    line = ramp(0, p.blur * 2, edge) * ramp(1, 1 - p.blur * 2, edge)
    odd = (cell - 2 * torch.floor(cell * 0.5)) * line
    shelf = ramp(-p.blur, p.blur, along - 0.25 * torch.cos(p.u0))
    room = colour + (p.wall3 - colour) * (0.65 * odd)
    room = room + (p.wall2 * 0.5 - room) * (0.7 * shelf)
    colour = colour + (room - colour) * indoor
    colour = colour * (1 - 0.65 * bokeh)
    for k in range(6):
        dx, dy, r = x - getattr(p, f"disc{k}_x"), y - getattr(p, f"disc{k}_y"), getattr(p, f"disc{k}_r")
        d = (dx * dx + dy * dy).sqrt()
        disc = ramp(r + 0.5 * p.blur + view.pixel, r - 0.2 * p.blur, d) * (0.55 + 0.45 * ramp(0.5 * r, r, d))
        colour = colour + getattr(p, f"disc{k}") * disc * (bokeh * 0.65 + outdoor * 0.12)
    return colour * (1 + 0.10 * fine)
