"""The head of `synthfaces` as an implicit surface: a tapered ellipsoid with features raised on its front.

Head frame: x to the right of the picture, y down, z out of the face; the eye line is y = 0.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

_STEPS = 5
_SIZE = 0.56  # the mean radius, which turns parts of radii into lengths
THIN = 1e-6  # of the head's width, which must not be 0


def _fall(square: Tensor) -> Tensor:
    # far out the exponential would be a denormal number, which processors handle ten times slower
    return square.clamp_(max=40).neg_().exp_()


def bump(dx: Tensor, dy: Tensor, sx: Tensor | float, sy: Tensor | float) -> Tensor:
    """A Gaussian hill of height 1."""
    return _fall((dx * (1 / sx)).square_().add_((dy * (1 / sy)).square_()))


def ridge(d: Tensor, s: Tensor | float) -> Tensor:
    """A Gaussian hill of height 1 in one direction."""
    return _fall((d * (1 / s)).square_())


def ramp(low: float | Tensor, high: float | Tensor, x: Tensor) -> Tensor:
    """Smooth step from 0 at low to 1 at high (high may be the smaller)."""
    t = ((x - low) * (1 / (high - low))).clamp_(0, 1)
    return (3 - 2 * t).mul_(t).mul_(t)


def azimuth(y: Tensor, x: Tensor) -> Tensor:
    """The angle of (x, y) to about 0.005 radians, from arithmetic alone.

    torch.atan2 rounds differently in the last elements of a tensor, so that pictures would depend on their batch.
    """
    ax, ay = x.abs(), y.abs()
    r = torch.minimum(ax, ay) / (torch.maximum(ax, ay) + 1e-9)
    s = r * r
    angle = ((s * -0.0464964749 + 0.15931422) * s - 0.327622764) * s * r + r
    angle = torch.where(ay > ax, 1.57079633 - angle, angle)
    angle = torch.where(x < 0, 3.14159265 - angle, angle)
    return torch.where(y < 0, -angle, angle)


class Rays:
    """Parallel viewing rays through the pixels, in the head frame: (ax, ay, az) + t (dx, dy, dz).

    t grows towards the viewer.
    """

    def __init__(self, p: SimpleNamespace, x: Tensor, y: Tensor) -> None:
        qx, qy = (x - p.shift_x) / p.scale, (y - p.shift_y) / p.scale
        self.ax, self.ay, self.az = (r0 * qx + r1 * qy for r0, r1 in ((p.r00, p.r10), (p.r01, p.r11), (p.r02, p.r12)))
        self.dx, self.dy, self.dz = p.r20, p.r21, p.r22

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The points at distance t."""
        return self.ax + t * self.dx, self.ay + t * self.dy, self.az + t * self.dz

    def plane(self, z: Tensor | float) -> tuple[Tensor, Tensor]:
        """Where the rays cross the plane of this z: its (x, y)."""
        t = (z - self.az) / self.dz
        return self.ax + t * self.dx, self.ay + t * self.dy

    def ellipsoid(
        self, y0: Tensor | float, z0: Tensor | float, rx: Tensor, ry: Tensor | float, rz: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Hit an ellipsoid centred at (0, y0, z0).

        Returns the t of the hit (of the closest pass for rays that miss), and about how far inside the outline
        the ray is (negative outside).
        """
        ux, uy, uz = self.ax / rx, (self.ay - y0) / ry, (self.az - z0) / rz
        vx, vy, vz = self.dx / rx, self.dy / ry, self.dz / rz
        a = vx * vx + vy * vy + vz * vz
        b = (ux * vx + uy * vy + uz * vz) / a
        c = (ux * ux + uy * uy + uz * uz) - a * b * b
        inside = (1 - c.clamp(min=0).sqrt()) * (rx + ry) * 0.5
        return ((1 - c).clamp(min=0) / a).sqrt() - b, inside


def project(p: SimpleNamespace, x: Tensor | float, y: Tensor | float, z: Tensor | float) -> tuple[Tensor, Tensor]:
    """Head frame to picture."""
    return (
        p.scale * (p.r00 * x + p.r01 * y + p.r02 * z) + p.shift_x,
        p.scale * (p.r10 * x + p.r11 * y + p.r12 * z) + p.shift_y,
    )


def relief(p: SimpleNamespace, x: Tensor, y: Tensor, fine: bool = False) -> Tensor:
    """How far the face stands out of the ellipsoid at (x, y); `fine` adds what matters for shading alone."""
    ax = (x * x + 1e-4).sqrt()
    t = (y + 0.02) / (p.nose_y + 0.02)
    width = p.nose_w * (0.50 + 0.32 * t.clamp(0, 1.1))
    height = p.nose_h * (p.nose_bridge + (1 - p.nose_bridge) * t.clamp(0, 1))
    d = height * ridge(x, width) * ramp(-0.5, 0.25, t) * ramp(1.30, 0.98, t)
    d += p.nose_tip * bump(x, y - p.nose_y + 0.015, 0.055, 0.045)
    d += 0.040 * bump(ax - p.nose_w, y - p.nose_y - 0.005, 0.036, 0.036)
    ex = ax - p.eye_x
    d -= 0.078 * bump(ex + 0.01, y + 0.02, 0.14, 0.085)
    d += 0.040 * bump(ex, y, 0.085, 0.055)
    d += p.ridge * bump(ex + 0.02, y + 0.135, 0.18, 0.055)
    smile = p.smile.clamp(min=0)
    d += (p.cheek + 0.030 * smile) * bump(ax - 0.29, y - 0.24 + 0.04 * smile, 0.14, 0.12)
    d += 0.045 * bump(ax, y - p.mouth_y, 0.20, 0.13)
    d += p.chin * bump(ax, y - 0.715, 0.13, 0.075)
    d += p.jaw * bump(ax - 0.40, y - 0.50, 0.13, 0.13)
    if fine:
        bend = p.mouth_y - 0.055 * p.smile * (x / p.mouth_w).square()
        lip = 0.7 * p.mouth_w
        d += 0.020 * bump(x, y - bend + 0.7 * p.lip_u, lip, 0.026)
        d += 0.028 * bump(x, y - bend - 0.75 * p.lip_l - 0.05 * p.open, lip * 0.85, 0.036)
        d -= 0.018 * bump(x, y - bend - 0.115 - 0.05 * p.open, 0.10, 0.030)
        d -= 0.007 * bump(x, y - p.nose_y - 0.10, 0.020, 0.05)
        fold = ax - p.nose_w - 0.055 - 0.50 * (y - p.nose_y)
        d -= (0.004 + 0.022 * smile + 0.008 * p.age) * bump(fold, y - p.nose_y - 0.10, 0.030, 0.10)
        d -= (0.004 + 0.010 * p.age) * bump(ex + 0.02, y - 0.085, 0.08, 0.018)
        d -= 0.012 * bump(ax - 0.50, y + 0.18, 0.10, 0.16)
    return d


def half_width(p: SimpleNamespace, y: Tensor) -> Tensor:
    """Half the width of the ellipsoid's cross-section at y relative to its place: the head tapers to the chin."""
    m = y.clamp(min=0) * 1.25
    return p.rx * (1 - p.taper * m * (0.45 + 0.55 * m))


def _scaled(p: SimpleNamespace, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x and y as parts of the head's radii, and their square sum with the crown flattened."""
    half = half_width(p, y)
    half = torch.where(half.abs() < THIN, THIN, half)  # far below the chin it passes through 0
    sx, sy = x / half, (y - 0.02) / p.ry
    high = sy.clamp(max=0).square()
    return sx, sy, sx * sx + sy * sy - 0.36 * high * (1 - high)


def _radius(p: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sx, sy, flat = _scaled(p, x, y)
    sz = z / p.rz
    return (flat + sz * sz).sqrt() + 1e-6, sx, sy, sz


def smooth_head(p: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Signed distance (about) to the head without features."""
    return (_radius(p, x, y, z)[0] - 1) * _SIZE


def base(p: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The signed distance (about) to the head without features, and its gradient."""
    k, sx, sy, sz = _radius(p, x, y, z)
    return (k - 1) * _SIZE, sx * _SIZE / (p.rx * k), sy * _SIZE / (p.ry * k), sz * _SIZE / (p.rz * k)


def surface(p: SimpleNamespace, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Signed distance (about) to the face."""
    return smooth_head(p, x, y, z) - relief(p, x, y)


def march(p: SimpleNamespace, rays: Rays, px: Tensor) -> tuple[Tensor, Tensor]:
    """Follow every ray to the face. Returns the distance t and the least distance to the surface on the way.

    Rays that hit end about a pixel (px) under the surface, so that the least distance tells hits from near misses.
    """
    t, _ = rays.ellipsoid(0.02, 0.0, p.rx + 0.10, p.ry + 0.09, p.rz + 0.20)
    least = torch.full_like(t, 9.0)
    for step in range(_STEPS):
        x, y, z = rays.at(t)
        f, bx, by, bz = base(p, x, y, z)
        f = f - relief(p, x, y)
        least = torch.minimum(least, f)
        slope = (bx * rays.dx + by * rays.dy + bz * rays.dz).clamp(min=0.45)
        t = t - (f + 0.8 * px) * (0.8 if step < 2 else 1.0) / slope
    # a ray that grazes the nose may stop short of the cheek behind it: a point well inside tells that it hits
    behind = rays.ellipsoid(0.02, 0.0, p.rx, p.ry, p.rz)[0] - 0.12
    least = torch.minimum(least, smooth_head(p, *rays.at(behind)) + 0.02)
    return t, least


def depth(p: SimpleNamespace, x: Tensor, y: Tensor) -> Tensor:
    """The z of the face's front at (x, y) of the head frame (inside its outline; on the rim beyond)."""
    reach = 1 + relief(p, x, y) / _SIZE
    return p.rz * (reach * reach - _scaled(p, x, y)[2]).clamp(min=0).sqrt()
