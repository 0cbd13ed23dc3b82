"""What a seed may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench import seed
from bench.errors import BenchError


@pytest.mark.parametrize("given", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers_of_every_kind_are_seeds(given: Any) -> None:
    assert type(seed.checked(given)) is int
    assert seed.checked(given) == 3


def test_the_largest_seed_fits_into_what_uses_it() -> None:
    largest = seed.checked(seed.LARGEST)
    assert torch.Generator().manual_seed(largest).initial_seed() == largest
    assert np.int64(largest) == largest


@pytest.mark.parametrize("given", [-1, seed.LARGEST + 1, 1.5, "a", None, torch.tensor(1.0), [1, 2]])
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(BenchError, match="seed: give a whole number from 0 to 9223372036854775807, not "):
        seed.checked(given)
