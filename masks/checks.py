"""Checks of what a caller gives."""

from __future__ import annotations

import operator

from masks.errors import MaskError

SMALLEST = 8
"""The smallest side of a mask in pixels."""


def checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a size; MaskError unless both are whole numbers of at least 8 pixels."""
    pair = size if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2:
        raise MaskError(f"size {size!r} is wrong: give the side or (height, width)")
    height, width = (whole_number("size", side) for side in pair)
    if min(height, width) < SMALLEST:
        raise MaskError(f"size {size!r} is too small: masks need at least {SMALLEST} x {SMALLEST} pixels")
    return height, width


def whole_number(what: str, value: int) -> int:
    """The value as an int; MaskError unless it is a whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise MaskError(f"{what} must be a whole number, not {value!r}") from None
