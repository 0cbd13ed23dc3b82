"""Rows of several runs in one report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.errors import BenchError
from bench.store import read_json, write_json
from reports import build, compare, scored
from reports.joined import joined
from reports.page.pictures import albums
from reports.results import OF_ROWS, over_seeds

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


def seeds(folder: Path, model: str | None, *numbers: int, preset: str = "tiny", level: float = 0.0) -> Path:
    """A run of GRIG by the training `model`, None of older results, with pictures; Mean colour beside it."""
    rows = made_up.rows({"mean": "Mean colour", "grig": "GRIG"}, **WHAT, seeds=numbers)  # type: ignore[arg-type]
    rows = rows[(rows["method"] == "grig") | (rows["seed"] == numbers[0])]
    mean = rows["method"] == "mean"
    rows = rows.assign(
        protocol=rows["metric"] + rows["condition"],
        preset=rows["preset"].where(mean, preset),
        seed=rows["seed"].where(~mean, 0 if model else numbers[0]),
        value=(rows["value"] + level).where(~mean, 1.0),
    )
    if model:
        rows = rows.assign(model=[{"grig": model}.get(method, method) for method in rows["method"]])
    return made_up.write_run(folder, rows)


def test_seeds_of_one_training_join_and_a_row_without_training_adds_none(tmp_path: Path) -> None:
    first, second = seeds(tmp_path / "a", "40 steps", 0), seeds(tmp_path / "b", "40 steps", 1, 2)
    for found in (joined(first, [second]), joined(second, [first])):
        cells = over_seeds(found.rows)
        assert dict(zip(cells["label"], cells["asked"], strict=True)) == {"Mean colour": 1, "GRIG": 3}
        assert not found.elsewhere


@pytest.mark.parametrize("other", ["2 steps", None])
def test_seeds_of_another_training_are_another_row(tmp_path: Path, other: str | None) -> None:
    """Two trainings were averaged as seeds of one row, and what both called seed 0 was dropped."""
    first, second = seeds(tmp_path / "a", "40 steps", 0), seeds(tmp_path / "b", other, 0, 1, level=1.0)
    found = joined(first, [second])
    alone = [over_seeds(joined(run, []).rows).query("title == 'GRIG'") for run in (first, second)]
    cells = over_seeds(found.rows)
    for title, of in (("GRIG", alone[0]), ("GRIG (b)", alone[1])):
        shown = cells[cells["label"] == title].set_index(["condition", "metric"])["value"]
        pd.testing.assert_series_equal(shown, of.set_index(["condition", "metric"])["value"])
    assert found.elsewhere >= {"GRIG (b)"}
    assert "GRIG (b) stands apart from GRIG: its method, training or values are others" in found.protocol["joined"][0]
    assert ("run the suite again" in found.protocol["joined"][0]) == (other is None)
    assert {"GRIG: 400 x 8", "GRIG (b): 400 x 8"} == set(found.protocol["trained"])
    assert "GRIG (b)" in build(first, others=[second]).read_text()


def test_pictures_have_the_names_and_the_scores_of_their_own_run(tmp_path: Path) -> None:
    """Those of a row had the name and the scores of a row of the same title of the other run."""
    first, second = seeds(tmp_path / "a", "40 steps", 0), seeds(tmp_path / "b", "40 steps", 1, level=1.0)
    third = seeds(tmp_path / "c", "40 steps", 0, preset="paper", level=2.0)
    alone, found = joined(first, []), joined(first, [second, third])
    expected, scores = scored.kept(alone), scored.kept(found)
    assert expected is not None and scores is not None
    mine = scores[scores["title"].isin(alone.rows["title"])].reset_index(drop=True)
    keys = ["condition", "metric", "title", "file"]
    pd.testing.assert_frame_equal(
        mine.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True)
    )
    (first / "samples/made-up faces/center_25/GRIG (c)").mkdir()  # left from a row that is no more
    for album in albums(found, over_seeds(found.rows)):
        assert [title for title, _ in album.variants] == ["Original", "Input", "Mean colour", "GRIG"]


def test_a_run_whose_rows_stand_there_already_is_said_to_add_none(tmp_path: Path) -> None:
    first = run(tmp_path / "a", ("grig", "mean"))
    (text,) = joined(first, [run(tmp_path / "b", ("mean",))]).protocol["joined"]
    assert text == f"none of {tmp_path / 'b'}, whose rows stand there already: 4 of 4 columns"


def test_older_results_say_what_they_lack(tmp_path: Path) -> None:
    new = run(tmp_path / "new", ("grig",))
    rows = pd.read_parquet(new / "results.parquet").assign(images_fingerprint="aa", model="x")
    rows.to_parquet(new / "results.parquet")
    old = made_up.write_run(
        tmp_path / "old", rows.drop(columns=["protocol", "images_fingerprint", "model"]), pictures=0
    )
    for make in (joined, lambda a, b: joined(b[0], [a]), lambda a, b: compare(a, b[0]), lambda a, b: compare(b[0], a)):
        with pytest.raises(BenchError, match=r"the results of .*/old are older and do not say .*, protocol, model: "):
            make(new, [old])
