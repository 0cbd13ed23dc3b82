"""Tables from (made-up) result rows."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from reports import build, by_metric, layouts, main_table, results
from reports.table import Cell
from tests.reports import made_up


def grid(table) -> dict[tuple[str, str, str], Cell]:
    return {
        (block.title, row.title, f"{column.group} {column.title}".strip()): cell
        for block in table.blocks
        for row in block.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }


def test_methods_by_conditions_with_a_block_for_each_metric() -> None:
    table = main_table(made_up.rows())
    assert [block.head for block in table.blocks] == [
        "made-up faces: Perceptual distance (embedded) ↓",
        "made-up faces: FID (embedded) ↓",
        "made-up faces: PSNR ↑",
    ]
    assert [column.group for column in table.columns] == ["irregular"] * 3 + ["freeform", "center"]
    assert [column.title for column in table.columns] == ["10-20%", "20-30%", "30-40%", "60-80%", "25%"]
    assert [row.title for row in table.blocks[0].rows] == list(made_up.METHODS.values())


def test_the_suite_names_its_main_metrics() -> None:
    table = main_table(made_up.rows(), protocol=made_up.PROTOCOL)
    assert [block.title.split(": ")[1] for block in table.blocks] == ["Perceptual distance (embedded)", "L1 (hole)"]
    assert "Protocol 0123456789abcdef." in table.notes


def test_every_value_stands_in_its_own_cell() -> None:
    rows = made_up.rows(datasets=("a", "b"), shots=("all", "5"))
    cells = grid(main_table(rows, metrics=["psnr", "u-ids@embedded"]))
    for row in rows[rows["metric"] == "psnr"].itertuples():
        family, _, ratio = row.condition.partition("/")
        place = (f"{row.dataset}, {row.shots} training images: PSNR", row.title, f"{family} {ratio}%")
        assert cells[place].value == row.value
    missing = [cell for place, cell in cells.items() if "U-IDS" in place[0]]
    assert all(math.isnan(cell.value) and cell.note == made_up.SMALL and not cell.mark for cell in missing)


def test_conditions_are_sorted_by_ratio() -> None:
    rows = made_up.rows(conditions=("irregular/90-100", "irregular/0-10", "blur", "irregular/10-20"))
    titles = [column.title for column in main_table(rows).columns]
    assert titles == ["0-10%", "10-20%", "90-100%", "blur"]


def test_mask_folders_of_one_name_stay_apart() -> None:
    rows = made_up.rows(conditions=("folder:/a/masks/10-20", "folder:/b/masks/10-20", "folder:c/thin/10-20"))
    assert [c.group for c in main_table(rows).columns] == ["folder:/a/masks", "folder:/b/masks", "folder: thin"]


def test_mean_and_spread_over_seeds() -> None:
    rows = made_up.rows(seeds=(0, 1, 2), conditions=("center/25",), metrics=("psnr",))
    values = rows[rows["method"] == "aot"]["value"]
    cell = grid(main_table(rows))["made-up faces: PSNR", "AOT-GAN", "center 25%"]
    assert cell.value == pytest.approx(values.mean())
    assert cell.spread == pytest.approx(values.std())
    assert "over 3 seeds" in main_table(rows).notes[0]


def test_a_seed_without_a_value_is_named() -> None:
    rows = made_up.rows(seeds=(0, 1, 2), conditions=("center/25",), metrics=("psnr",))
    rows.loc[(rows["method"] == "aot") & (rows["seed"] == 1), "value"] = np.nan
    cell = grid(main_table(rows))["made-up faces: PSNR", "AOT-GAN", "center 25%"]
    assert cell.note == "2 of 3 seeds"
    assert not math.isnan(cell.value)


def test_a_cell_that_was_not_run() -> None:
    rows = made_up.rows()
    gone = (rows["method"] == "grig") & (rows["condition"] == "center/25")
    cell = grid(main_table(rows[~gone]))["made-up faces: PSNR", "GRIG", "center 25%"]
    assert math.isnan(cell.value)
    assert cell.note == "not run"


def test_one_method_and_one_condition() -> None:
    rows = made_up.rows(methods={"telea": "Telea"}, conditions=("center/25",))
    cells = grid(main_table(rows)).values()
    assert len(cells) == 3
    assert not any(cell.mark for cell in cells)


def test_presets_and_shared_titles_are_told_apart() -> None:
    rows = made_up.rows(methods={"a": "Same", "b": "Same"})
    assert set(results.tidy(rows)["label"]) == {"Same [a]", "Same [b]"}
    both = pd.concat([rows[rows["method"] == "a"], rows[rows["method"] == "a"].assign(preset="paper")])
    assert set(results.tidy(both)["label"]) == {"Same (tiny)", "Same (paper)"}


def test_conditions_by_metrics_of_one_method() -> None:
    rows = made_up.rows()
    table = by_metric(rows, "GRIG")
    assert [column.head for column in table.columns][:2] == ["PSNR ↑", "L1 (hole) ↓"]
    assert [row.title for row in table.blocks[0].rows][:2] == ["irregular 10-20%", "irregular 20-30%"]
    assert by_metric(rows, "grig").to_markdown() == table.to_markdown()
    with pytest.raises(BenchError, match="unknown method nobody; these results have mean, telea"):
        by_metric(rows, "nobody")


def test_unknown_metric() -> None:
    with pytest.raises(BenchError, match="unknown metric fud; these results have psnr, l1@hole"):
        main_table(made_up.rows(), metrics=["fud"])


def test_bad_rows() -> None:
    rows = made_up.rows()
    with pytest.raises(BenchError, match="no rows"):
        main_table(rows.iloc[:0])
    with pytest.raises(BenchError, match="lacks the columns value"):
        main_table(rows.drop(columns="value"))
    with pytest.raises(BenchError, match="two rows for made-up faces, all, mean"):
        main_table(pd.concat([rows, rows]))
    with pytest.raises(BenchError, match="no number"):
        main_table(rows.assign(value="a lot"))


SSIM = {
    "ssim": ("SSIM", True, True, 0.8, -0.1),
    "ssim@ec51": ("SSIM (grey, window 51)", True, True, 0.9, -0.1),
}


def test_variants_of_ssim_never_share_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(made_up, "METRICS", made_up.METRICS | SSIM)
    rows = made_up.rows(metrics=("ssim", "psnr", "ssim@ec51"), conditions=("center/25", "irregular/10-20"))
    for make in (main_table, partial(layouts.arrange, layout=layouts.BY_DATASET)):
        with pytest.raises(BenchError, match="ssim and ssim@ec51 are different measures: make a table for each"):
            make(rows, metrics=["ssim", "psnr", "ssim@ec51"])
    protocol = {"suite": {"report": {"main": ["psnr", "ssim@ec51", "ssim"]}}}
    assert [block.title.split(": ")[1] for block in main_table(rows, protocol=protocol).blocks] == [
        "PSNR", "SSIM (grey, window 51)",
    ]  # fmt: skip
    assert [column.title for column in by_metric(rows, "aot").columns] == ["SSIM", "PSNR"]
    run = made_up.write_run(tmp_path / "run", rows, pictures=0)
    build(run)
    for path in (run / "report" / "tables").glob("*.csv"):
        assert not ("SSIM (grey" in path.read_text() and "SSIM," in path.read_text().replace("SSIM\n", "SSIM,")), path
    assert {"ssim.md", "ssim-ec51.md"} <= {path.name for path in (run / "report" / "tables").iterdir()}


def test_fid_of_few_images_carries_its_note_into_every_table() -> None:
    rows = made_up.rows(metrics=("fid@embedded", "psnr"), conditions=("center/25",))
    bias = "biased below n = 2,048: compare at equal n only"
    rows.loc[rows["metric"] == "fid@embedded", "note"] = bias
    table = main_table(rows, metrics=["fid@embedded", "psnr"])
    noted = {place[0]: cell.note for place, cell in grid(table).items()}
    assert noted == {"made-up faces: FID (embedded)": bias, "made-up faces: PSNR": ""}
    for text in (table.to_markdown(), table.to_latex(), layouts.arrange(rows, layouts.BY_DATASET).to_markdown()):
        assert text.count("biased below n = 2,048") == 1


def test_what_a_reader_must_know_of_a_metric_stands_once_below_every_table() -> None:
    rows = made_up.rows(metrics=("fid@embedded", "psnr"), conditions=("center/25", "half/left"))
    rows["caution"] = rows["metric"].map({"fid@embedded": "hardly notices blur", "psnr": ""})
    line = "FID (embedded): hardly notices blur."
    for table in (main_table(rows, metrics=["fid@embedded", "psnr"]), layouts.arrange(rows, layouts.BY_DATASET)):
        assert [note for note in table.notes if "blur" in note] == [line]
        assert not any(note.startswith("PSNR") for note in table.notes)
    assert "blur" not in main_table(rows, metrics=["psnr"]).to_markdown()
    assert "blur" not in main_table(rows.drop(columns="caution")).to_markdown()  # results of before


def test_fid_at_different_n_is_not_ranked() -> None:
    rows = made_up.rows(metrics=("fid@embedded", "psnr"), conditions=("center/25",))
    rows.loc[rows["method"] == "grig", "n"] = 39
    cells = grid(main_table(rows, metrics=["fid@embedded", "psnr"], per_image=made_up.per_image(rows)))
    marks = {place[:2]: cell.mark for place, cell in cells.items()}
    assert not any(mark for (block, _), mark in marks.items() if "FID" in block)
    assert marks["made-up faces: PSNR", "GRIG"] == "best"
    notes = [cell.note for (block, _, _), cell in cells.items() if "FID" in block]
    assert notes == ["n = 40", "n = 40", "n = 40", "n = 39"]
