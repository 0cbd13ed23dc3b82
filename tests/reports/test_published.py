"""The published numbers: complete, in the shapes of their tables, and beside one's own."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

import masks
from bench.errors import BenchError
from reports import published
from reports.published.compare import CONDITIONS
from reports.published.shapes import COLUMNS
from tests.reports import made_up

SHARED = Path(__file__).parents[3] / "shared" / "published"


def test_every_row_is_there() -> None:
    frame = published.load()
    assert frame["source"].value_counts().to_dict() == {"thesis": 954, "isfrnet": 73, "hierinv": 47}
    assert list(frame.columns) == [*COLUMNS, "printed"]
    assert frame["value"].notna().equals(frame["printed"] != "")
    assert (~frame["value"].notna()).sum() == 3
    keys = ["source", "table", "dataset", "method", "condition", "metric"]
    assert not frame.duplicated(keys).any()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the checked originals are not here")
@pytest.mark.parametrize("name", ["thesis", "isfrnet", "hierinv", "apfi"])
def test_equal_to_the_checked_originals(name: str) -> None:
    ours = Path(str(published.__file__)).parent / f"{name}.csv"
    assert ours.read_bytes() == (SHARED / f"{name}.csv").read_bytes()


@pytest.mark.parametrize("name", published.names())
def test_a_table_shows_each_of_its_numbers_once(name: str) -> None:
    frame = published.load()
    rows = frame[(frame["source"] + " " + frame["table"] == name) & (frame["printed"] != "")]
    table = published.table(name)
    texts = [cell.text for block in table.blocks for row in block.rows for cell in row.cells if cell.text != "n/a"]
    assert sorted(texts) == sorted(rows["printed"])
    assert len(table.to_markdown().splitlines()) > 2
    assert r"\bottomrule" in table.to_latex()


def test_thesis_5_1_has_the_shape_of_the_paper() -> None:
    table = published.table("thesis 5.1")
    assert [block.head for block in table.blocks] == ["CelebA-HQ, FID ↓", "FFHQ, FID ↓"]
    assert [len(block.rows) for block in table.blocks] == [13, 13]
    assert [column.title for column in table.columns][:3] == ["fixed centre 128x128", "10-20%", "20-30%"]
    exegan = table.blocks[0].rows[-1]
    assert exegan.title == "EXE-GAN"
    assert [cell.text for cell in exegan.cells][:7] == ["4.66", "2.10", "3.50", "4.80", "6.22", "8.16", "11.86"]
    assert [cell.text for cell in exegan.cells][7:] == ["14.78", "18.71", "27.15"]
    assert [cell.mark for cell in exegan.cells] == ["", *["second"] * 5, *[""] * 4]  # the best, untested


def test_conditions_by_metrics() -> None:
    table = published.table("hierinv 1")
    assert [(c.group, c.head) for c in table.columns[:3]] == [
        ("all masks (0.0-1.0)", "FID ↓"),
        ("all masks (0.0-1.0)", "LPIPS ↓"),
        ("easy masks (0.0-0.4)", "FID ↓"),
    ]
    assert "SUSPICIOUS" in table.to_markdown()


def test_an_unknown_table_names_close_ones() -> None:
    with pytest.raises(BenchError, match=r"no published table 'thesis 5\.9'; there are thesis 5\."):
        published.table("thesis 5.9")


def paper_rows(**changes: object) -> pd.DataFrame:
    rows = made_up.rows(
        methods={"exegan": "EXE-GAN (ours)", "nobody": "Nobody"},
        conditions=("irregular/50-60", "freeform/60-70", "center/25", "irregular/5-15"),
        metrics=("fid@embedded", "psnr"),
        datasets=("celeba-hq",),
    )
    rows = rows.assign(preset="paper")
    fid = rows["metric"] == "fid@embedded"
    rows.loc[fid, ["metric", "metric_title", "value"]] = ["fid", "FID", 9.0]
    return rows.assign(**changes)


def test_ours_beside_published_with_the_difference() -> None:
    table = published.beside(paper_rows())
    assert table is not None
    assert [block.head for block in table.blocks] == ["celeba-hq: FID, thesis 5.1 ↓"]
    lines = {row.title: [cell.text for cell in row.cells] for row in table.blocks[0].rows}
    assert lines == {
        "EXE-GAN (ours), irregular 50-60%": ["9.00", "8.16", "+0.84"],
        "EXE-GAN (ours), freeform 60-70%": ["9.00", "11.86", "-2.86"],
        "EXE-GAN (ours), center 25%": ["9.00", "4.66", "+4.34"],
    }


@pytest.mark.parametrize(
    ("dataset", "method", "title", "preset", "condition", "printed"),
    [
        ("ffhq", "hierinv", "HierInv", "paper", "even/0-100", ["4.85", "4.85"]),
        ("ffhq", "hierinv", "Hierarchical - W+ encoding", "paper", "even/0-100", ["13.61"]),
        ("ffhq", "divinv", "DivInversion - Two Stage", "paper", "even/0-100", ["5.92", "5.92"]),
        ("ffhq", "psp", "pSp", "256", "even/0-100", ["8.23"]),
        ("chase", "grig", "GRIG (T = 5)", "paper", "irregular/50-60", ["56.58"]),
        ("ffhq", "exegan", "EXE-GAN", "paper", "exegan", ["4.353", "4.353"]),
    ],
)
def test_tables_meet_the_rows_of_their_suites(
    dataset: str, method: str, title: str, preset: str, condition: str, printed: list[str]
) -> None:
    rows = made_up.rows(methods={method: title}, conditions=(condition,), metrics=("psnr",), datasets=(dataset,))
    table = published.beside(rows.assign(preset=preset, metric="fid", metric_title="FID", value=9.0))
    found = [row.cells[1].text for block in table.blocks for row in block.rows] if table else []
    assert found == printed


def test_a_document_may_have_its_own_split() -> None:
    rows = made_up.rows(
        methods={"isfrnet": "ISFRNet"}, conditions=("irregular/20-40",), metrics=("psnr",), datasets=("celeba",)
    ).assign(preset="paper")
    table = published.beside(rows.assign(dataset="celeba-isfrnet"))
    assert table is not None and [block.head for block in table.blocks] == [
        "celeba-isfrnet: PSNR, isfrnet 1 ↑",
        "celeba-isfrnet: PSNR, isfrnet 2 ↑",
    ]
    assert published.beside(rows) is None


def test_every_condition_of_the_tables_can_be_drawn() -> None:
    for condition in CONDITIONS.values():
        if not condition.startswith("degraded/"):
            masks.draw(condition, 64, 0, 0)


def test_what_is_not_the_same_never_stands_beside() -> None:
    assert published.beside(paper_rows(preset="tiny")) is None
    assert published.beside(paper_rows(shots="30")) is None
    assert published.beside(paper_rows(dataset="my faces")) is None
    rows = paper_rows()
    assert published.beside(rows.assign(metric=rows["metric"].str.replace("fid", "fid@embedded"))) is None


def test_a_missing_value_has_no_difference() -> None:
    table = published.beside(paper_rows(value=math.nan))
    assert table is not None
    assert [cell.text for cell in table.blocks[0].rows[0].cells] == ["n/a", "8.16", "n/a"]


@pytest.mark.parametrize(
    ("method", "dataset", "condition", "metric", "value", "expected"),
    [
        ("input", "celeba-test", "degraded/given", "emotion@hsemotion", 0.8, ["80.00", "79.73", "+0.27"]),
        ("vspbfr", "celeba-test", "degraded/given", "emotion@hsemotion", 0.8, ["80.00", "86.03", "-6.03"]),
        ("input", "celeba-test", "degraded/given", "detection@fan", 0.99, ["99.00", "99.73", "-0.73"]),
        ("vspbfr", "celeba-test", "degraded/given", "detection@fan", 1.0, ["100.00", "100.00", "0.00"]),
        ("input", "celeba-test", "degraded/given", "nme@fan", 6.0, ["6.00", "6.08", "-0.08"]),
        ("vspbfr", "celeba-test", "degraded/given", "nme@fan", 2.5, ["2.50", "2.43", "+0.07"]),
        ("facemug", "celeba-hq", "whole+semantics+text", "fid", 40.0, ["40.00", "38.41", "+1.59"]),
        ("facemug", "celeba-hq", "local+semantics+text", "fid", 10.0, ["10.00", "11.85", "-1.85"]),
        ("facemug", "celeba-hq", "whole+sketch+semantics+text", "lpips@vgg", 0.4, ["0.4000", "0.4046", "-0.0046"]),
    ],
)
def test_conditions_and_scores_of_other_tasks(
    method: str, dataset: str, condition: str, metric: str, value: float, expected: list[str]
) -> None:
    rows = made_up.rows(methods={method: method}, conditions=(condition,), metrics=("psnr",), datasets=(dataset,))
    table = published.beside(rows.assign(preset="paper", metric=metric, value=value))
    assert table is not None
    assert [[cell.text for cell in row.cells] for block in table.blocks for row in block.rows] == [expected]
