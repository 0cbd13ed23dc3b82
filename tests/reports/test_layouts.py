"""Tables in the layouts of papers, from (made-up) result rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from reports import Layout, arrange, layouts
from reports.table import Cell, Table
from tests.reports import made_up

TWO = ("irregular/10-20", "irregular/20-30")


def cells(table: Table) -> dict[tuple[str, str, str], Cell]:
    return {
        (block.title, row.title, f"{column.group} {column.title}".strip()): cell
        for block in table.blocks
        for row in block.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }


def test_methods_by_data_sets_are_means_over_the_conditions() -> None:
    rows = made_up.rows(datasets=("shell", "cat"), metrics=("fid@embedded", "psnr"))
    table = arrange(rows, layouts.BY_DATASET, metrics=["fid@embedded", "psnr"], per_image=made_up.per_image(rows))
    assert [column.title for column in table.columns] == ["shell", "cat"]
    assert [block.head for block in table.blocks] == ["FID (embedded) ↓", "PSNR ↑"]
    chosen = rows[(rows["metric"] == "psnr") & (rows["method"] == "aot") & (rows["dataset"] == "cat")]
    found = cells(table)["PSNR", "AOT-GAN", "cat"]
    assert found.value == pytest.approx(chosen["value"].mean())
    assert math.isnan(found.low)
    assert table.notes[0] == (
        "Means over 5 conditions: irregular 10-20%, irregular 20-30%, irregular 30-40%, freeform 60-80%, center 25%."
    )
    assert [row.cells[0].mark for row in table.blocks[1].rows] == ["", "", "second", "best"]


def test_a_missing_condition_leaves_no_mean() -> None:
    rows = made_up.rows(datasets=("a", "b"), metrics=("psnr",))
    rows.loc[(rows["method"] == "grig") & (rows["condition"] == "center/25") & (rows["dataset"] == "b"), "value"] = (
        np.nan
    )
    gone = (rows["method"] == "telea") & (rows["condition"] == "center/25") & (rows["dataset"] == "b")
    found = cells(arrange(rows[~gone], layouts.BY_DATASET))
    for method in ("GRIG", "Telea"):
        assert math.isnan(found["PSNR", method, "b"].value)
        assert found["PSNR", method, "b"].note == "4 of 5 conditions"
        assert not math.isnan(found["PSNR", method, "a"].value)


def test_the_spread_over_seeds_is_that_of_the_means() -> None:
    rows = made_up.rows(datasets=("a", "b"), metrics=("psnr",), seeds=(0, 1, 2))
    means = rows[(rows["method"] == "aot") & (rows["dataset"] == "a")].groupby("seed")["value"].mean()
    cell = cells(arrange(rows, layouts.BY_DATASET))["PSNR", "AOT-GAN", "a"]
    assert cell.spread == pytest.approx(means.std())


def test_few_shot_columns_stand_under_their_data_set() -> None:
    rows = made_up.rows(datasets=("a", "b"), shots=("all", "5"), metrics=("psnr",), conditions=TWO)
    table = arrange(rows, layouts.BY_DATASET)
    assert table.groups == [("a", 2), ("b", 2)]
    assert [column.title for column in table.columns[:2]] == ["5 training images", "all training images"]


def test_methods_by_conditions_and_metrics() -> None:
    rows = made_up.rows(conditions=TWO, metrics=("psnr", "l1@hole"))
    images = made_up.per_image(rows)
    table = arrange(rows, layouts.BY_CONDITION_AND_METRIC, metrics=["psnr", "l1@hole"], per_image=images)
    assert table.groups == [("irregular 10-20%", 2), ("irregular 20-30%", 2)]
    assert [column.head for column in table.columns[:2]] == ["PSNR ↑", "L1 (hole) ↓"]
    assert table.title == "Method by condition and metric: made-up faces"
    for row in rows.itertuples():
        place = ("", row.title, f"{row.condition.replace('/', ' ')}% {row.metric_title}")
        assert cells(table)[place].value == row.value
    best = [[row.title for row in table.blocks[0].rows if row.cells[c].mark == "best"] for c in range(4)]
    assert best == [["GRIG"]] * 4


def test_an_ablation_has_a_row_for_each_variant_and_a_group_for_each_data_set() -> None:
    variants = {"grig": "GRIG"}
    parts = [made_up.rows(variants, TWO[:1], ("fid@embedded", "psnr"), ("chase", "anime"))]
    parts += [
        parts[0].assign(title=f"GRIG {name}", value=parts[0]["value"] + i) for i, name in enumerate(["(A)", "(B)"], 1)
    ]
    rows = pd.concat(parts)
    rows = rows.assign(low=rows["value"] - 0.1, high=rows["value"] + 0.1)
    table = arrange(rows, layouts.BY_DATASET_AND_METRIC, metrics=["fid@embedded", "psnr"])
    assert [row.title for row in table.blocks[0].rows] == ["GRIG", "GRIG (A)", "GRIG (B)"]
    assert table.groups == [("chase", 2), ("anime", 2)]
    assert table.title == "Method by data set and metric: irregular 10-20%"
    marks = [[cell.mark for cell in row.cells] for row in table.blocks[0].rows]
    assert marks == [["best", ""] * 2, ["second", "second"] * 2, ["", "best"] * 2]


def test_what_varies_and_is_named_nowhere_makes_blocks() -> None:
    rows = made_up.rows(datasets=("a", "b"), shots=("5", "all"), conditions=TWO, metrics=("psnr",))
    table = arrange(rows, Layout(("condition",)))
    assert [block.title for block in table.blocks] == [
        "a, 5 training images, PSNR", "a, all training images, PSNR",
        "b, 5 training images, PSNR", "b, all training images, PSNR",
    ]  # fmt: skip
    assert all(block.higher_is_better for block in table.blocks)


def test_rows_of_conditions_are_not_ranked_against_each_other() -> None:
    table = layouts.by_metric(made_up.rows(), "GRIG")
    assert not any(cell.mark for cell in cells(table).values())


def test_a_run_folder_and_unknown_metrics(tmp_path) -> None:
    rows = made_up.rows(conditions=TWO)
    run = made_up.write_run(tmp_path, rows, pictures=0)
    table = arrange(run, layouts.BY_CONDITION_AND_METRIC)
    assert [column.title for column in table.columns[:2]] == ["Perceptual distance (embedded)", "L1 (hole)"]
    with pytest.raises(BenchError, match="unknown metric fud; these results have psnr"):
        arrange(rows, layouts.BY_DATASET, metrics=["fud"])
