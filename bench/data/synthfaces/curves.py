"""The curves of lids, lips and brows in the head frame, which both the painter and the landmarks follow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

from torch import Tensor

from bench.data.synthfaces.head import ridge


def eyelids(p: SimpleNamespace, s: Tensor) -> tuple[Tensor, Tensor]:
    """The y of the upper and the lower lid; s: -1 at the inner corner of the eye, 1 at the outer."""
    keep = (1 - s * s).clamp(min=0)
    skew = 1 + 0.16 * s
    squeeze = 0.012 * p.smile.clamp(min=0)
    upper = -p.eye_h * p.lids * keep * (1.30 - 0.30 * keep) * (2 - skew) * 0.86 + 0.004
    lower = (p.eye_h * 0.56 - squeeze * 0.8) * keep * skew * (0.3 + 0.7 * p.lids.clamp(max=1)) + 0.004
    return upper, lower


def mouth_width(p: SimpleNamespace) -> Tensor:
    """Half the width of the mouth."""
    return p.mouth_w * (1 + 0.22 * p.smile.clamp(min=0) - 0.12 * p.surprise)


class Lips(NamedTuple):
    """The y of the lips' edges from top to bottom, of the line between the corners, and 1 in the middle, 0 beyond."""

    top: Tensor
    upper: Tensor
    lower: Tensor
    bottom: Tensor
    middle: Tensor
    keep: Tensor


def lips(p: SimpleNamespace, x: Tensor) -> Lips:
    """The lips at x."""
    s = x / mouth_width(p)
    s2 = (s * s).clamp(max=1.2)
    keep = (1 - s2).clamp(min=0)
    arc = keep.sqrt() * (0.55 + 0.45 * keep)
    middle = p.mouth_y + 0.02 * p.smile - 0.060 * p.smile * s2
    gape = 0.115 * p.open
    dip = 0.008 * ridge(x, 0.035) * (1 - p.open)
    upper = middle - 0.22 * gape * keep + dip
    lower = middle + 0.78 * gape * keep + dip
    bow = 1 + p.bow * (ridge(x.abs() - 0.05, 0.035) - 0.9 * ridge(x, 0.025))
    thin = 1 - 0.25 * p.smile.clamp(min=0)
    top = upper - p.lip_u * thin * arc * bow
    bottom = lower + p.lip_l * thin * arc
    return Lips(top, upper, lower, bottom, middle, keep)


def brow_span(p: SimpleNamespace) -> Tensor:
    """The width of a brow."""
    return 0.30 - p.brow_in * 0.5


def brow(p: SimpleNamespace, q: Tensor) -> Tensor:
    """The y of the middle of a brow; q: 0 at its inner end, 1 at the outer."""
    arch = p.brow_arch * (1 - (q - 0.62).square() * 2.4)
    return p.brow_y - p.brow_lift - arch + 0.030 * p.anger * (0.5 - q) - 0.012 * p.surprise
