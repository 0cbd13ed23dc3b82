"""What a seed may be, wherever one is given: a key of a suite, an option of a command, an argument in Python."""

from __future__ import annotations

import operator
from typing import Any

from bench.errors import BenchError

LARGEST = 2**63 - 1
"""What PyTorch's generators and the columns of result tables hold."""


def checked(seed: Any) -> int:
    """A seed as an int, NumPy's whole numbers too; BenchError for anything else, negative and larger ones."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= LARGEST:
        raise BenchError(f"seed: give a whole number from 0 to {LARGEST}, not {seed!r:.80}")
    return number
