"""Skin with its light and shadow, and the features drawn on it."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.data.synthfaces import hair
from bench.data.synthfaces.canvas import BROW, EYE, LOWER, MOUTH, NOSE, SKIN, UPPER, Canvas
from bench.data.synthfaces.curves import brow, brow_span, eyelids, lips, mouth_width
from bench.data.synthfaces.head import azimuth, base, bump, ramp, relief, ridge, surface
from bench.data.synthfaces.noise import band, noise
from bench.data.synthfaces.view import View, luminous, rgb


def face(view: View, canvas: Canvas) -> None:
    """Skin with its shadows, then what is painted on it: nose, mouth, eyes, brows, beard."""
    p, x, y, z = view.p, view.fx, view.fy, view.fz
    d0 = relief(p, x, y, True)
    eps = 0.010
    gx = ((relief(p, x + eps, y, True) - d0) * (1 / eps)).clamp_(-1.5, 1.5)
    gy = ((relief(p, x, y + eps, True) - d0) * (1 / eps)).clamp_(-1.5, 1.5)
    _, bx, by, bz = base(p, x, y, z)
    hx, hy, hz = bx - gx, by - gy, bz
    inv = (hx * hx + hy * hy + hz * hz + 1e-6).rsqrt()
    hx, hy, hz = hx * inv, hy * inv, hz * inv
    nx = p.r00 * hx + p.r01 * hy + p.r02 * hz
    ny = p.r10 * hx + p.r11 * hy + p.r12 * hz
    nz = (p.r20 * hx + p.r21 * hy + p.r22 * hz).clamp(min=0)
    lx, ly, lz = p.head_light_x, p.head_light_y, p.head_light_z
    towards = surface(p, x + 0.10 * lx, y + 0.10 * ly, z + 0.10 * lz)
    shadow = ramp(-0.055, 0.040, towards)
    ao = (surface(p, x + 0.10 * hx, y + 0.10 * hy, z + 0.10 * hz) * 7 + 0.40).clamp(0.45, 1)
    ax = x.abs()
    ao = (
        ao
        * (1 - 0.35 * bump(ax - 0.105, y + 0.005, 0.05, 0.05))
        * (1 - 0.25 * bump(ax, y - p.nose_y - 0.065, 0.09, 0.025))
    )
    view.diffuse = view.light(nx, ny, nz, shadow, ao)

    mottle = noise(x * 5 + p.u0, y * 5 + p.v0)
    red = (
        p.blush * (bump(ax - 0.28, y - 0.24, 0.15, 0.12) + 0.7 * bump(x, y - p.nose_y, 0.09, 0.07))
        + 0.25 * mottle[:, :1]
    )
    spots = noise(x * 34 + p.v0, y * 34 + p.u0)
    freckle = ramp(0.35, 0.75, spots[:, :1]) * bump(ax - 0.17, y - 0.2, 0.24, 0.14) * p.freckles * band(24, view.pixel)
    mole = p.mole * view.cover(((x - p.mole_x).square() + (y - p.mole_y).square()).sqrt() - 0.012)
    tone = 1 + 0.05 * view.pores + 0.06 * mottle[:, 1:] - 0.30 * freckle - 0.6 * mole
    lines = torch.sin((y + 0.3) * 62 + 2 * mottle[:, :1]) * bump(x, y + 0.29, 0.28, 0.09) * ramp(0.35, 1.0, p.age)
    tone = tone * (1 - 0.16 * lines.clamp(min=0) * band(20, view.pixel))
    bags = bump(ax - p.eye_x + 0.01, y - 0.065, 0.075, 0.022) * (0.06 + 0.16 * p.age)
    tone = tone * (1 - bags)
    one = torch.ones_like(red)
    albedo = p.skin * torch.cat([one + 0.05 * red, one - 0.10 * red, one - 0.09 * red], 1) * tone
    facing = (hx * p.head_half_x + hy * p.head_half_y + hz * p.head_half_z).clamp(min=0)
    sq = facing.square().square().square()
    gloss = (0.045 * sq + 0.10 * sq.square().square()) * shadow * (1 + 0.5 * view.pores) * p.oil
    edge = (1 - nz).square() * (1 - nz)
    rim = edge * p.rim_light * ramp(0.2, 0.9, p.rim_side * nx)
    colour = albedo * view.diffuse + (gloss + rim * 0.35) * p.key
    colour = colour * hair.hair_shadow(view, x, y)
    canvas.paint(colour, view.face_alpha, SKIN)
    view.gloss = sq.square().square() * shadow
    view.front = view.face_alpha * ramp(0.05, 0.15, z)

    nose(view, canvas, colour, x, y)
    beard(view, canvas, x, y, ax)
    mouth(view, canvas, x, y)
    eyes(view, canvas, x, y)


def nose(view: View, canvas: Canvas, colour: Tensor, x: Tensor, y: Tensor) -> None:
    """The region of the nose (a little redder), and the nostrils."""
    p = view.p
    t = ((y + 0.02) / (p.nose_y + 0.02)).clamp(0, 1.2)
    w = p.nose_w * (0.55 + 0.95 * t * t)
    ax = x.abs()
    low = p.nose_y + 0.070 - 0.25 * ax
    d = torch.maximum(torch.maximum(ax - w, y - low), -0.04 - y)
    canvas.paint(colour * rgb(1.01, 0.985, 0.985), view.cover(d) * view.front, NOSE)
    wing = bump(ax - 0.62 * p.nose_w, (y - p.nose_y - 0.048 + 0.25 * (ax - 0.6 * p.nose_w)), 0.026, 0.017)
    rim = bump(ax - 1.42 * p.nose_w, y - p.nose_y - 0.015, 0.014, 0.035)
    canvas.shade(1 - view.front * (0.88 * wing + 0.26 * rim).clamp(max=0.95))


def beard(view: View, canvas: Canvas, x: Tensor, y: Tensor, ax: Tensor) -> None:
    """Stubble, full beard, moustache, goatee: hair colour in short strokes; the label stays skin."""
    p = view.p
    line = 0.40 - 0.42 * ridge(ax - 0.50, 0.14) - 0.10 * ridge(ax, 0.05)
    wob = 0.02 * view.pores
    cheek = ramp(-0.07, 0.10, y - line + wob) * (1 - bump(ax, y - p.mouth_y - 0.105, 0.055, 0.03) * 0.5)
    lip = bump(ax * 0.8, y - p.mouth_y + 0.068 - 0.22 * ax * ax + 0.03 * p.smile, p.mouth_w * 0.9, 0.030)
    chin = ramp(0.19, 0.11, ax) * ramp(0.58, 0.64, y + wob)
    bare = bump(ax, y - p.mouth_y, 0.5 * p.mouth_w, 0.03)
    area = torch.maximum(
        cheek * torch.maximum(p.beard, 0.62 * p.stubble), torch.maximum(lip * 1.3 * p.moustache, chin * p.goatee)
    )
    area = torch.maximum(area, 0.5 * p.stubble * lip) * (1 - 0.6 * bare)
    grain = view.texture(x + 0.15 * y, y, 54.0, 20.0, 2)
    alpha = (area * (0.9 + 0.22 * grain)).clamp(0, 0.94) * view.front
    colour = p.brow * (0.95 + 0.40 * grain).clamp(min=0.2) * (view.diffuse * 1.15) + 0.02 * p.key * view.gloss
    canvas.paint(colour, alpha)


def mouth(view: View, canvas: Canvas, x: Tensor, y: Tensor) -> None:
    """Lips, and between them teeth and the dark of the mouth."""
    p = view.p
    w = mouth_width(p)
    top, up, low, bottom, middle, keep = lips(p, x)
    beyond = x.abs() - w
    in_up = torch.maximum(torch.maximum(top - y, y - up), beyond)
    in_low = torch.maximum(torch.maximum(low - y, y - bottom), beyond)
    inside = torch.maximum(torch.maximum(up - y, y - low), beyond)
    grooves = view.texture(x, y, 34.0, 4.0, 2)
    lip = p.lip * (1 + 0.12 * grooves)
    f = view.front
    canvas.shade(1 - 0.30 * f * bump(x, y - bottom - 0.022, 0.11, 0.022))
    inner_up = 0.62 + 0.30 * ramp(0, -0.03, y - up)
    gleam = view.gloss * p.gloss * p.key
    canvas.paint(lip * 0.92 * view.diffuse * inner_up + 0.5 * gleam, view.cover(in_up) * f, UPPER)
    hot = bump(x - 0.04 * p.head_light_x, y - low - 0.42 * p.lip_l, 0.06, 0.014) * p.gloss * 0.16
    round_low = 1.12 - 0.35 * ramp(0.4, 1.0, (y - low) / (p.lip_l + 0.001))
    canvas.paint(lip * 1.05 * view.diffuse * round_low + gleam + hot * p.key, view.cover(in_low) * f, LOWER)
    # teeth: a bright band under the upper lip, darker to the corners
    rows = torch.sin(x * 68).abs().sqrt() * band(14, view.pixel) + 1 - band(14, view.pixel)
    bite = up + 0.062 * keep * (0.4 + 0.6 * p.open) + 0.004
    shade = (0.25 + 0.75 * keep) * (0.72 + 0.28 * rows) * ramp(0, 0.018, y - up + 0.004)
    teeth = rgb(0.72, 0.68, 0.60) * shade * (0.3 + 0.7 * view.diffuse)
    tongue = rgb(0.22, 0.055, 0.05) * ramp(0.0, 0.05, y - bite) * keep
    cavity = teeth + (rgb(0.022, 0.007, 0.007) + tongue - teeth) * ramp(-0.006, 0.008, y - bite)
    canvas.paint(cavity, view.cover(inside) * f, MOUTH)
    line = ridge(y - up, 0.007) * ramp(1.04, 0.94, (x / w).abs()) * (1 - 0.6 * p.open)
    corner = bump(x.abs() - w, y - middle, 0.022, 0.016)
    canvas.shade(1 - f * (0.72 * line).clamp(max=1) * view.thin(0.014))
    canvas.shade(1 - f * 0.45 * corner)


def eyes(view: View, canvas: Canvas, x: Tensor, y: Tensor) -> None:
    """Eyes with iris, lids and lashes, and the brows; both sides at once by mirror."""
    p = view.p
    right = x > 0
    side = torch.where(right, 1.0, -1.0)
    ax = x.abs()
    f = view.front
    grey = luminous(view.diffuse)
    ex = ax - p.eye_x
    ey = y - p.eye_tilt * ex
    s = ex / p.eye_w
    keep = (1 - s * s).clamp(min=0)
    upper, lower = eyelids(p, s)
    d = torch.maximum(torch.maximum(upper - ey, ey - lower), s.abs() * p.eye_w - p.eye_w)
    # the fold of the lid, eye shadow, the socket
    crease = bump(s * 0.8, ey - upper + 0.026 + 0.010 * keep, 1.0, 0.007)
    canvas.shade(1 - f * 0.42 * p.crease * crease * view.thin(0.016))
    shadow = bump(s * 0.75, ey - upper + 0.022, 1.0, 0.030) * p.makeup
    canvas.paint(p.tint * 0.6 * view.diffuse, 0.42 * shadow * f)
    # eyeball
    ix, iy = ex - side * p.gaze_x, ey - p.gaze_y + 0.004
    r = (ix * ix + iy * iy).sqrt()
    radius = 0.051
    white = rgb(0.70, 0.66, 0.63) * (1 - 0.30 * s * s) * (0.15 + 0.75 * grey)
    ball = white * (1 - 0.52 * ridge(ey - upper, 0.026))
    ball = ball + (rgb(0.45, 0.16, 0.14) - ball) * 0.5 * bump(ex + p.eye_w, ey - 0.004, 0.022, 0.02)
    spokes = noise(azimuth(iy, ix) * 7 + p.u0, r * 20 + p.v0, 1) * band(14, view.pixel)
    lit = 0.75 + 0.45 * (iy / radius) + 0.30 * spokes + 0.25 * ramp(0.6, 0.9, r / radius)
    iris = p.iris * lit.clamp(min=0.15) * (0.35 + 0.9 * grey)
    iris = iris * (1 - 0.65 * ramp(0.78, 1.0, r / radius)) * (1 - 0.45 * ridge(ey - upper, 0.022))
    ball = ball + (iris - ball) * ramp(radius + 0.003, radius - 0.004, r)
    ball = ball * (1 - 0.95 * ramp(0.024, 0.019, r))
    hx = side * ex - p.gaze_x - 0.0256 * p.head_light_x
    spark = bump(hx, iy + 0.016, 0.0095, 0.0095) * view.thin(0.03) + 0.25 * bump(hx + 0.026, iy - 0.015, 0.011, 0.010)
    ball = ball + spark * p.key * 0.95
    label = torch.where(right, EYE + 1, EYE).to(torch.uint8)
    canvas.paint(ball, view.cover(d) * f, label)
    # lashes and rims
    out = ramp(-0.4, 1.1, s)
    thick = (0.006 + 0.007 * p.lash * (0.5 + 0.8 * out)) * (0.35 + 0.65 * keep.sqrt())
    reach = ramp(1.16, 1.0, s) * ramp(-1.05, -0.9, s)
    wing = upper - 0.020 * p.makeup * ramp(0.8, 1.15, s)
    lash = ramp(thick + 0.55 * view.pixel, thick - 0.45 * view.pixel, (ey - wing + 0.3 * thick).abs()) * reach
    dark = p.brow * 0.25
    canvas.paint(dark, lash * f * (0.55 + 0.42 * p.lash) * view.thin(0.02))
    rim = bump(s * 0.6, ey - lower, 1.0, 0.006) * (s.abs() < 1.02).float()
    canvas.shade(1 - f * (0.30 + 0.30 * p.makeup) * rim * view.thin(0.012))
    # brows
    q = (ax - p.brow_in) / brow_span(p)
    half = p.brow_t * (0.62 + q * (1 - q)) * ramp(1.05, 0.55, q)
    grain = view.texture(ax + 0.9 * y, y - 0.4 * ax, 22.0, 8.0, 2)
    bd = (y - brow(p, q)).abs() - half + 0.006 * grain
    soft = ramp(0.008, -0.010, bd) * ramp(-0.06, 0.10, q) * ramp(1.08, 0.88, q)
    label = torch.where(right, BROW + 1, BROW).to(torch.uint8)
    colour = p.brow * (0.75 + 0.45 * grain).clamp(min=0.15) * (view.diffuse + 0.1)
    canvas.paint(colour, (soft * (0.88 + 0.15 * grain)).clamp(0, 0.95) * f, label)
