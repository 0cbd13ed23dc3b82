"""Data sets in several files of one kind, as WebDataset and Hugging Face write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench import pictures
from bench.errors import BenchError

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
NUMBER = re.compile(r"[-_.]?\d+(-of-\d+)?$")
"""The end of a shard's name: `ffhq-000012`, `train-00000-of-00004`."""


def is_sharded(place: Path, suffix: str) -> bool:
    """Whether a place is a file with this suffix, NAME-{000..123}.tar, or a folder of such files without pictures."""
    if not place.is_dir():
        return place.suffix.lower() == suffix and (place.is_file() or bool(RANGE.search(place.name)))
    found = False
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                own = Path(entry.name).suffix.lower()
                if own in pictures.SUFFIXES or entry.is_dir():
                    return False
                found = found or own == suffix
    except OSError:  # who reads the folder says it
        return False
    return found


def shards(place: Path, suffix: str) -> dict[Path, str]:
    """The files, sorted, and what stands before the names of their pictures.

    That is nothing, or where shards of several parts lie in one folder (`train-00000-of-00004`, `test-...`), a folder
    of that name, so that the makers' split is kept. Raises BenchError where one of a range is missing.
    """
    if place.is_dir():
        paths = [path for path in sorted(place.iterdir()) if path.suffix.lower() == suffix and path.name[0] != "."]
    elif not place.exists() and (ends := RANGE.search(place.name)):
        numbers = range(int(ends[1]), int(ends[2]) + 1)
        paths = [place.with_name(RANGE.sub(f"{i:0{len(ends[1])}d}", place.name, count=1)) for i in numbers]
    else:
        paths = [place]
    if missing := [path for path in paths if not path.is_file()]:
        raise BenchError(f"{missing[0]} does not exist: name the shards that are there, {place} has {len(paths):,}")
    parts = {path: NUMBER.sub("", path.stem) for path in paths}
    return {path: f"{part}/" if part and len(set(parts.values())) > 1 else "" for path, part in parts.items()}
