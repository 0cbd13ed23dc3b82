"""The measured ratios that growth draws its targets from."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from masks import growth
from masks.measure import parts, shares

MEASURED = json.loads((Path(growth.__file__).parent / "shares.json").read_text(encoding="utf-8"))


def test_every_part_is_measured() -> None:
    assert set(MEASURED) == set(parts())
    assert all(len(row) == growth.BINS for row in MEASURED.values())


@pytest.mark.parametrize("name", parts())
def test_measured_ratios_hold(name: str) -> None:
    """400 fresh draws, at a quarter of the size: quartile groups of the stored table keep their shares."""
    stored = np.array(MEASURED[name]) / sum(MEASURED[name])
    fresh = np.array(shares(parts()[name], 400, 64))
    sums = np.cumsum(stored)
    edges = [0, *(int(np.searchsorted(sums, q)) + 1 for q in (0.25, 0.5, 0.75)), growth.BINS]
    groups = [slice(a, b) for a, b in pairwise(edges)]
    expected = np.array([stored[group].sum() for group in groups])
    found = np.array([fresh[group].sum() for group in groups]) / fresh.sum()
    np.testing.assert_allclose(found, expected, atol=0.12)
