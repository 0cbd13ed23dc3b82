"""What bold and underlined say: the same in every table, tested, and told below each."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
from reports import groups, layouts, main_table, results
from reports.marks import NOTE, marks, paired
from reports.table import Cell, Table
from tests.reports import made_up

WHAT = {"conditions": ("center/25", "irregular/10-20"), "metrics": ("psnr", "l1@hole", "fid@embedded")}


def column(table: Table) -> list[str]:
    return [row.cells[0].mark for row in table.blocks[0].rows]


def test_bold_is_tested_in_every_table(tmp_path: Path) -> None:
    """Differences that images do not bear out: no file of a report has anything in bold, and each tells the rule."""
    rows = made_up.rows(**WHAT, datasets=("a", "b"))
    for noise, bold in ((0.2, True), (400, False)):
        run = made_up.write_run(tmp_path / str(noise), rows, pictures=0)
        made_up.per_image(rows, noise=noise).to_parquet(run / "per_image.parquet", index=False)
        ids = [f"{i:03}" for i in range(40)]
        faces = pd.DataFrame({"dataset": "a", "id": ids, "attribute": "skin", "group": ["dark", "light"] * 20})
        faces.to_parquet(run / "groups.parquet", index=False)
        reports.build(run)
        files = {path.name: path.read_text(encoding="utf-8") for path in (run / "report/tables").glob("*.*")}
        stems = ("main", "psnr", "psnr-intervals", "by-dataset", "by-dataset-and-metric", "by-condition-and-metric")
        for stem in (*stems, "groups-a", "groups-a-intervals"):
            assert ("**" in files[f"{stem}.md"]) == ("textbf" in files[f"{stem}.tex"]) == bold, stem
            assert "<u>" in files[f"{stem}.md"] and "underline" in files[f"{stem}.tex"]
            for text in (files[f"{stem}.md"], files[f"{stem}.tex"]):
                assert "Bold: better than every other method at the 5" in text, stem
        page = (run / "report/report.html").read_text(encoding="utf-8")
        assert page.count(NOTE[:40]) == page.count("</table>") > 8


def test_the_table_that_ends_a_run_is_tested_too(tmp_path: Path) -> None:
    rows = made_up.rows(**WHAT)
    run = made_up.write_run(tmp_path, rows, pictures=0)
    assert column(main_table(run, metrics=["psnr"])) == ["", "", "second", "best"]
    made_up.per_image(rows, noise=400).to_parquet(run / "per_image.parquet", index=False)
    assert "best" not in column(main_table(run, metrics=["psnr"]))


def test_means_over_conditions_are_tested_on_the_means_of_each_image() -> None:
    """Two conditions whose images err in opposite ways: each alone proves nothing, their means do."""
    rows = made_up.rows(methods={"aot": "AOT-GAN", "grig": "GRIG"}, **WHAT, datasets=("a", "b"))
    rows = rows[rows["metric"] == "psnr"]
    images = made_up.per_image(rows, noise=0)
    swing = np.where(images["condition"] == "center/25", 1, -1) * np.random.default_rng(0).normal(size=len(images))
    swing = pd.Series(swing).groupby(images["id"]).transform("first").to_numpy() * 20
    sign = np.where(images["condition"] == "center/25", 1, -1) * (images["method"] == "grig")
    images["value"] += sign * swing
    each = layouts.arrange(rows, layouts.Layout(("condition",), blocks=("dataset",)), per_image=images)
    assert column(each) == ["second", "second"]
    assert column(layouts.arrange(rows, layouts.BY_DATASET, per_image=images)) == ["second", "best"]


def test_rows_of_other_images_make_no_pairs() -> None:
    """Methods × data sets as rows: intervals decide, which overlap."""
    rows = made_up.rows(methods={"grig": "GRIG"}, datasets=("a", "b"), conditions=("center/25",), metrics=("psnr",))
    layout = layouts.Layout(("metric",), ("label", "dataset"))
    wide = rows.assign(low=rows["value"] - 9, high=rows["value"] + 9)
    table = layouts.arrange(wide, layout, per_image=made_up.per_image(rows))
    assert [row.title for row in table.blocks[0].rows] == ["a", "b"]
    assert not any(column(table))  # one method: there is nothing to rank


def test_intervals_that_do_not_overlap_are_significant() -> None:
    cells = [Cell(1.0, low=0.9, high=1.1), Cell(2.0, low=1.5, high=2.5), Cell(3.0, low=2.0, high=4.0), Cell()]
    assert marks(cells, False) == ["best", "second", "", ""]
    cells[1] = Cell(2.0)
    assert marks(cells, False) == ["second", "second", "", ""]


def test_of_values_that_print_alike_the_better_one_is_the_best() -> None:
    values = [np.full(20, 1.001), np.full(20, 1.002), np.full(20, 0.5)]
    cells = [Cell(float(value.mean())) for value in values]
    assert [cell.text for cell in cells] == ["1.00", "1.00", "0.50"]
    assert marks(cells, True, paired(values)) == ["second", "best", ""]


def test_without_a_test_nothing_is_bold() -> None:
    assert marks([Cell(1.0), Cell(2.0), Cell(3.0)], False) == ["second", "", ""]
    assert marks([Cell(1.0), Cell(math.nan)], False) == ["", ""]


def test_few_images_prove_nothing() -> None:
    few, many = ([np.full(n, 1.0), np.full(n, 2.0)] for n in (9, 10))
    cells = [Cell(1.0), Cell(2.0)]
    assert marks(cells, True, paired(few)) == ["", "second"]  # not tested, and as everywhere the best alone
    apart = [Cell(1.0, low=0.9, high=1.1), Cell(2.0, low=1.9, high=2.1)]
    assert marks(apart, True, paired(few)) == ["", "second"]  # nor by intervals, which few images make too narrow
    assert marks(cells, True, paired(many)) == ["second", "best"]


@pytest.mark.parametrize("rivals", [50, 51, 100])
def test_the_best_of_many_is_told_from_all(rivals: int) -> None:
    values = [np.full(20, 2.0), *(np.full(20, 1.0) for _ in range(rivals))]
    cells = [Cell(float(value.mean())) for value in values]
    assert marks(cells, True, paired(values))[:2] == ["best", "second"]


def test_each_pair_is_tested_on_the_images_that_both_have() -> None:
    values = [np.full(30, 3.0), np.full(30, 2.0), np.full(30, 1.0)]
    values[2][:18] = math.nan
    cells = [Cell(float(np.nanmean(value))) for value in values]
    assert marks(cells, True, paired(values)) == ["best", "second", ""]
    values[2][:21] = math.nan  # 9 images prove nothing of the third
    assert marks(cells, True, paired(values)) == ["second", "", "second"]


def test_infinite_values_are_not_tested() -> None:
    """Without the images where it is infinite, the best one is worse than the second; none is bold."""
    values = [np.full(30, 2.0), np.where(np.arange(30) < 15, np.inf, 1.0), np.full(30, np.inf)]
    cells = [Cell(2.0, low=1.9, high=2.1), Cell(math.inf), Cell(math.inf)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # with its line of source, one stood on the terminal
        assert marks(cells, True, paired(values)) == ["", "second", "second"]
        assert marks(cells[:2], True, paired(values)) == ["", "second"]


def test_what_is_not_tested_is_told_below(tmp_path: Path) -> None:
    for text in ("values without intervals", "infinite ones", "fewer than 10 images", "underlined alone"):
        assert text in NOTE
    rows = made_up.rows(methods={"mean": "Mean colour", "telea": "Telea"}, **WHAT)
    run = made_up.write_run(tmp_path, rows, pictures=0)
    ids = [f"{i:03}" for i in range(40)]
    table = pd.DataFrame({"dataset": "made-up faces", "id": ids, "attribute": "skin", "group": ["a"] * 36 + ["b"] * 4})
    table.to_parquet(run / "groups.parquet", index=False)
    found = results.load(run)
    made = groups.tables(found, results.over_seeds(found.rows))["groups-made-up-faces"]
    many, few, *_ = zip(*(row.cells for row in made.blocks[0].rows), strict=True)
    assert [cell.mark for cell in many] == ["second", "best"] and [cell.mark for cell in few] == ["", "second"]
    assert np.isnan([cell.low for cell in few]).all() and NOTE in made.notes


def test_what_stands_apart_is_not_ranked() -> None:
    cells = [Cell(9.0, apart=True), Cell(2.0, low=1.9, high=2.1), Cell(1.0, low=0.9, high=1.1)]
    assert marks(cells, True) == ["", "best", "second"]


def test_worst_groups_of_other_images_are_compared_by_their_intervals(tmp_path: Path) -> None:
    rows = made_up.rows(methods={"mean": "Mean colour", "telea": "Telea"}, **WHAT)
    run = made_up.write_run(tmp_path, rows, pictures=0)
    ids = [f"{i:03}" for i in range(40)]
    table = pd.DataFrame({"dataset": "made-up faces", "id": ids, "attribute": "skin", "group": ["a", "b"] * 20})
    table.to_parquet(run / "groups.parquet", index=False)
    found = results.load(run)
    made = groups.tables(found, results.over_seeds(found.rows))["groups-made-up-faces"]
    dark, _, worst, _ = zip(*(row.cells for row in made.blocks[0].rows), strict=True)
    assert [cell.mark for cell in dark] == ["second", "best"]  # paired: the same images
    assert [cell.mark for cell in worst] == ["second", "second"]
    assert worst[0].high > worst[1].low


@pytest.mark.parametrize("name", ["thesis 4.5", "hierinv 1"])
def test_published_numbers_are_not_tested_and_say_so(name: str) -> None:
    table = reports.published.table(name)
    found = {cell.mark for block in table.blocks for row in block.rows for cell in row.cells}
    assert found == {"", "second"}
    assert "nothing is bold" in table.to_latex() and "nothing is bold" in table.to_markdown()
