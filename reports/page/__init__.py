"""The report as a web page that opens from disk and asks nothing of any network.

It is one HTML file up to `ROWS` results. With more, tables lie in scripts beside it, which the page loads when they are
looked at: browsers load scripts, and no other data, from a disk.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from bench.store import write_text
from reports import conditions, html
from reports.page import pictures
from reports.results import Results
from reports.table import Block, Table

__all__ = ["BASE", "DATA", "LOADED", "Blocks", "browser", "table_html", "write"]

ROWS = 20_000  # results of a page that is one file
DATA = "data"
BASE = ("base.js", "sort.js", "browser.js")  # scripts that other pages of this package share
LOADED = "'strict-dynamic'"  # what the page's own script loads, never one that stands in the page's text


def write(
    path: Path, found: Results, cells: pd.DataFrame, tables: dict[str, Table], figures: dict[str, list[str]]
) -> Path:
    """Write the page to `path` and return it.

    `cells` are `results.over_seeds` rows, `tables` all tables by the stem of their files, `figures` captions with
    their file names in `figures/` beside the page. Pictures lie inside the page, or in `images/` beside it where they
    are many (see `pictures.index`); tables of more than `ROWS` results in `data/`. The same input gives the same bytes.
    """
    report, whole = path.parent, len(found.rows) <= ROWS
    blocks = Blocks(cells["dataset"], cells["metric_title"])
    shutil.rmtree(report / DATA, ignore_errors=True)
    grids = {stem: _grid(report, stem, table, blocks, whole) for stem, table in tables.items()}
    suite = found.protocol.get("suite", "")
    facts = suite if isinstance(suite, dict) else {"suite": suite}
    script, sheet = html.text(__package__, *BASE, "page.js"), html.text(__package__, "page.css")
    index = pictures.index(pictures.albums(found, cells), report, pictures.EMBED if whole else 0)
    used = found.rows[found.rows["extractor"] != ""].drop_duplicates(["metric_title", "extractor"])
    name = str(facts.get("suite") or "Report")
    page = html.template(__package__, "page.html").render(
        name=name,
        title=str(facts.get("title") or ""),
        script=script,
        head=html.head(f"{name} · face-inpaint-bench", script, sheet, "data: file: 'self'", LOADED),
        grids=grids,
        protocol={key: fact for key, fact in found.protocol.items() if key not in ("missing", "stand_ins")},
        missing=found.protocol.get("missing") or [],
        stand_ins=found.protocol.get("stand_ins") or [],
        extractors=dict(zip(used["metric_title"], used["extractor"], strict=True)),
        counts={
            "methods": cells["label"].nunique(),
            "data sets": cells["dataset"].nunique(),
            "conditions": cells["condition"].nunique(),
            "metrics": cells["metric"].nunique(),
            "results": len(found.rows),
        },
        filters={
            "method": list(dict.fromkeys(cells["label"])),
            "dataset": list(dict.fromkeys(cells["dataset"])),
            "condition": [condition.title for condition in conditions.ordered(cells["condition"])],
            "metric": list(dict.fromkeys(cells["metric_title"])),
        },
        tables={stem: table for stem, table in tables.items() if not table.intervals},
        figures=[_figure(report / "figures", caption, names, whole) for caption, names in figures.items()],
        browser=browser(index),
    )
    return write_text(path, html.clean(page))


def browser(index: dict[str, Any], hint: str = "") -> Markup:
    """The image browser of a page, with what `pictures.index` tells; nothing where there are no pictures.

    `hint`: what to know of them.
    """
    shown = index["albums"] and html.template(__package__, "browser.html").render(pictures=index, hint=hint)
    return Markup(shown or "")


class Blocks:
    """Finds the data set and the metric that a block of a table is about, for the filters."""

    def __init__(self, datasets: Iterable[str], metrics: Iterable[str]) -> None:
        self._datasets = sorted(set(datasets), key=len, reverse=True)
        self._metrics = sorted(set(metrics), key=len, reverse=True)

    def dataset(self, block: Block) -> str:
        """The longest name that the title begins with; "" for a block of no data set."""
        return next((name for name in self._datasets if block.title.startswith(name)), "")

    def metric(self, block: Block) -> str:
        """The longest metric that follows the colon; "" for a block of no metric."""
        return next((title for title in self._metrics if f": {title}" in block.title), "")


def table_html(
    stem: str, table: Table, block: Blocks, links: Mapping[str, str] | None = None, files: bool = True
) -> str:
    """A table with its notes; `links`: addresses of pages about rows, by the titles of these; `files`: link its own."""
    shown = html.template(__package__, "table.html")
    return html.clean(shown.render(stem=stem, table=table, block=block, links=links or {}, files=files))


def _grid(report: Path, stem: str, table: Table, blocks: Blocks, whole: bool) -> Markup:
    """A table for the page; if that is not whole, the table's place, and the table in a script."""
    text = table_html(stem, table, blocks)
    if not whole:
        write_text(report / DATA / f"{stem}.js", f"arrived({json.dumps([stem, text], ensure_ascii=False)});\n")
        text = f'<p class="late" data-stem="{stem}">Loading …</p>'
    return Markup(text)


def _figure(folder: Path, caption: str, names: list[str], whole: bool) -> dict[str, Any]:
    """A figure for the page: its drawing where there is one, else its pixels; in a `whole` page as a data URI."""
    kinds = {Path(name).suffix[1:]: name for name in names}
    kind = "svg" if "svg" in kinds else "png"
    content = (folder / kinds[kind]).read_bytes()
    if kind == "svg" and b"<image " in content:  # pictures: their pixels are smaller, and are never inverted
        kind, content = "png", (folder / kinds["png"]).read_bytes()
    uri = f"{folder.name}/{quote(kinds[kind])}"
    if whole:
        media = "image/svg+xml" if kind == "svg" else "image/png"
        uri = f"data:{media};base64,{base64.b64encode(content).decode()}"
    return {"caption": caption, "drawn": kind == "svg", "uri": uri, "files": kinds, "inside": whole}
