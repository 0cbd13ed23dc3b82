"""What glibc keeps of memory that is freed. Other C libraries have no such functions: there nothing changes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # parameters of mallopt
SMALL, LARGEST = 64 << 10, 32 << 20  # bytes; glibc raises the second threshold up to the last by itself
BLOCKS = 65_536  # that glibc takes from the system one by one


def give_back() -> None:
    """Give what was freed back to the system."""
    _ask("malloc_trim", 0)


@contextmanager
def giving_back() -> Iterator[None]:
    """Inside, every large block goes back to the system as soon as it is freed. That costs time."""
    _ask("mallopt", MMAP_THRESHOLD, SMALL)
    try:
        yield
    finally:
        _ask("mallopt", MMAP_THRESHOLD, LARGEST)


@contextmanager
def keeping() -> Iterator[None]:
    """Inside, what is freed stays with this process, which gives it back at the end.

    Each iteration of a training, each completion and each pass of a metric asks for the blocks of the one before.
    Taking them from the system anew costs 3 to 4 % of a step at 64 px, a quarter of a completion by MAT at 256 px and
    half of one by MI-GAN, whose maps are larger than the largest block that glibc would keep.
    """
    _ask("mallopt", MMAP_MAX, 0)
    _ask("mallopt", TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        _ask("mallopt", MMAP_MAX, BLOCKS)
        _ask("mallopt", TRIM_THRESHOLD, 2 * LARGEST)
        give_back()


def _ask(function: str, *arguments: int) -> None:
    with suppress(OSError, AttributeError, TypeError):
        getattr(ctypes.CDLL(None), function)(*arguments)
