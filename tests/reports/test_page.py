"""The report's web page: its content, and how it behaves in a real browser."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

import reports
from bench.errors import BenchError
from reports import page, results, tables
from reports.page import pictures
from tests.reports import made_up

HOSTILE = {
    "a": "<script>window.hacked = 1</script>",
    "b": '"><img src=x onerror="window.hacked = 1">',
    "c": "</script><script>window.hacked = 1</script>",
    "d": "{{ 7 * 7 }} & <!-- ' --> \u2028",
}


class Reader(HTMLParser):
    """Collects the tags with their attributes, the visible text, and the rows of each table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "table":
            self._rows = self.tables[str(dict(attrs)["id"])] = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text += data
        if {"td", "th"} & set(self._open) and "sup" not in self._open:
            self._rows[-1][-1] += data


def write(run: Path) -> Path:
    """The page without figures, which are what takes time."""
    found = results.load(run)
    cells = results.over_seeds(found.rows)
    made = {"main": tables.main_table(run), "psnr": tables.by_condition(cells, ["psnr"])}
    made["psnr-intervals"] = replace(made["psnr"], intervals=True)
    return page.write(run / "report" / "report.html", found, cells, made, {})


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small run with everything in it."""
    rows = made_up.rows(metrics=("perceptual@embedded", "l1@hole", "psnr"), datasets=("made-up faces", "others"))
    run = made_up.write_run(tmp_path_factory.mktemp("run"), rows, pictures=3)
    reports.build(run)
    return run / "report" / "report.html"


def test_one_file_holds_everything(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    read = Reader(text)
    addresses = [str(attrs[name]) for _, attrs in read.tags for name in ("src", "href") if name in attrs]
    assert not [a for a in addresses if not a.startswith(("data:", "#")) and not (report.parent / unquote(a)).is_file()]
    assert not [tag for tag, _ in read.tags if tag in ("iframe", "object", "embed", "base")]
    assert not re.search(r"url\(|@import", text)
    figures = [attrs for tag, attrs in read.tags if tag == "img" and attrs.get("src")]
    assert len(figures) == len({path.stem for path in (report.parent / "figures").iterdir()}) >= 4
    assert all(str(figure["src"]).startswith("data:image/") and figure["alt"] for figure in figures)
    stems = {path.stem for path in (report.parent / "tables").glob("*.csv")}
    assert {f"table-{stem}" for stem in stems} == set(read.tables)
    assert len({attrs["id"] for _, attrs in read.tags if "id" in attrs}) == sum("id" in attrs for _, attrs in read.tags)


def test_tables_equal_their_csv_files(report: Path) -> None:
    read = Reader(report.read_text(encoding="utf-8"))
    for stem in ("main", "psnr"):
        with (report.parent / "tables" / f"{stem}.csv").open(encoding="utf-8", newline="") as handle:
            (_, *heads), *expected = csv.reader(handle)
        groups, titles, *rows = read.tables[f"table-{stem}"]
        assert [head.split()[-1] for head in heads] == titles
        assert groups == ["", "irregular", "freeform", "center"]
        shown, part = [], ""
        for row in rows:
            part = row[0][:-2] if len(row) == 1 else part
            shown += [[part, *row]] if len(row) > 1 else []
        assert shown == expected


def test_the_protocol_is_there_in_full(report: Path) -> None:
    def leaves(value: Any) -> Iterator[str]:
        if isinstance(value, dict | list):
            for entry in value.values() if isinstance(value, dict) else value:
                yield from leaves(entry)
        else:
            yield str(value)

    text = Reader(report.read_text(encoding="utf-8")).text
    assert [fact for fact in leaves(made_up.PROTOCOL) if fact not in text] == []


def test_marks_notes_and_arrows(tmp_path: Path) -> None:
    rows = made_up.rows(metrics=("psnr", "u-ids@embedded"), seeds=(0, 1))
    run = made_up.write_run(tmp_path, rows, pictures=0)
    text = write(run).read_text(encoding="utf-8")
    main = tables.main_table(run)
    for row in main.blocks[0].rows:
        for cell in row.cells:
            marked = {"best": f"<b>{cell.text}</b>", "second": f"<u>{cell.text}</u>", "": cell.text}[cell.mark]
            assert f"<td>{marked}<small>{cell.tail(False)}</small></td>" in text
    assert "PSNR ↑" in text
    assert "±: their standard deviation" in text
    assert 'id="images"' not in text


def test_names_stay_text(tmp_path: Path) -> None:
    rows = made_up.rows(HOSTILE, metrics=("psnr",), datasets=("<b>d",))
    run = made_up.write_run(tmp_path, rows, pictures=1)
    protocol = json.loads((run / "protocol.json").read_text())
    protocol["suite"]["title"] = protocol["missing"] = [*HOSTILE.values()]
    protocol[HOSTILE["a"]] = {HOSTILE["b"]: HOSTILE["c"]}
    (run / "protocol.json").write_text(json.dumps(protocol))
    text = write(run).read_text(encoding="utf-8")
    tags = Reader(text).tags
    assert [attrs for tag, attrs in tags if tag == "script"] == [{"type": "application/json", "id": "pictures"}, {}]
    assert not [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)]
    assert "49" not in Reader(text).tables["table-psnr"][-1][0]
    data = re.search(r'id="pictures">(.*?)</script>', text, re.S)
    assert data and "<" not in data[1]
    assert json.loads(data[1])["albums"][0]["dataset"] == "<b>d"


def test_the_policy_allows_this_script_alone(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    sheet = text.partition("<style>")[2].partition("</style>")[0]
    policy = next(str(a["content"]) for tag, a in Reader(text).tags if tag == "meta" and "http-equiv" in a)
    for part in (script, sheet):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")


def test_few_pictures_lie_inside_and_many_beside(tmp_path: Path) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(metrics=("psnr",), conditions=("center/25", "irregular/10-20")))
    (run / "samples" / "made-up faces" / "center_25" / "GRIG" / "000.png").unlink()
    found = results.load(run)
    made = pictures.albums(found, results.over_seeds(found.rows))
    assert [(album.dataset, album.condition) for album in made] == [
        ("made-up faces", "center 25%"),
        ("made-up faces", "irregular 10-20%"),
    ]
    folder = run / "report"
    inside = pictures.index(made, folder)
    assert inside["albums"][0]["variants"] == ["Original", "Input", *made_up.METHODS.values()]
    assert inside["albums"][0]["missing"] == [[], [], [], [], [], [0]]
    assert len(inside["uris"]) < 2 * 2 * 6 - 1  # the original is the same under both masks
    last = base64.b64decode(inside["uris"][inside["numbers"][0][5][0]])
    assert last == (run / "samples" / "made-up faces" / "center_25" / "GRIG" / "001.png").read_bytes()
    stale = folder / "images" / "old.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    beside = pictures.index(made, folder, embed=1000)
    assert "uris" not in beside
    assert not stale.exists()
    copied = folder / beside["folders"][0][5] / "001.png"
    assert copied.read_bytes() == last
    assert len([path for path in (folder / "images").rglob("*") if path.is_file()]) == 2 * 2 * 6 - 1
    assert pictures.index(made, folder, embed=1000) == beside
    pictures.index(made, folder)
    assert not (folder / "images").exists()


def column(tab: Any, table: str, number: int, body: int = 0) -> list[str]:
    """Visible texts of one column in one part of a table."""
    script = """([id, number, body]) => [...document.querySelector(id).tBodies[body].rows]
        .filter((row) => row.checkVisibility() && row.cells[number]?.checkVisibility())
        .map((row) => row.cells[number].innerText)"""
    return tab.evaluate(script, [table, number, body])


def test_sorting(report: Path, visit: Callable[..., Any]) -> None:
    tab = visit(report)
    methods = list(made_up.METHODS.values())
    head = tab.locator("#table-main .heads th").nth(2)
    assert column(tab, "#table-main", 0)[1:] == methods
    for order, reverse in (("ascending", False), ("descending", True)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        for body in range(4):
            values = [float(text) for text in column(tab, "#table-main", 2, body)]
            assert len(set(values)) == 4
            assert values == sorted(values, reverse=reverse)
            assert len(column(tab, "#table-main", 0, body)[0].split(":")) == 2  # the heading stays on top
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "none"
    assert column(tab, "#table-main", 0)[1:] == methods
    first = tab.locator("#table-main .heads th").first
    first.locator("button").click()
    assert column(tab, "#table-main", 0)[1:] == sorted(methods, key=str.lower)
    assert tab.locator("#table-main th[aria-sort=ascending]").count() == 1


def test_missing_values_sort_last(tmp_path: Path, visit: Callable[..., Any]) -> None:
    rows = made_up.rows(metrics=("psnr",), conditions=("center/25",))
    rows.loc[1, ["value", "note"]] = np.nan, "diverged"
    rows.loc[2, "value"] = np.inf
    tab = visit(write(made_up.write_run(tmp_path, rows, pictures=0)))
    for expected in (["Mean colour", "GRIG", "AOT-GAN", "Telea"], ["AOT-GAN", "GRIG", "Mean colour", "Telea"]):
        tab.locator("#table-main .heads th button").nth(1).click()
        assert column(tab, "#table-main", 0)[1:] == expected


def test_filters(report: Path, visit: Callable[..., Any]) -> None:
    tab = visit(report)
    tab.get_by_role("combobox", name="Method").first.fill("grig, telea")
    assert column(tab, "#table-main", 0)[1:] == ["Telea", "GRIG"]
    assert tab.locator("#found").inner_text() == "8 rows in the main table"
    tab.get_by_role("combobox", name="Data set").first.fill("others")
    tab.get_by_role("combobox", name="Metric").first.fill("l1")
    parts = tab.locator("#table-main .title:visible")
    assert [text.strip() for text in parts.all_inner_texts()] == ["others: L1 (hole) ↓"]
    tab.get_by_role("combobox", name="Condition").first.fill("irregular 20, center")
    assert tab.locator("#table-main .heads th:visible").all_inner_texts() == ["Method", "20-30%", "25%"]
    assert tab.locator("#table-main .groups th:visible").all_inner_texts() == ["irregular", "center"]
    assert len(column(tab, "#table-main", 2, 3)) == 2
    assert column(tab, "#table-main", 1, 3) == []
    tab.locator("#psnr > summary").click()
    tab.locator("#psnr p.none").first.wait_for()
    tab.get_by_role("combobox", name="Metric").first.fill("psnr")
    assert tab.locator("#psnr .title:visible").count() == 1
    tab.get_by_role("button", name="Clear").click()
    assert len(column(tab, "#table-main", 5)) == 4
    assert tab.locator("#table-main .title:visible").count() == 4


def test_images_slider_and_keys(report: Path, visit: Callable[..., Any]) -> None:
    tab = visit(report)

    def shown(side: str) -> bytes:
        return base64.b64decode(str(tab.locator(f"#{side}-image").get_attribute("src")).partition(",")[2])

    def picture(condition: str, folder: str, name: str, dataset: str = "made-up faces") -> bytes:
        return (report.parents[1] / "samples" / dataset / condition / folder / f"{name}.png").read_bytes()

    tab.locator("#images").scroll_into_view_if_needed()
    assert shown("left") == picture("irregular_10-20", "masked", "000")
    assert shown("right") == picture("irregular_10-20", "GRIG", "000")
    tab.keyboard.press("ArrowRight")
    assert shown("right") == picture("irregular_10-20", "GRIG", "001")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    assert shown("right") == picture("irregular_10-20", "GRIG", "002")
    assert tab.locator("#number").input_value() == "3"
    tab.keyboard.press("a")
    tab.keyboard.press("Shift+B")
    assert shown("left") == picture("irregular_10-20", "Mean colour", "002")
    assert shown("right") == picture("irregular_10-20", "AOT-GAN", "002")
    tab.keyboard.press("x")
    tab.keyboard.press("c")
    assert shown("left") == picture("irregular_20-30", "AOT-GAN", "002")
    tab.keyboard.press("Shift+C")
    tab.keyboard.press("Shift+C")
    tab.keyboard.press("d")
    assert tab.locator("#where").inner_text() == "002: others, center 25%"
    tab.get_by_label("Right", exact=True).select_option("Original")
    assert shown("right") == picture("center_25", "original", "002", "others")
    tab.locator(".tile").nth(1).click(modifiers=["Shift"])
    assert shown("left") == picture("center_25", "masked", "002", "others")

    clip = "getComputedStyle(document.querySelector('#right-image')).clipPath"
    box = tab.locator("#stage").bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
    tab.mouse.up()
    assert tab.evaluate(clip) == "inset(0px 0px 0px 25%)"
    tab.keyboard.press(".")
    assert tab.evaluate(clip) == "inset(0px 0px 0px 30%)"
    tab.locator("#split").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate(clip) == "inset(0px 0px 0px 31%)"
    assert tab.locator("#number").input_value() == "3"

    tab.keyboard.press("Tab")
    tab.keyboard.press("?")
    assert tab.get_by_role("dialog", name="Keys").is_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("/")
    tab.keyboard.type("xa?")
    assert tab.get_by_role("combobox", name="Method").first.input_value() == "xa?"
    assert shown("right") == picture("center_25", "original", "002", "others")


def test_texts_stand_below_the_pictures_that_they_guided(tmp_path: Path, visit: Callable[..., Any]) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(conditions=("irregular/10-20", "center/25+text")), pictures=2)
    (made,) = (run / "samples").glob("*/center_25+text")
    place = made.rename(made.with_name("center_25_text"))
    (place / "captions.json").write_text(json.dumps({"000.png": HOSTILE["c"], "001.png": "She smiles."}), "utf-8")
    reports.build(run)
    assert len(list((run / "report" / "figures").glob("grid-*.png"))) == 1
    tab = visit(run / "report" / "report.html")
    dataset = made.parent.name
    assert tab.locator("#where").inner_text() == f"000: {dataset}, irregular 10-20%"
    tab.locator("#condition").select_option(label="center + text 25%")
    assert tab.locator("#where").inner_text() == f"000: {dataset}, center + text 25%: “{HOSTILE['c']}”"
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#where").inner_text().endswith("“She smiles.”")
    assert tab.evaluate("window.hacked") is None
    (place / "captions.json").write_text('{"000.png": 3}', "utf-8")
    with pytest.raises(BenchError, match=r"captions\.json holds no captions: delete it and run the same command again"):
        reports.build(run)


def test_dark_and_light(report: Path, visit: Callable[..., Any]) -> None:
    lightness = """() => { const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
        canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data[0]; }"""
    tab = visit(report, color_scheme="dark")
    switch = tab.get_by_role("button", name="Dark")
    assert tab.evaluate(lightness) < 50
    assert switch.get_attribute("aria-pressed") == "true"
    switch.click()
    assert tab.evaluate(lightness) > 200
    tab.reload()
    assert tab.evaluate(lightness) > 200
    tab.keyboard.press("t")
    tab.emulate_media(media="print")
    assert tab.evaluate(lightness) > 200
    assert visit(report, color_scheme="light").evaluate(lightness) > 200


def test_drawings_lie_on_the_page_s_own_colour(report: Path, visit: Callable[..., Any]) -> None:
    for scheme in ("dark", "light"):
        tab = visit(report, color_scheme=scheme)
        drawing = tab.locator("img.drawn").first
        drawing.scroll_into_view_if_needed()
        drawing.evaluate("(image) => image.decode()")
        box = drawing.bounding_box()
        shown = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB")).astype(int)
        around = shown[int(box["y"] + box["height"] / 2), int(box["x"]) - 6]
        inside = shown[int(box["y"]) + 12 : int(box["y"]) + 200, int(box["x"]) + 12 : int(box["x"]) + 400]
        assert np.array_equal(inside[0, 0], around)
        assert abs(inside - around).max() > 120  # its lines can be seen


def test_narrow_screens_need_no_sideways_scrolling(report: Path, visit: Callable[..., Any]) -> None:
    tab = visit(report, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    tab.get_by_role("button", name="Open all").click()
    for details in tab.locator("details.more > summary").all():
        details.click()
    tab.get_by_role("button", name="Filter").tap()
    tab.get_by_role("combobox", name="Method").first.fill("grig")
    assert tab.get_by_role("button", name="Filter (1)").get_attribute("aria-expanded") == "true"
    assert tab.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_need_no_sideways_scrolling(tmp_path: Path, visit: Callable[..., Any], width: int) -> None:
    """A title, rows, data sets and remarks without spaces."""
    rows = made_up.rows({"telea": "W" * 100, "grig": "GRIG"}, ("center/25",), datasets=("d" * 60,))
    run = made_up.write_run(tmp_path / "run", rows, pictures=1)
    said = {"suite": {"suite": "s" * 80, "title": "T" * 300}, "missing": ["m" * 200]}
    (run / "protocol.json").write_text(json.dumps(made_up.PROTOCOL | said), encoding="utf-8")
    tab = visit(reports.build(run), viewport={"width": width, "height": 900})
    tab.get_by_role("button", name="Open all").click()
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_every_control_has_a_name_and_a_focus_ring(report: Path, visit: Callable[..., Any]) -> None:
    tab = visit(report, reduced_motion="reduce")
    unnamed = """() => [...document.querySelectorAll("button, input, select, img[src], dialog, [role=region]")]
        .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.labels?.length || e.textContent.trim()
            || e.alt !== undefined || e.hasAttribute("aria-labelledby"))).map((e) => e.outerHTML)"""
    assert tab.evaluate(unnamed) == []
    for _ in range(4):
        tab.keyboard.press("Tab")
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_hostile_names_do_nothing(tmp_path: Path, visit: Callable[..., Any]) -> None:
    rows = made_up.rows(HOSTILE, metrics=("psnr",), datasets=("<b>d",), conditions=("center/25", "</script>"))
    tab = visit(write(made_up.write_run(tmp_path, rows, pictures=1)))
    for key in "cbbbbaaaad":
        tab.keyboard.press(key)
    tab.get_by_role("combobox", name="Method").first.fill("<script>")
    assert tab.evaluate("window.hacked") is None
    assert column(tab, "#table-main", 0)[1:] == [HOSTILE["a"], HOSTILE["c"]]
    assert HOSTILE["a"] not in tab.locator("#right option").all_inner_texts()  # its name cannot be that of a folder
    assert HOSTILE["b"] in tab.locator("#right option").all_inner_texts()


def test_a_large_report_loads_what_is_looked_at(
    tmp_path: Path, visit: Callable[..., Any], chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = made_up.rows(
        HOSTILE | {"grig": "GRIG"}, conditions=("irregular/10-20", "center/25"), metrics=("psnr", "l1@hole")
    )
    path = reports.build(made_up.write_run(tmp_path, rows, pictures=1)).with_name("report.html")
    small = Reader(path.read_text(encoding="utf-8")).tables
    assert not (path.parent / "data").exists()
    monkeypatch.setattr(page, "ROWS", len(rows) - 1)
    reports.build(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert Reader(text).tables == {}
    assert 'src="data:' not in text
    assert 'src="figures/ratio-made-up-faces.svg"' in text
    assert '"uris"' not in text
    tab = visit(path)
    tab.locator("#table-main").wait_for()

    def asked() -> list[str]:
        return [Path(address).stem for address in tab.asked if "/data/" in address]

    assert asked() == ["main"]
    assert column(tab, "#table-main", 0)[1:] == [*HOSTILE.values(), "GRIG"]
    tab.locator("#table-main .heads button").first.click()
    assert column(tab, "#table-main", 0)[-1] == "GRIG"
    tab.get_by_role("combobox", name="Method").first.fill("grig")
    assert tab.locator("#found").inner_text() == "1 row in the main table"
    tab.locator("#psnr > summary").click()
    tab.locator("#table-psnr").wait_for()
    assert column(tab, "#table-psnr", 0)[1:] == ["GRIG"]  # filtered, although it came later
    assert asked() == ["main", "psnr"]
    tab.get_by_role("button", name="Clear").click()
    tab.locator("#psnr .more > summary").click()
    tab.locator("#table-psnr-intervals").wait_for()
    cells = "(table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    for stem in ("psnr", "psnr-intervals"):
        found = [text for row in tab.locator(f"#table-{stem}").evaluate(cells) for text in row]
        assert found == [text.strip() for row in small[f"table-{stem}"] for text in row]
    assert tab.locator(".drawing img").first.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    assert tab.locator("#left-image").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 64
    assert tab.evaluate("window.hacked") is None

    (path.parent / "data" / "main.js").unlink()
    alone = chromium.new_page()
    alone.goto(path.as_uri())
    alone.get_by_text("cannot be loaded: keep the folder “data” beside the page").wait_for()
    alone.close()


def test_thirty_methods_with_two_thousand_images(tmp_path: Path, visit: Callable[..., Any]) -> None:
    methods = {f"m{i}": f"Method {i}" for i in range(30)}
    run = made_up.write_run(tmp_path, made_up.rows(methods, ("center/25",), ("psnr",)), pictures=0)
    place = run / "samples" / "made-up faces" / "center_25"
    noise = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    for i, pixels in enumerate(noise):
        made_up._save(tmp_path / f"{i}.png", pixels)
    (place / "original").mkdir(parents=True)
    for i in range(2000):
        os.link(tmp_path / f"{i % 8}.png", place / "original" / f"{i:06}.png")
    for title in ("masked", *methods.values()):
        (place / title).symlink_to("original")
    path = write(run)
    assert path.stat().st_size < 2_000_000
    tab = visit(path)
    painted = """() => new Promise((tell) => new PerformanceObserver((list) => tell(list.getEntries()[0].startTime))
        .observe({type: "paint", buffered: true}))"""  # the browser may note it later than it loads the page
    assert tab.evaluate(painted) < 5000
    tab.locator("#images").scroll_into_view_if_needed()
    assert tab.locator(".tile").count() == 32
    assert tab.locator("img").count() < 60
    tab.locator("#number").fill("1500")
    tab.locator("#number").press("Enter")
    tab.locator("#left-image").evaluate("(image) => image.decode()")
    assert str(tab.locator("#left-image").get_attribute("src")).endswith("/input/001499.png")
    assert tab.locator("#left-image").evaluate("(image) => image.naturalWidth") == 16
    assert len(tab.asked) < 150
