"""The frame of every page of a site: head, navigation, style and scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reports import html, page
from reports.site.gather import Source

PLACES = {
    "index.html": "Leaderboards",
    "compare.html": "Compare",
    "studies.html": "Studies",
    "downloads.html": "Downloads",
}


def black(sources: Sequence[Source]) -> str:
    """What to say of pictures of these sources."""
    packed = any(source.pack for source in sources)
    return "Packs hold no originals: in their pictures all that was known is black." if packed else ""


def drawing(caption: str, address: str) -> Markup:
    """A figure of a page."""
    return Markup(html.template(__package__, "drawing.html").render(caption=caption, address=address))


@dataclass(frozen=True)
class Pages:
    """Writes pages into a folder."""

    folder: Path
    title: str
    studies: bool = False
    """Whether there is a page of them."""

    def write(self, name: str, heading: str, template: str, data: Any = None, **facts: Any) -> Path:
        """Write a page: its template with these facts, and `data` for its script."""
        script = html.text(page.__name__, *page.BASE) + html.text(__package__, "site.js")
        sheet = html.text(page.__name__, "page.css") + html.text(__package__, "site.css")
        body = html.template(__package__, template).render(title=self.title, heading=heading, **facts)
        names = dict.fromkeys([heading, self.title, "face-inpaint-bench"])
        text = html.template(__package__, "frame.html").render(
            title=self.title,
            heading=heading,
            here=name,
            places={place: said for place, said in PLACES.items() if self.studies or place != "studies.html"},
            body=Markup(body),
            data=data,
            script=script,
            head=html.head(" · ".join(names), script, sheet, "data: file: 'self'", page.LOADED),
        )
        return self.file(name, html.clean(text))

    def data(self, stem: str, content: Any) -> None:
        """Write what a page loads when it is looked at: a script that hands it over."""
        text = json.dumps([stem, content], ensure_ascii=False, separators=(",", ":"))
        self.file(f"{page.DATA}/{stem}.js", f"arrived({text});\n")

    def file(self, name: str, text: str) -> Path:
        """Write a file of the site."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return path
