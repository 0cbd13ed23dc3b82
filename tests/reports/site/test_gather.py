"""Rows of many sources on boards: what shares one, what is shown once, and what is called by its source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from reports import results
from reports.site.gather import Board, Source, gather
from tests.reports import made_up

FEW = ("irregular/10-20", "center/25")


def gathered(tmp_path: Path, *runs: pd.DataFrame) -> list[Board]:
    """The boards of runs, which are called a, b, c."""
    sources = []
    for name, rows in zip("abc", runs, strict=False):
        sources.append(Source(name, made_up.write_run(tmp_path / name, rows, pictures=0)))
    return gather(sources, [results.load(source.folder) for source in sources])


def rows(protocol: str = "p", change: Callable[[pd.DataFrame], None] | None = None) -> pd.DataFrame:
    """Rows whose columns say what they mean."""
    table = made_up.rows(conditions=FEW, metrics=("psnr", "l1@hole"))
    table["protocol"] = [protocol + metric for metric in table["metric"]]
    if change:
        change(table)
    return table


def test_rows_of_one_protocol_share_a_board_and_the_same_row_is_shown_once(tmp_path: Path) -> None:
    mine = rows().query("title != 'GRIG'")
    (board,) = gathered(tmp_path, mine, rows())
    assert board.title == "made-up faces" and board.sources == (0, 1)
    assert list(dict.fromkeys(board.cells["label"])) == ["Mean colour", "Telea", "AOT-GAN", "GRIG"]
    assert board.origin["GRIG"] == {1: "GRIG"} and board.origin["Telea"] == {0: "Telea"}
    titles = board.found.rows["title"]
    assert {number for number, title in zip(board.came_from, titles, strict=True) if title == "GRIG"} == {1}
    assert len(board.found.rows) == len(rows())
    assert board.found.per_image is not None
    assert len(board.found.per_image) == 40 * len(rows())  # those of the second run's rows alone came with it


def test_another_protocol_has_another_board(tmp_path: Path) -> None:
    first, second = gathered(tmp_path, rows(), rows("q"))
    assert (first.title, second.title) == ("made-up faces, a", "made-up faces, b")
    assert first.slug != second.slug


def test_one_column_of_another_meaning_is_enough(tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["metric"] == "psnr", "protocol"] = "newer"

    assert len(gathered(tmp_path, rows(), rows(change=change))) == 2


def test_older_results_share_no_board(tmp_path: Path) -> None:
    older = made_up.rows(conditions=FEW, metrics=("psnr",))
    assert len(gathered(tmp_path, older, older)) == 2


def test_a_row_of_the_same_title_with_other_values_is_called_by_its_source(tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["title"] == "GRIG", "value"] += 1

    (board,) = gathered(tmp_path, rows(), rows(change=change))
    assert board.origin["GRIG (b)"] == {1: "GRIG"} and set(board.origin) == {*made_up.METHODS.values(), "GRIG (b)"}
    assert board.found.per_image is not None
    assert set(board.found.per_image["title"]) == set(board.origin)
    assert {line.split(":")[0] for line in board.found.protocol["trained"]} == {"GRIG", "GRIG (b)"}


def test_a_row_of_the_same_title_and_another_method_is_called_by_its_source(tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["title"] == "GRIG", "method"] = "another"

    (board,) = gathered(tmp_path, rows(), rows(change=change))
    assert board.origin["GRIG"] == {0: "GRIG"} and board.origin["GRIG (b)"] == {1: "GRIG"}
    assert set(board.cells["label"]) == {*made_up.METHODS.values(), "GRIG (b)"}


def test_seeds_of_one_training_share_a_row_and_those_of_another_do_not(tmp_path: Path) -> None:
    mine, same, other = (
        rows().query("title == 'GRIG'").assign(seed=seed, model=model) for seed, model in ((0, "x"), (1, "x"), (2, "y"))
    )
    (board,) = gathered(tmp_path, mine, same, other)
    assert board.origin == {"GRIG": {0: "GRIG", 1: "GRIG"}, "GRIG (c)": {2: "GRIG"}}
    assert dict(zip(board.cells["label"], board.cells["asked"], strict=True)) == {"GRIG": 2, "GRIG (c)": 1}


def test_a_row_that_failed_gives_way_to_that_of_another_source(tmp_path: Path) -> None:
    failed = rows().assign(value=np.nan, note="failed: no memory").query("title == 'GRIG'")
    (board,) = gathered(tmp_path, failed, rows())
    assert board.cells["value"].notna().all() and set(board.came_from) == {1}


def test_rows_of_one_method_may_come_from_several_sources(tmp_path: Path) -> None:
    (board,) = gathered(tmp_path, rows().query(f"condition == '{FEW[0]}'"), rows())
    assert board.origin["GRIG"] == {0: "GRIG", 1: "GRIG"}
    found = board.found.rows.assign(source=board.came_from)
    assert dict(zip(found["condition"], found["source"], strict=True)) == {FEW[0]: 0, FEW[1]: 1}


def test_withdrawn_values_stay_beside_those_of_others(tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        here = (table["title"] == "GRIG") & (table["metric"] == "psnr")
        table.loc[here, ["value", "low", "high"]] = np.nan
        table.loc[here, "note"] = "withdrawn: a wrong crop"

    (board,) = gathered(tmp_path, rows(), rows(change=change))
    cells = board.cells[(board.cells["title"] == "GRIG (b)") & (board.cells["metric"] == "psnr")]
    assert cells["value"].isna().all() and set(cells["note"]) == {"withdrawn: a wrong crop"}


def test_losses_and_costs_follow_their_rows(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path / "a", rows(), pictures=0)
    key = {"method": "grig", "preset": "tiny", "title": "GRIG"}
    pd.DataFrame([key | {"params": 10, "macs": 20}]).to_parquet(run / "costs.parquet")
    loss = {
        "dataset": "made-up faces",
        "shots": "all",
        "seed": 0,
        "stage": "all",
        "step": 1,
        "loss": "l1",
        "value": 1.0,
    }
    pd.DataFrame([key | loss]).to_parquet(run / "losses.parquet")
    (board,) = gather([Source("a", run)], [results.load(run)])
    assert board.found.costs is not None and board.found.costs["params"].tolist() == [10]
    assert board.found.losses is not None and board.found.losses["label"].tolist() == ["GRIG"]
    assert json.dumps(board.found.protocol["hash"]) == '"0123456789abcdef"'
