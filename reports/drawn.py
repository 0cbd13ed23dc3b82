"""Which figures need not be drawn again: a hash of what each one shows, and those of its files, in `figures.json`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import PIL

from bench.errors import BenchError
from bench.store import digest, read_json
from reports import style

FILE = "figures.json"

Entry = dict[str, Any]  # shows: hash of what decides the figure; files: the hashes of its files by their suffix
Folders = dict[Path, str]  # hashes of what folders hold, which figures of one report share


def read(report: Path) -> dict[str, Entry]:
    """The figures of the last report in that folder, by their stem; none where the file is missing or damaged."""
    try:
        found = read_json(report / FILE)
        return {stem: {"shows": entry["shows"], "files": dict(entry["files"])} for stem, entry in found.items()}
    except (BenchError, OSError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def entry(shows: str, paths: list[Path]) -> Entry:
    """What is kept of a figure that has been written."""
    return {"shows": shows, "files": {path.suffix[1:]: digest(path.read_bytes()) for path in paths}}


def stands(before: Entry, shows: str, stem: Path) -> bool:
    """Whether a figure's files show the same already, as they were written."""
    paths = style.paths(stem)
    there = all(path.is_file() and not path.is_symlink() for path in paths)
    return there and before["shows"] == shows and before == entry(shows, paths)


def shown(make: partial[Any], folders: Folders) -> str:
    """Hash of a drawing: its function, its arguments, and the code and fonts that draw.

    Of a folder among the arguments the content counts.
    """
    function = f"{make.func.__module__}.{make.func.__qualname__}"
    return digest([_code(), style.families(), function, _told([*make.args, make.keywords], folders)])


def _told(value: Any, folders: Folders) -> Any:
    """An argument, JSON-like."""
    if isinstance(value, pd.DataFrame):
        return [list(value.columns), digest(pd.util.hash_pandas_object(value, index=False).to_numpy().tobytes())]
    if isinstance(value, Path):
        if value not in folders:
            folders[value] = digest(_content(value, "*"))
        return [value.name, folders[value]]
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, list | tuple):
        return [_told(part, folders) for part in value]
    return repr(value)


@cache
def _code() -> str:
    """Hash of this package's source and of the libraries that draw."""
    return digest([_content(Path(__file__).parent, "*.py"), matplotlib.__version__, PIL.__version__])


def _content(folder: Path, pattern: str) -> list[list[str]]:
    """The files below a folder and their hashes."""
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return [[path.relative_to(folder).as_posix(), digest(path.read_bytes())] for path in paths]
