"""Names that came from files are text in every output, whatever they hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from reports import build
from reports.results import TEXT
from tests.reports import made_up

ATTACK = "\"'><script>hacked()</script><img src=x onerror=hacked()>](javascript:hacked()) \\input{x} $|`\x1b[31m"
OURS = {"script", "style", "meta", "link", "img", "a", "input", "button"}


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def report(folder: Path, name: str) -> Path:
    """The report of a run in which every name is `name`."""
    rows = made_up.rows(conditions=("center/25",), metrics=("psnr",), methods={"mean": "Mean"})
    run = made_up.write_run(folder, rows, pictures=1, size=32)
    table = pd.read_parquet(run / "results.parquet")
    kept = ("condition", "dataset")  # they lead to the pictures
    table.assign(**{column: name for column in TEXT if column not in kept}).to_parquet(run / "results.parquet")
    for path in (run / "samples").rglob("000.png"):
        path.rename(path.with_name(name.replace("/", "") + ".png"))
    facts = {"suite": {"suite": name, "title": name, name: name}, "missing": [name], "stand_ins": [name], name: [name]}
    (run / "protocol.json").write_text(json.dumps(facts | {"hash": name}))
    return build(run).parent


def test_names_are_text_everywhere(tmp_path: Path) -> None:
    plain, attacked = report(tmp_path / "plain", "harmless"), report(tmp_path / "attacked", ATTACK)
    pages = []
    for folder in (plain, attacked):
        tags = Tags()
        tags.feed((folder / "report.html").read_text(encoding="utf-8"))
        pages.append(tags.found)
    counted = [pd.Series([tag for tag, _ in page]).value_counts().to_dict() for page in pages]
    assert {tag: counted[1].get(tag) for tag in OURS} == {tag: counted[0].get(tag) for tag in OURS}
    for tag, attributes in pages[1]:
        assert not [name for name in attributes if name.startswith("on")], tag
        for value in (attributes.get("href"), attributes.get("src")):
            assert value is None or re.match(r"data:image/|#|figures/|tables/|images/|report\.md|results\.csv", value)
    markdown = (attacked / "report.md").read_text(encoding="utf-8")
    assert not re.search(r"<script|<img|(?<!\\)\]\(javascript", markdown)
    for path in (attacked / "tables").glob("*.tex"):
        assert "\\input{x}" not in path.read_text(encoding="utf-8"), path
    for path in (attacked / "report.md", attacked / "report.html", *(attacked / "tables").iterdir()):
        assert "\x1b" not in path.read_text(encoding="utf-8"), path
