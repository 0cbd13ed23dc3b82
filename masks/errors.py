"""The one error of this package."""

from __future__ import annotations

from bench.errors import BenchError


class MaskError(BenchError, ValueError):
    """A mask cannot be made or read. The message names the condition or file and the remedy."""
