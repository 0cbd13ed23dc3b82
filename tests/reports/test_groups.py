"""Tables of results by group, of values that are known."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
from reports import groups, results
from tests.reports import made_up

SMALL = {"methods": {"mean": "Mean colour", "telea": "Telea"}, "conditions": ("center/25", "irregular/10-20")}
KINDS = ["dark"] * 20 + ["light"] * 15 + ["none said"] * 5


def write(folder: Path, metrics: tuple[str, ...] = ("psnr", "l1@hole", "fid@embedded"), **changes: object) -> Path:
    """A run whose images are of 20, 15 and 5 in a group."""
    run = made_up.write_run(folder, made_up.rows(metrics=metrics, **(SMALL | changes)), pictures=0)
    ids = [f"{i:03}" for i in range(40)]
    table = pd.DataFrame({"dataset": "made-up faces", "id": ids, "attribute": "skin", "group": KINDS})
    table.to_parquet(run / "groups.parquet", index=False)
    return run


def made(run: Path, intervals: bool = False):
    found = results.load(run)
    tables = groups.tables(found, results.over_seeds(found.rows))
    return tables["groups-made-up-faces-intervals" if intervals else "groups-made-up-faces"]


def values(run: Path, metric: str, title: str) -> np.ndarray:
    """The mean over conditions and seeds of each image."""
    table = pd.read_parquet(run / "per_image.parquet")
    chosen = table[(table["metric"] == metric) & (table["title"] == title)]
    return chosen.groupby("id")["value"].mean().sort_index().to_numpy()


def test_means_worst_and_gap(tmp_path: Path) -> None:
    run = write(tmp_path / "run", seeds=(0, 1))
    table = made(run)
    titles = ["dark (n = 20)", "light (n = 15)", "none said (n = 5)", "worst", "gap"]
    assert [column.title for column in table.columns] == titles
    assert {block.title for block in table.blocks} == {"made-up faces: PSNR", "made-up faces: L1 (hole)"}  # no FID
    for block, metric, worst in zip(table.blocks, ("psnr", "l1@hole"), (min, max), strict=True):
        for row in block.rows:
            each = values(run, metric, row.title)
            means = [each[:20].mean(), each[20:35].mean(), each[35:].mean()]
            large = means[:2]  # 5 images are too few to be called the worst
            expected = [*means, worst(large), abs(large[0] - large[1])]
            assert [cell.value for cell in row.cells] == pytest.approx(expected)
            assert "n = 5: fewer than 10 images" in row.cells[2].note and not row.cells[0].note
    assert table.blocks[0].rows[0].cells[4].mark  # the smallest gap is the best
    assert "2 conditions (center 25%, irregular 10-20%) and 2 seeds" in table.notes[0]


def test_intervals_are_those_of_the_groups(tmp_path: Path) -> None:
    """Beside the normal theory of means of 20 and 15 images, and of their difference."""
    run = write(tmp_path / "run", ("psnr",))
    dark, light, _, worst, gap = made(run, intervals=True).blocks[0].rows[0].cells
    each = values(run, "psnr", "Mean colour")
    errors = []
    for cell, part in ((dark, each[:20]), (light, each[20:35])):
        errors.append(part.std() / np.sqrt(len(part)))
        assert cell.low == pytest.approx(part.mean() - 1.96 * errors[-1], abs=0.2 * errors[-1])
        assert cell.high == pytest.approx(part.mean() + 1.96 * errors[-1], abs=0.2 * errors[-1])
    assert (worst.low, worst.high) in {(dark.low, dark.high), (light.low, light.high)}
    half = 1.96 * np.hypot(*errors)
    assert (gap.low, gap.high) == (pytest.approx(gap.value - half, rel=0.15), pytest.approx(gap.value + half, rel=0.15))


def test_what_cannot_be_said_is_not_said(tmp_path: Path) -> None:
    run = write(tmp_path / "run", ("psnr",))
    table = pd.read_parquet(run / "per_image.parquet")
    telea = table["title"] == "Telea"
    table.loc[~telea & (table["id"] == "003"), "value"] = np.nan  # a face that was not found
    table.loc[~telea & (table["id"] == "030"), "value"] = np.inf  # a completion that is the original
    table[~telea | (table["condition"] == "center/25")].to_parquet(run / "per_image.parquet", index=False)
    mean, telea = made(run, intervals=True).blocks[0].rows
    assert np.isfinite([mean.cells[0].value, mean.cells[0].low]).all()
    assert mean.cells[1].text == "∞" and mean.cells[1].tail(True) == ""
    assert {cell.text for cell in telea.cells} == {"n/a"}
    assert {cell.note for cell in telea.cells} == {"not every condition has values of single images"}


def test_of_infinite_values_there_is_no_gap(tmp_path: Path) -> None:
    """∞ - ∞ stood as a warning with its line of source on the terminal."""
    run = write(tmp_path / "run", ("psnr",))
    table = pd.read_parquet(run / "per_image.parquet")
    table.loc[table["title"] == "Telea", "value"] = np.inf
    table.to_parquet(run / "per_image.parquet", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        *_, worst, gap = made(run).blocks[0].rows[1].cells
    assert (worst.text, gap.text, gap.note) == ("∞", "n/a", "n/a: infinite for some images")


def test_two_groups_must_be_large_enough(tmp_path: Path) -> None:
    run = write(tmp_path / "run", ("psnr",))
    table = pd.read_parquet(run / "groups.parquet")
    table[table["group"] != "light"].to_parquet(run / "groups.parquet", index=False)
    *_, worst, gap = made(run).blocks[0].rows[0].cells
    assert worst.text == gap.text == "n/a" and "fewer than two groups of 10" in gap.note


def test_the_report_has_the_table_in_every_form(tmp_path: Path) -> None:
    run = write(tmp_path / "run")
    text = reports.build(run).with_name("report.md").read_text(encoding="utf-8")
    assert "made-up faces by group" in text and "tables/groups-made-up-faces-intervals.md" in text
    page = (run / "report/report.html").read_text(encoding="utf-8")
    assert 'id="table-groups-made-up-faces"' in page
    for suffix in ("md", "csv", "tex"):
        content = (run / f"report/tables/groups-made-up-faces.{suffix}").read_text(encoding="utf-8")
        assert "light (n = 15)" in content
