"""The pages of a site: what stands on them, and how they behave in a real browser."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from bench.errors import BenchError
from reports import study
from reports.site import site
from reports.study import votes
from tests.reports import made_up
from tests.reports.study import made_up as studies
from tests.reports.test_page import HOSTILE, Reader

METRICS = ("perceptual@embedded", "psnr", "fid@embedded")
CARDS = {
    "grig": {
        "title": "A paper about GRIG",
        "authors": "A, B",
        "year": 2025,
        "task": "inpainting",
        "url": "https://example.org/paper",
        "choices": {"steps": "T is 3 here; the released script keeps the best"},
        "published": {"FLOPs": "20.47 G"},
        "requires": ("prior",),
    },
    "telea": {"title": "Fast marching", "url": "javascript:alert(1)"},
}


def run(folder: Path, pictures: int = 2) -> Path:
    """A run with everything that a page can show."""
    rows = made_up.rows(metrics=METRICS, datasets=("made-up faces", "others"))
    here = (rows["title"] == "Telea") & (rows["metric"] == "psnr") & (rows["condition"] == "center/25")
    rows.loc[here, ["value", "low", "high"]] = np.nan
    rows.loc[here, "note"] = "withdrawn: a wrong crop"
    made_up.write_run(folder, rows, pictures=pictures)
    key = {"method": "grig", "preset": "tiny", "title": "GRIG"}
    pd.DataFrame([key | {"params": 12_340_000, "macs": 5_600_000_000}]).to_parquet(folder / "costs.parquet")
    loss = {"dataset": "others", "shots": "all", "seed": 0, "stage": "all", "loss": "l1"}
    steps = [key | loss | {"step": step, "value": 1 / (1 + step)} for step in range(20)]
    pd.DataFrame(steps).to_parquet(folder / "losses.parquet")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a run and a pack."""
    place = tmp_path_factory.mktemp("made")
    folder, pack = run(place / "run"), place / "b.pack.zip"
    pack.write_bytes(b"a pack")
    judged = studies.study(folder / "studies" / "ranking", people=6)
    studies.vote(judged, careless=("03",))
    study.results.keep(votes.read(judged))
    source = {
        "name": "b",
        "folder": made_up.write_run(place / "b", made_up.rows(metrics=METRICS, datasets=("of b",)), pictures=0),
        "pack": pack,
        "identity": "5ea1",
        "system": {"people": "a lab"},
        "withdrawn": [("Telea | center/25 | psnr", "a wrong crop")],
        "division": "open: size is 64",
    }
    site(place / "site", [{"name": "run", "folder": folder}, source], CARDS, pictures=True)
    return place / "site"


def read(path: Path) -> Reader:
    text = path.read_text(encoding="utf-8")
    return Reader(text.replace("<table>", '<table id="list">'))


def test_all_addresses_lead_to_files_of_the_site(made: Path) -> None:
    pages = sorted(made.glob("*.html"))
    assert {"index.html", "compare.html", "downloads.html", "method-grig.html"} <= {page.name for page in pages}
    for page in pages:
        tags = read(page).tags
        for tag, attrs in tags:
            for name in ("src", "href"):
                told = str(attrs.get(name) or "#")
                outside = tag == "a" and told == "https://example.org/paper"
                assert outside or told.startswith(("#", "data:")) or (made / unquote(told)).is_file(), (page.name, told)
        assert not [tag for tag, _ in tags if tag in ("iframe", "object", "embed", "base")]


def test_leaderboards_equal_their_files(made: Path) -> None:
    data = json.loads(made.joinpath("index.html").read_text().split('id="data">')[1].split("</script>")[0])
    assert [board["title"] for board in data["boards"]] == ["made-up faces", "others", "of b"]
    stems = [metric["stem"] for board in data["boards"] for metric in board["metrics"]]
    assert len(stems) == len(set(stems)) == 9
    for stem in stems:
        text = (made / "data" / f"{stem}.js").read_text()
        name, table = json.loads(text.removeprefix("arrived(").removesuffix(");\n"))
        rows = [row for row in Reader(table).tables[f"table-{stem}"] if row[0] in made_up.METHODS.values()]
        with (made / "tables" / f"{stem}.csv").open(newline="") as handle:
            printed = [[line[1], *line[2::3]] for line in list(csv.reader(handle))[1:]]
        assert name == stem and [[row[0], *(cell.split(" ")[0] for cell in row[1:])] for row in rows] == printed


def test_withdrawn_values_stay_with_their_reason(made: Path) -> None:
    for page in ("index.html", "method-telea.html", "downloads.html"):
        assert "Telea | center/25 | psnr" in read(made / page).text and "a wrong crop" in read(made / page).text
    assert "withdrawn: a wrong crop" in read(made / "method-telea.html").text  # of the run: a note of its cell
    rows = pd.read_csv(made / "results.csv")
    gone = rows[rows["note"].fillna("").str.startswith("withdrawn")]
    assert len(gone) == 2 and gone["value"].isna().all() and set(gone["source"]) == {"run"}


