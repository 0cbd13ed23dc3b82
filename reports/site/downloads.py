"""What a site offers to take away: all result rows, and the packs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reports import markup
from reports.site.gather import Board, Source
from reports.site.pages import Pages

FOLDER = "downloads"


def write(pages: Pages, boards: Sequence[Board], sources: Sequence[Source]) -> None:
    """Write results.csv and the page, and put the packs beside it."""
    rows = pd.concat(
        [
            board.found.rows.drop(columns="label").assign(
                board=board.title, source=[sources[number].name for number in board.came_from]
            )
            for board in boards
        ],
        ignore_index=True,
    )
    results = pages.file("results.csv", rows.to_csv(index=False, lineterminator="\n"))
    listed: list[dict[str, Any]] = []
    stems = markup.slugs([source.name for source in sources])
    for source in sources:
        offered = {}
        if source.pack:
            target = pages.folder / FOLDER / f"{stems[source.name]}.pack.zip"
            _put(source.pack, target)
            offered = {"address": f"{FOLDER}/{target.name}", "size": _size(target)}
        listed.append({"source": source, **{"address": "", "size": ""}, **offered})
    pages.write(
        "downloads.html",
        "Downloads",
        "downloads.html",
        sources=listed,
        rows=len(rows),
        size=_size(results),
    )


def _put(source: Path, target: Path) -> None:
    """A second name for the file where the file system can, else a copy."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise  # a copy would be written into the file of another source
    except OSError:
        shutil.copyfile(source, target)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.2f} MB"
