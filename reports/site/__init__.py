"""Static pages of runs and packs: leaderboards, a page a method, two methods beside each other, downloads.

The site opens from disk and lies on any static host. Pages ask for nothing but its own files: tables lie in scripts
in `data/`, which a page loads when they are looked at, since browsers load scripts, and no other data, from a disk.

    gather.py    sources of rows -> boards, whose columns mean the same
    boards.py    leaderboards: a table for each board and metric
    pairs.py     every method against every other, image by image
    albums.py    the pictures of all sources
    methods.py   the page of a method
    studies.py   user studies
    downloads.py results.csv and the packs
    pages.py     the frame of all pages
    folder.py    the folder, written aside
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports import results, study
from reports.page.pictures import index
from reports.site import albums, boards, downloads, folder, methods, pairs, studies
from reports.site.gather import Source, gather
from reports.site.pages import Pages

__all__ = ["site"]


def site(
    place: str | Path,
    sources: Sequence[Mapping[str, Any]],
    cards: Mapping[str, Mapping[str, Any]],
    pictures: bool = False,
    title: str = "Face inpainting",
) -> Path:
    """Write the site into a folder, in the place of an earlier one; returns its first page.

    `sources`: the fields of `gather.Source`; `cards`: those of a method's card, by its slug; `pictures`: show the
    pictures in the folders of sources, those of runs with originals. Raises BenchError for what is no site, and as
    `results.load`.
    """
    given = [Source(**source) for source in sources]
    found = [results.load(source.folder) for source in given]
    made = gather(given, found)
    with folder.replaced(Path(place)) as part:
        judged = [(source, one) for source in given for one in study.of_run(source.folder)]
        pages = Pages(part, title, studies=bool(judged))
        shown = albums.gather(made, found) if pictures else []
        browsed = index(shown, part, 0) if shown else {"albums": [], "folders": []}
        entrants = methods.entrants(made)
        tables = {board.slug: boards.tables(board) for board in made}
        boards.write(pages, made, tables, entrants, given, cards)
        pairs.write(pages, made, given, browsed)
        methods.write(pages, made, tables, entrants, given, cards, browsed)
        studies.write(pages, judged)
        downloads.write(pages, made, given)
    return Path(place) / "index.html"
