"""How numbers are printed: decimals by metric, in one place. Two numbers that print alike are a tie."""

from __future__ import annotations

import math
import re

DEFAULT_DECIMALS = 4
DECIMALS = {
    "psnr": 2,
    "ssim": 4,
    "l1": 4,
    "mae": 4,
    "lpips": 4,
    "perceptual": 4,
    "fid": 2,
    "fid-infinity": 2,
    "kid": 4,
    "niqe": 2,
    "nme": 2,
    "params": 2,
    "macs": 2,
}

ARROWS = {True: "↑", False: "↓", None: ""}


def family(metric: str) -> str:
    """The metric without its variant and reference: `fid` of `fid@embedded` and of `fid/train`."""
    return re.split("[@/]", metric, maxsplit=1)[0].lower()


def decimals(metric: str) -> int:
    """Decimals of a metric's printed values."""
    return DECIMALS.get(family(metric), DEFAULT_DECIMALS)


def significant(value: float, places: int) -> int:
    """Decimals of a quantity: `places`, or as many as a smaller one needs for three digits."""
    return max(places, 2 - math.floor(math.log10(abs(value)))) if 0 < abs(value) < 1 else places


def printed(value: float, places: int, signed: bool = False) -> str:
    """A number as every table prints it; infinity is "∞", a rounded zero has no sign."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:+.{places}f}" if signed else f"{value:.{places}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def head(title: str, higher_is_better: bool | None) -> str:
    """A heading with its arrow: "FID ↓"."""
    return f"{title} {ARROWS[higher_is_better]}".strip()
