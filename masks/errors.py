"""The one error of this package."""

from __future__ import annotations


class MaskError(ValueError):
    """A mask cannot be made or read. The message names the condition or file and the remedy."""
