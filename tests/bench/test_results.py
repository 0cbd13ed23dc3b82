"""What `collect` gathers from the jobs of a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.results import CURVE, thinned


def log(count: int, stage: str = "train", loss: str = "l1") -> pd.DataFrame:
    steps = np.arange(1, count + 1)
    return pd.DataFrame({"stage": stage, "step": steps, "loss": loss, "value": np.sin(steps / 9) + steps / count})


def test_short_curves_stay_as_they_are() -> None:
    whole = pd.concat([log(CURVE), log(7, loss="style"), log(3, "second")], ignore_index=True)
    mixed = whole.sort_values(["step", "loss"], kind="stable").sort_values("stage", ascending=False, kind="stable")
    found = thinned(mixed)
    assert len(found) == len(whole)
    for key, curve in found.groupby(["stage", "loss"]):
        expected = whole[(whole["stage"] == key[0]) & (whole["loss"] == key[1])]
        assert list(curve["step"]) == list(expected["step"])
        assert list(curve["value"]) == list(expected["value"])


@pytest.mark.parametrize("count", [501, 999, 1000, 123_457])
def test_long_curves_become_means_of_bins(count: int) -> None:
    whole = log(count)
    found = thinned(pd.concat([whole, log(10, loss="other")]))
    curve = found[found["loss"] == "l1"]
    width = -(-count // CURVE)
    assert CURVE / 2 <= len(curve) <= CURVE
    assert curve["step"].iloc[-1] == count
    assert list(curve["step"].iloc[:2]) == [width, 2 * width]
    assert curve["value"].iloc[0] == pytest.approx(whole["value"].iloc[:width].mean())
    assert curve["value"].iloc[-1] == pytest.approx(whole["value"].iloc[(len(curve) - 1) * width :].mean())
    assert len(found[found["loss"] == "other"]) == 10
