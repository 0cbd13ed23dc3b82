"""Static pages of runs and packs: leaderboards, a page a method, two methods beside each other, downloads.

The site opens from disk and lies on any static host. Pages ask for nothing but its own files: tables lie in scripts
in `data/`, which a page loads when they are looked at, since browsers load scripts, and no other data, from a disk.

    gather.py    sources of rows -> boards, whose columns mean the same
    boards.py    leaderboards: a table for each board and metric
    pairs.py     every method against every other, image by image
    methods.py   the page of a method
    downloads.py results.csv and the packs
    pages.py     the frame of all pages
    folder.py    the folder, written aside
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports import results, scored
from reports.page import pictures as albums
from reports.site import boards, downloads, folder, methods, pairs
from reports.site.gather import Board, Source, gather
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
    samples of runs, which hold originals. Raises BenchError for what is no site, and as `results.load`.
    """
    given = [Source(**source) for source in sources]
    found = [results.load(source.folder) for source in given]
    made = gather(given, found)
    with folder.replaced(Path(place)) as part:
        pages = Pages(part, title)
        shown = _albums(made, found) if pictures else []
        index = albums.index(shown, part, 0) if shown else {"albums": [], "folders": []}
        entrants = methods.entrants(made)
        tables = {board.slug: boards.tables(board) for board in made}
        boards.write(pages, made, tables, entrants, given, cards)
        pairs.write(pages, made, index)
        methods.write(pages, made, tables, entrants, given, cards, index)
        downloads.write(pages, made, given)
    return Path(place) / "index.html"


def _albums(made: Sequence[Board], found: Sequence[results.Results]) -> list[albums.Album]:
    """The samples of all runs, under the names that their rows have here."""
    shown = []
    for board in made:
        for source in board.sources:
            names = {title: theirs for title, (number, theirs) in board.origin.items() if number == source}
            cells = board.cells[board.cells["title"].isin(names)]
            cells = cells.assign(title=cells["title"].map(names))
            run = replace(found[source], scores=scored.kept(found[source]))
            shown += albums.albums(run, cells) if len(cells) else []
    return shown
