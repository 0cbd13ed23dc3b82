"""Rows of several runs in one report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.store import read_json, write_json
from reports import build
from reports.joined import joined
from reports.results import OF_ROWS

from . import made_up

WHAT = {"conditions": ("center/25", "irregular/10-20"), "metrics": ("psnr", "l1@hole")}


def run(folder: Path, methods: tuple[str, ...], **other: str) -> Path:
    """A run of some methods; `other`: hashes of columns, by metric."""
    rows = made_up.rows(**WHAT)  # type: ignore[arg-type]
    rows = rows[rows["method"].isin(methods)]
    hashes = [
        other.get(metric.partition("@")[0], f"{metric} {c}")
        for metric, c in zip(rows["metric"], rows["condition"], strict=True)
    ]
    return made_up.write_run(folder, rows.assign(protocol=hashes), pictures=0)


def test_rows_of_equal_columns_stand_beside(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a", ("grig", "mean")), run(tmp_path / "b", ("mean", "telea"))
    found = joined(first, [second])
    alone = joined(first, [])
    assert list(found.rows["method"].unique()) == ["mean", "grig", "telea"]
    assert len(found.rows) == 12 and not found.rows.duplicated(["method", "condition", "metric", "seed"]).any()
    pd.testing.assert_frame_equal(found.rows.iloc[: len(alone.rows)], alone.rows)
    assert set(found.per_image["method"]) == {"grig", "mean", "telea"}  # type: ignore[index]
    text = build(first, others=[second]).read_text()
    assert "Telea" in text
    assert "Rows of other runs, of the same protocol: Telea of " in text and "/b: 4 of 4 columns." in text


def test_what_stood_in_for_networks_and_how_long_they_were_trained_goes_with_the_rows(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a", ("mean", "telea")), run(tmp_path / "b", ("grig", "mean"))
    protocol = read_json(first / "protocol.json")
    for name in OF_ROWS:
        (line,) = protocol[name]
        write_json(first / "protocol.json", protocol | {name: []})
        assert joined(first, [second]).protocol[name] == [line]
        assert joined(second, [first]).protocol[name] == [line]
        assert joined(first, []).protocol[name] == []


def test_columns_that_mean_something_else_stay_away(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a", ("grig",)), run(tmp_path / "b", ("telea",), psnr="another")
    found = joined(first, [second])
    rows = found.rows
    assert "2 of 3 columns; of the others, protocol of made-up faces, center/25, psnr is" in found.protocol["joined"][0]
    assert set(rows[rows["method"] == "telea"]["metric"]) == {"l1@hole"}
    with pytest.raises(
        BenchError, match="/c shares no column with the run, so its rows stay away: protocol of made-up faces"
    ):
        joined(first, [run(tmp_path / "c", ("telea",), psnr="another", l1="another")])


def test_a_row_that_failed_here_gives_way_to_that_of_another_run(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a", ("grig", "mean")), run(tmp_path / "b", ("mean", "telea"))
    path = first / "results.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows["method"] == "mean", ["value", "note"]] = [float("nan"), "failed: no memory"]
    rows.to_parquet(path)
    found = joined(first, [second]).rows
    assert not found.duplicated(["method", "condition", "metric", "seed"]).any()
    expected = joined(second, []).rows
    pd.testing.assert_series_equal(
        found[found["method"] == "mean"].set_index(["condition", "metric"])["value"].sort_index(),
        expected[expected["method"] == "mean"].set_index(["condition", "metric"])["value"].sort_index(),
    )
    alone = joined(second, [first]).rows  # a failure takes nothing away
    assert alone[alone["method"] == "mean"]["value"].notna().all()
