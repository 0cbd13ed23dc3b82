"""Krippendorff's alpha against the values that he printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.study import agreement, votes
from tests.reports.study import made_up

OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""  # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: 4 observers, 12 units


def test_the_printed_example() -> None:
    judged = [line.split() for line in OBSERVERS.strip().splitlines()]
    values = np.array(
        [[[line[unit] for line in judged].count(str(value)) for value in range(1, 6)] for unit in range(12)]
    )
    found = agreement.coincidences(values.astype(float)).sum(axis=0)
    assert found.sum() == 40
    assert agreement.alpha(found) == pytest.approx(0.815, abs=5e-4)


@pytest.mark.parametrize("kind", ["ranking", "2afc", "best"])
def test_one_mind_and_chance(kind: str, tmp_path: Path) -> None:
    made = made_up.study(tmp_path, kind, methods=("a", "b", "c"), people=60, images=20)
    made_up.vote(made, {"a": 60.0, "b": 30.0, "c": 0.0})
    assert agreement.between_people(votes.read(made).counted) == (1, 1, 1)
    made_up.vote(made, dict.fromkeys("abc", 0.0))
    alpha, low, high = agreement.between_people(votes.read(made).counted)
    assert abs(alpha) < 0.08 and low < alpha < high
