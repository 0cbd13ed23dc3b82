"""Scores beside the pictures that a run kept: a figure of each method's worst and best, and the browser's order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import reports
from bench.store import image_file
from reports import results, scored, sheet
from tests.reports import made_up

WHAT = {"methods": {"aot": "AOT-GAN", "grig": "GRIG"}, "conditions": ("center/25", "irregular/10-20")}
METRICS = ("perceptual@embedded", "psnr", "fid@embedded")
FIRST = {"000": 30.0, "001": 10.0, "002": np.inf, "003": 20.0}  # PSNR of GRIG under center/25


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that kept 4 of 40 pictures, with a report; a score that nobody knows, and an infinite one."""
    rows = made_up.rows(**WHAT, metrics=METRICS)
    run = made_up.write_run(tmp_path_factory.mktemp("run"), rows, pictures=4)
    table = pd.read_parquet(run / "per_image.parquet")
    here = (table["metric"] == "psnr") & (table["condition"] == "center/25") & (table["method"] == "grig")
    for name, value in FIRST.items():
        table.loc[here & (table["id"] == name), "value"] = value
    table.loc[(table["method"] == "aot") & (table["id"] == "001"), "value"] = np.nan
    earlier = table.assign(seed=0, value=-1.0)  # of an earlier seed, whose pictures did not stay
    pd.concat([earlier, table.assign(seed=1)]).to_parquet(run / "per_image.parquet", index=False)
    reports.build(run)
    return run


def test_the_scores_are_those_of_the_pictures_that_stayed(run: Path) -> None:
    rows = scored.kept(results.load(run))
    assert rows is not None
    assert set(rows["metric"]) == {"perceptual@embedded", "psnr"}  # an FID is that of no single image
    assert set(rows["file"]) == {f"00{i}.png" for i in range(4)} and not (rows["value"] == -1).any()
    texts = scored.texts(rows, "made-up faces", "center/25")
    assert texts["psnr", "GRIG"] == {"000.png": "30.00", "001.png": "10.00", "002.png": "∞", "003.png": "20.00"}
    assert "001.png" not in texts["psnr", "AOT-GAN"]
    assert scored.kept(results.load(made_up.write_run(run.parent / "none", made_up.rows(**WHAT), pictures=0))) is None


def test_pictures_are_found_by_the_names_of_their_files(tmp_path: Path) -> None:
    rows = made_up.rows(**WHAT, metrics=("psnr",))
    run = made_up.write_run(tmp_path, rows, pictures=2)
    table = pd.read_parquet(run / "per_image.parquet")
    table["id"] = "some/folder/" + table["id"] + ".jpg"
    table.to_parquet(run / "per_image.parquet", index=False)
    for path in (run / "samples").rglob("*.png"):
        path.rename(path.with_name(image_file(f"some/folder/{path.stem}.jpg")))
    found = scored.kept(results.load(run))
    assert found is not None and len(found) == 2 * 2 * 2


def test_the_figure_shows_the_worst_first_and_the_best_last(run: Path) -> None:
    path = run / "report/figures/extremes-made-up-faces.png"
    assert "worst and the best Perceptual distance (embedded)" in (run / "report/report.md").read_text("utf-8")
    rows = scored.kept(results.load(run))
    assert rows is not None
    grig = rows[(rows["metric"] == "perceptual@embedded") & (rows["title"] == "GRIG")].sort_values("value")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    tile, margin, gap = 192, round(sheet.MARGIN * 192), round(sheet.GAP * 192)
    top = margin + tile + gap  # the second row: GRIG
    for column, row in ((0, grig.iloc[-1]), (5, grig.iloc[0])):
        place = run / "samples/made-up faces" / row.condition.replace("/", "_") / "GRIG" / row.file
        left = margin + column * (tile + gap)
        found = pixels[top : top + tile // 2 : 3, left : left + tile : 3]  # the lower half has the text
        assert np.array_equal(found, np.asarray(Image.open(place))[:32])


def test_the_page_holds_the_scores(run: Path) -> None:
    text = (run / "report/report.html").read_text(encoding="utf-8")
    album = json.loads(re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)[1])["albums"]  # type: ignore[index]
    center = next(found for found in album if found["condition"].startswith("center"))
    assert [(score["title"], score["higher"]) for score in center["scores"]] == [
        ("Perceptual distance (embedded)", False), ("PSNR", True),
    ]  # fmt: skip
    of = dict(zip(center["variants"], center["scores"][1]["of"], strict=True))
    assert of["GRIG"] == ["30.00", "10.00", "∞", "20.00"] and of["Original"] == [""] * 4 and of["AOT-GAN"][1] == ""


def test_the_browser_shows_scores_and_sorts_by_them(run: Path, visit: Callable[..., Any]) -> None:
    tab = visit(run / "report/report.html")

    def names() -> list[str]:
        """The images in their order, by paging through them."""
        found = []
        for _ in range(4):
            found.append(tab.locator("#where").inner_text().partition(":")[0])
            tab.keyboard.press("ArrowRight")
        return found

    assert names() == ["000", "001", "002", "003"]
    tab.get_by_label("Score").select_option("PSNR ↑")
    tab.locator("#condition").select_option(label="center 25%")
    assert tab.locator("#score option:checked").inner_text() == "PSNR ↑"
    assert tab.locator("#right-tag").inner_text() == "GRIG: 30.00" and tab.locator("#left-tag").inner_text() == "Input"
    assert "GRIG: 30.00" in tab.locator(".tile span").all_inner_texts()
    tab.get_by_label("Order").select_option("worst first")
    assert names() == ["001", "003", "000", "002"]
    assert tab.locator("#number").input_value() == "1"
    tab.get_by_label("Order").select_option("best first")
    assert names() == ["002", "000", "003", "001"]
    tab.get_by_label("Right", exact=True).select_option("AOT-GAN")
    tab.get_by_label("Order").select_option("worst first")
    assert names()[-1] == "001"  # nobody knows its score
    tab.locator("#number").focus()
    tab.keyboard.press("Escape")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("Shift+O")
    assert names() == ["000", "001", "002", "003"]
    tab.keyboard.press("s")
    assert tab.locator("#score option:checked").inner_text() == "Perceptual distance (embedded) ↓"


def test_without_scores_the_browser_offers_none(tmp_path: Path, visit: Callable[..., Any]) -> None:
    run = made_up.write_run(tmp_path, made_up.rows(**WHAT, metrics=("fid@embedded",)), pictures=2)
    reports.build(run)
    assert not list((run / "report/figures").glob("extremes-*"))
    tab = visit(run / "report/report.html")
    assert not tab.get_by_label("Score").is_visible() and tab.locator("#right-tag").inner_text() == "GRIG"
