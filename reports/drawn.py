"""Which figures need not be drawn again: a hash of what each one shows, and those of its files, in `figures.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import PIL

from bench.errors import BenchError
from bench.store import read_json
from reports import style

FILE = "figures.json"

Entry = dict[str, Any]  # shows: hash of what decides the figure; files: their names and hashes


def read(report: Path) -> dict[str, Entry]:
    """The figures of the last report in that folder, by their stem; none where the file is missing or damaged."""
    try:
        found = read_json(report / FILE)
        return {stem: {"shows": entry["shows"], "files": dict(entry["files"])} for stem, entry in found.items()}
    except (BenchError, OSError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def entry(shows: str, paths: list[Path]) -> Entry:
    """What is kept of a figure that has been written."""
    return {"shows": shows, "files": {path.name: _digest(path) for path in paths}}


def stands(before: Entry, shows: str, folder: Path) -> bool:
    """Whether a figure's files in `folder` show the same already, as they were written."""
    if before["shows"] != shows:
        return False
    files = {folder / name: digest for name, digest in before["files"].items()}
    return all(path.is_file() and not path.is_symlink() and _digest(path) == known for path, known in files.items())


def shown(make: partial[Any]) -> str:
    """Hash of a drawing: its function, its arguments, and the code and fonts that draw.

    Of a folder among the arguments the content counts.
    """
    code = hashlib.sha256(f"{_code()} {style.families()} {make.func.__module__}.{make.func.__qualname__}".encode())
    _add(code, [*make.args, make.keywords])
    return code.hexdigest()


def _add(code: Any, value: Any) -> None:
    if isinstance(value, pd.DataFrame):
        code.update(repr(list(value.columns)).encode())
        code.update(pd.util.hash_pandas_object(value, index=False).to_numpy().tobytes())
    elif isinstance(value, Path):
        code.update(value.name.encode())
        for path in sorted(path for path in value.rglob("*") if path.is_file()):
            code.update(f"{path.relative_to(value)} {_digest(path)}".encode())
    elif isinstance(value, Mapping):
        _add(code, list(value.items()))
    elif isinstance(value, list | tuple):
        code.update(f"{len(value)} parts".encode())
        for part in value:
            _add(code, part)
    else:
        code.update(repr(value).encode())


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@cache
def _code() -> str:
    """Hash of this package's source and of the libraries that draw."""
    here = Path(__file__).parent
    sources = {str(path.relative_to(here)): _digest(path) for path in sorted(here.rglob("*.py"))}
    return hashlib.sha256(f"{sources} {matplotlib.__version__} {PIL.__version__}".encode()).hexdigest()
