"""Two runs image by image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from bench.store import write_json, write_table
from reports import compare
from reports.significance import MIN_IMAGES

CONDITIONS = [f"center/{i}" for i in range(1, 11)]
IMAGES = 200


def write(folder: Path, values: np.ndarray, rows: int = 1, **other: object) -> Path:
    """A run: `values` (cells, images) of PSNR; `other`: columns in the place of its own."""
    ids = [f"{i:04}" for i in range(values.shape[1])]
    cells = [(f"Row {r}", c) for r in range(rows) for c in CONDITIONS[: len(values) // rows]]
    what = {"suite": "made-up", "method": "mean", "preset": "tiny", "dataset": "faces", "shots": "all", "seed": 0}
    what |= {"metric": "psnr"}
    table = pd.DataFrame([what | {"title": title, "condition": c} for title, c in cells]).assign(
        metric_title="PSNR", extractor="", note="", higher_is_better=True, value=values.mean(axis=1), low=0.0, high=0.0
    )
    table = table.assign(n=len(ids), masks_fingerprint="00", protocol=table["condition"])
    write_table(folder / "results.parquet", table.assign(**other))
    single = pd.concat(
        [pd.DataFrame({**row, "id": ids, "value": v}) for row, v in zip(_rows(table), values, strict=True)]
    )
    write_table(folder / "per_image.parquet", single)
    write_json(folder / "protocol.json", {})
    return folder


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    names = ["suite", "method", "title", "preset", "dataset", "shots", "seed", "condition", "metric"]
    return table[names].to_dict("records")  # type: ignore[return-value]


def test_intervals_cover_nothing_in_95_of_100_cases_where_only_a_seed_differs(tmp_path: Path) -> None:
    """200 cases: images that are hard for both, with a long tail, and what a seed adds to each."""
    rng = np.random.default_rng(26)
    shared = rng.gamma(2, 3, (200, IMAGES))
    noise = (rng.standard_t(4, (200, IMAGES)) * (1 + shared / 6) for _ in range(2))
    a, b = (write(tmp_path / name, 30 - shared + own, rows=20) for name, own in zip("ab", noise, strict=True))
    found = compare(a, b).cells
    covered = int(((found["low"] <= 0) & (found["high"] >= 0)).sum())
    assert len(found) == 200 and 183 <= covered <= 197, covered
    assert (found["p_corrected"] >= found["p"]).all() and (found["p_corrected"] < 0.05).sum() <= 2


def test_what_differs_is_found_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(20, 5, (2, 40))
    better = values + np.array([[0.0], [1.0]]) + rng.normal(0, 1, (2, 40))
    better[1, 7] += 30
    found = compare(write(tmp_path / "a", values), write(tmp_path / "b", better))
    same, other = found.cells.to_dict("records")
    assert same["low"] < 0 < same["high"] and other["low"] > 0 and other["p_corrected"] < 0.01
    assert np.isclose(other["difference"], (better - values)[1].mean()) and other["n"] == 40
    assert np.isclose(other["b"], better[1].mean())
    last = found.changed.iloc[-1]
    assert (last["condition"], last["id"]) == (CONDITIONS[1], "0007") and len(found.changed) == 6
    text = found.table.to_markdown()
    assert "**+" in text and "Holm's correction" in text and "another training run" in text


def test_few_pairs_make_no_claim(tmp_path: Path) -> None:
    values = np.zeros((1, MIN_IMAGES - 1))
    found = compare(write(tmp_path / "a", values), write(tmp_path / "b", values + 1)).cells.iloc[0]
    assert found["p"] == 1 and np.isnan(found["low"])


def test_infinite_values_are_not_left_out(tmp_path: Path) -> None:
    """Half of B's pictures are the originals; over the rest alone, A seemed better, with p < 0.05."""
    values = np.random.default_rng(3).normal(20, 1, (1, 40))
    half = np.where(np.arange(40) < 20, np.inf, values - 3)
    half[0, 39] = values[0, 0] = np.nan
    found = compare(write(tmp_path / "a", values), write(tmp_path / "b", half))
    (row,) = found.cells.itertuples()
    assert row.b == np.inf and abs(row.a - 20) < 1 and row.n == 38
    assert np.isnan([row.difference, row.low, row.high, row.p, row.p_corrected]).all()
    text = found.table.to_markdown()
    assert "infinite for 19 of 38 images of B: not compared; n = 38 of 40 images" in text
    assert "| ∞ | n/a" in text and "| 38 |" in text and "**" not in text
    better = found.changed["b"] > found.changed["a"]
    assert len(found.changed) == 6 and list(better) == [False] * 3 + [True] * 3


def test_rows_are_paired_by_title_or_as_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a, b = (write(tmp_path / name, rng.normal(size=(2, 20)), rows=2) for name in "ab")
    assert list(compare(a, b).cells[["A", "B"]].itertuples(index=False, name=None)) == [("Row 0",) * 2, ("Row 1",) * 2]
    found = compare(a, b, ["Row 0=Row 1"])
    assert list(found.cells[["A", "B"]].itertuples(index=False, name=None)) == [("Row 0", "Row 1")]
    assert "Row 0 (A) and Row 1 (B)" in found.table.to_markdown()
    other = write(tmp_path / "c", rng.normal(size=(2, 20)), title=["GRIG (T = 1)", "Else"], rows=2)
    with pytest.raises(BenchError, match='no row is in both: say which are compared, --pair "Row 0=GRIG'):
        compare(a, other)
    with pytest.raises(BenchError, match="--pair Row 9=Else: write ROW OF A=ROW OF B"):
        compare(a, other, ["Row 9=Else"])
    with pytest.raises(BenchError, match="unknown metric fid: what both runs measured alike is psnr"):
        compare(a, b, metrics=["fid"])


def test_other_masks_are_refused_and_named(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=(2, 20))
    a = write(tmp_path / "a", values)
    with pytest.raises(BenchError, match="cannot be compared image by image: masks fingerprint of faces, center/1 is"):
        compare(a, write(tmp_path / "b", values, protocol="other", masks_fingerprint="11"))
    part = write(tmp_path / "c", values, protocol=[CONDITIONS[0], "other"], masks_fingerprint=["00", "11"])
    found = compare(a, part)
    assert list(found.cells["condition"]) == CONDITIONS[:1]
    assert found.left_out[0].startswith("Left out, since they mean something else: 1 of 2 columns: masks fingerprint")
    (a / "per_image.parquet").unlink()
    with pytest.raises(BenchError, match="/a has no values of single images"):
        compare(a, part)
