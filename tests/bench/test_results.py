"""What `collect` gathers from the jobs of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.jobs import Plan
from bench.results import CURVE, expected, thinned
from bench.store import write_table
from bench.suite import parse


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


def test_expectations_end_in_what_holds_and_why_the_others_do_not(tmp_path: Path) -> None:
    content = {
        "suite": "small",
        "size": 64,
        "data": [{"name": "synthfaces", "train": 8, "test": 4}],
        "methods": ["mean", "telea", "aot"],
        "conditions": ["center/25"],
        "metrics": ["l1@hole", "lpips@alex", "u-ids"],
        "report": {"main": ["l1@hole"]},
        "expect": [
            "telea < mean [l1@hole]",
            "telea l1@hole < 0.1",
            "aot < mean [l1@hole]",
            "mean lpips@alex < 1",
            "mean u-ids < 1",
            "aot params = 15.20 M",
        ],
    }
    nan, absent = np.nan, "not computed: alexnet is not here"
    values = [
        ("Mean colour", "l1@hole", 0.3, ""),
        ("Telea", "l1@hole", 0.2, ""),
        ("Mean colour", "lpips@alex", nan, absent),
        ("Mean colour", "u-ids", nan, "n/a below 500 images"),
    ]
    table = pd.DataFrame(values, columns=["title", "metric", "value", "note"])
    cell = {"dataset": "synthfaces", "condition": "center/25", "shots": "all", "seed": 0}
    made = Plan(parse(content, "small"), tmp_path)
    write_table(made.folder / "results.parquet", table.assign(**cell, low=nan, high=nan, n=4))
    assert expected(made) == [
        "expected: 2 of 6 hold",
        "  fails telea l1@hole < 0.1: Telea is 0.1 (100.0%) above the bound, 0.1.",
        "  open  aot < mean [l1@hole]: AOT-GAN: not measured",
        f"  open  mean lpips@alex < 1: {absent}",
        "  open  mean u-ids < 1: Mean colour, synthfaces, center/25: no value (n/a below 500 images)",
    ]
    assert expected(Plan(parse(content | {"expect": []}, "small"), tmp_path / "without")) == []