def test_the_page_of_a_method(made: Path) -> None:
    page = read(made / "method-grig.html")
    for text in ("A paper about GRIG", "T is 3 here", "20.47 G", "12.34 M", "5.60 G", "training losses", "prior"):
        assert text in page.text
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert sum(str(image).startswith("images/") for image in images) == 2 * 5 * 2 * 3
    assert not [attrs for _, attrs in read(made / "method-telea.html").tags if "javascript" in str(attrs.get("href"))]
    assert "knows no card of" in read(made / "method-aot-gan.html").text


def test_user_studies_stand_as_in_the_report_of_their_run(made: Path) -> None:
    page, stem = read(made / "studies.html"), "study-run-ranking"
    assert "User study ranking, ranking" in page.text and "LEFT OUT, 1 of 6 people: 03" in page.text
    assert {f"table-{stem}", f"table-{stem}-intervals"} <= {name for _, attrs in page.tags if (name := attrs.get("id"))}
    assert [str(attrs["src"]) for tag, attrs in page.tags if tag == "img"] == [f"figures/{stem}/study-ranking.svg"]
    table = study.tables(study.of_run(made.parent / "run")[0])["study-ranking"]
    assert (made / "tables" / f"{stem}.csv").read_text() == table.to_csv()
    assert '<a href="studies.html">' in (made / "index.html").read_text()


def test_downloads(made: Path) -> None:
    assert (made / "downloads/b.pack.zip").read_bytes() == b"a pack"
    text = read(made / "downloads.html").text
    assert "5ea1" in text and "a lab" in text and "open: size is 64" in text
    rows = pd.read_csv(io.StringIO((made / "results.csv").read_text()))
    assert len(rows) == 4 * 5 * 3 * 3 and set(rows["board"]) == {"made-up faces", "others", "of b"}


def test_packs_are_offered_as_they_are_whatever_they_are_called(tmp_path: Path) -> None:
    sources, packs = [], {}
    for number, name in enumerate(["a b", "a_b", "方法", "结果"]):
        packs[name] = tmp_path / f"{number}.pack.zip"
        packs[name].write_bytes(name.encode())
        table = made_up.rows(metrics=METRICS, datasets=(f"faces {number}",))
        folder = made_up.write_run(tmp_path / str(number), table, pictures=0)
        sources.append({"name": name, "folder": folder, "pack": packs[name]})
    site(tmp_path / "site", sources, {})
    assert [pack.read_bytes() for pack in packs.values()] == [name.encode() for name in packs]
    offered = {path.read_bytes().decode() for path in (tmp_path / "site/downloads").iterdir()}
    assert offered == set(packs)


def test_no_picture_without_leave(tmp_path: Path) -> None:
    site(tmp_path / "site", [{"name": "run", "folder": run(tmp_path / "run")}], {})
    assert not list((tmp_path / "site").rglob("*.png"))
    assert "studies.html" not in (tmp_path / "site/index.html").read_text()  # the run has none
    assert 'id="images"' not in (tmp_path / "site/compare.html").read_text()


def test_a_site_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    sources = [{"name": "run", "folder": run(tmp_path / "run", pictures=0)}]
    site(tmp_path / "site", sources, {})
    first = {path.name: path.read_bytes() for path in (tmp_path / "site").glob("*.*")}
    (tmp_path / "site/stale.html").write_text("old")
    site(tmp_path / "site", sources, {})
    assert {path.name: path.read_bytes() for path in (tmp_path / "site").glob("*.*")} == first
    with pytest.raises(BenchError, match="holds something that is no site"):
        site(tmp_path / "run", sources, {})
    assert not list(tmp_path.glob(".*.part"))


def test_a_site_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    sources = [{"name": "run", "folder": run(tmp_path / "run", pictures=0)}]
    site(tmp_path / "site", sources, {})
    with pytest.raises(BenchError, match="no folder"):
        site(tmp_path / "site", [*sources, {"name": "gone", "folder": tmp_path / "gone"}], {})
    assert (tmp_path / "site/index.html").exists()


def test_in_a_browser_leaderboards_are_chosen_and_ranked(made: Path, visit: Callable[..., Any]) -> None:
    tab = visit(made / "index.html")
    tab.wait_for_selector("table.ranked")
    names = "[...document.querySelectorAll('#board-table tbody tr:not(.title)')].map((row) => row.cells[0].innerText)"
    assert tab.evaluate(names) == ["GRIG", "AOT-GAN", "Telea", "Mean colour"]  # lower is better
    tab.select_option("#metric", label="PSNR ↑")
    tab.wait_for_selector("#board-table :text('PSNR')")
    assert tab.evaluate(names) == ["GRIG", "AOT-GAN", "Telea", "Mean colour"]
    tab.select_option("#column", label="center 25%")
    tab.wait_for_selector("#board-table .heads :text('center')")
    assert tab.evaluate(names)[-1].startswith("Telea")  # withdrawn: without a place
    assert tab.evaluate("document.querySelectorAll('tr.placed').length") == 3
    assert "withdrawn: a wrong crop" in tab.inner_text("#board-table")
    tab.select_option("#column", label="all")
    tab.wait_for_selector("table.every")
    assert tab.evaluate("document.querySelectorAll('.heads th:not([hidden])').length") == 6
    tab.select_option("#board", label="of b")
    tab.wait_for_selector("#board-table :text('of b')")
    assert "board=of+b" in tab.url and "condition=all" in tab.url


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
@pytest.mark.parametrize("name", ["index.html", "compare.html", "studies.html", "downloads.html", "method-grig.html"])
def test_in_a_browser_no_page_is_wider_than_the_screen(
    made: Path, visit: Callable[..., Any], name: str, size: tuple[int, int]
) -> None:
    tab = visit(made / name, viewport=dict(zip(("width", "height"), size, strict=True)))
    tab.wait_for_load_state("networkidle")
    assert tab.evaluate("document.documentElement.scrollWidth") == size[0]
    assert tab.evaluate("[...document.images].every((i) => !i.complete || i.hidden || !i.src || i.naturalWidth > 0)")


def test_in_a_browser_two_methods_are_compared(made: Path, visit: Callable[..., Any]) -> None:
    tab = visit(made / "compare.html")
    tab.wait_for_selector("#pairs-rows tr")
    tab.select_option("#metric", label="PSNR ↑")
    tab.wait_for_selector("#pairs-rows :text('+')")
    row = "[...document.querySelectorAll('#pairs-rows tr')][0].innerText.split('\\t')"
    _, a, b, apart, p, n = tab.evaluate(row)
    assert n == "40"
    assert abs(float(b) - float(a) - float(apart.split(" [")[0])) < 0.02 and 0 <= float(p) < 0.05
    low, high = map(float, apart.split("[")[1].strip("]").split(", "))
    assert 0 < low < float(apart.split(" [")[0]) < high
    tab.select_option("#a", label="GRIG")
    tab.select_option("#b", label="Mean colour")
    swapped = tab.evaluate(row)
    assert swapped[1:3] == [b, a] and swapped[4] == p
    assert [float(x) for x in swapped[3].split("[")[1].strip("]").split(", ")] == [-high, -low]
    tab.select_option("#metric", label="FID (embedded) ↓")  # of a set: no interval
    tab.wait_for_selector("#pairs-rows :text('n/a')")
    assert "[" not in tab.evaluate(row)[3]
    assert tab.evaluate("document.querySelector('#left-image').naturalWidth") == 64
    sides = "['left', 'right'].map((side) => document.querySelector(`#${side}`).selectedOptions[0].text)"
    assert tab.evaluate(sides) == ["GRIG", "Mean colour"]  # the pictures are of what is compared


def test_in_a_browser_infinite_values_and_every_number_of_training_images(
    tmp_path: Path, visit: Callable[..., Any]
) -> None:
    what = {"methods": {"mean": "Mean colour", "telea": "Telea"}, "conditions": ("center/25",), "metrics": ("psnr",)}
    folder = made_up.write_run(tmp_path / "run", made_up.rows(**what, shots=("4", "10")), pictures=1)
    table = pd.read_parquet(folder / "per_image.parquet")
    table.loc[(table["title"] == "Telea") & (table["shots"] == "4") & (table["id"] < "020"), "value"] = np.inf
    table.to_parquet(folder / "per_image.parquet", index=False)
    site(tmp_path / "site", [{"name": "run", "folder": folder}], {}, pictures=True)
    tab = visit(tmp_path / "site/compare.html")
    row = "[...document.querySelectorAll('#pairs-rows tr')][0].innerText.split('\\t')"
    tab.wait_for_selector("#pairs-rows :text('+')")
    boards = "[...document.querySelector('#board').options].map((o) => o.text)"
    assert tab.evaluate(boards) == ["made-up faces, 10 training images", "made-up faces, 4 training images"]
    tab.select_option("#board", label="made-up faces, 4 training images")
    tab.wait_for_selector("#pairs-rows :text('∞')")
    _, a, *rest = tab.evaluate(row)
    assert float(a) > 0 and rest == ["∞", "n/a", "n/a", "40"]


def test_names_of_others_stay_text(tmp_path: Path, visit: Callable[..., Any]) -> None:
    rows = made_up.rows(methods=HOSTILE, conditions=("center/25",), metrics=("psnr",))
    folder = made_up.write_run(tmp_path / "run", rows.assign(note=HOSTILE["a"]), pictures=0)
    facts = {"title": HOSTILE["c"], "choices": {HOSTILE["a"]: HOSTILE["b"]}, "url": HOSTILE["b"]}
    source = {"name": HOSTILE["b"], "folder": folder, "system": {HOSTILE["c"]: HOSTILE["a"]}}
    source |= {"withdrawn": [(HOSTILE["a"], HOSTILE["b"])]}
    site(tmp_path / "site", [source], dict.fromkeys(HOSTILE, facts), title=HOSTILE["c"])
    for page in (tmp_path / "site").glob("*.html"):
        tab = visit(page)
        tab.wait_for_load_state("networkidle")
        assert tab.evaluate("window.hacked") is None
