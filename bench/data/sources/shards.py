"""Data sets in several files of one kind, as WebDataset and Hugging Face write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench import pictures
from bench.errors import BenchError

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
NUMBER = re.compile(r"[-_.]?\d+(-of-\d+(-[0-9a-f]{16})?)?$")
"""The end of a shard's name: `ffhq-000012`, `train-00000-of-00004`, older `train-00000-of-00004-b6c9e0fd8ebc2ad0`."""
DEPTH = 2  # levels of sub-folders: Hugging Face has default/train/0000.parquet


def is_sharded(place: Path, suffix: str, depth: int = DEPTH) -> bool:
    """Whether a place is a file with this suffix, NAME-{000..123}.tar, or a folder of such files without pictures.

    All of its sub-folders, on `depth` levels, are such folders.
    """
    if not place.is_dir():
        return place.suffix.lower() == suffix and (place.is_file() or bool(RANGE.search(place.name)))
    found = False
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                own = Path(entry.name).suffix.lower()
                if entry.is_dir():
                    if depth == 0 or not is_sharded(Path(entry.path), suffix, depth - 1):
                        return False
                    found = True
                elif own in pictures.SUFFIXES:
                    return False
                found = found or own == suffix
    except OSError:  # who reads the folder says it
        return False
    return found


def shards(place: Path, suffix: str) -> dict[Path, str]:
    """The files, sorted, and what stands before the names of their pictures.

    That is nothing, or where shards of several parts lie in one folder (`train-00000-of-00004`, `test-...`), a folder
    of that name, so that the makers' split is kept; so is one of several sub-folders. Raises BenchError where one of a
    range is missing.
    """
    folders: list[Path] = []
    if place.is_dir():
        entries = [path for path in sorted(place.iterdir()) if path.name[0] != "."]
        folders = [path for path in entries if path.is_dir()]
        paths = [path for path in entries if path.suffix.lower() == suffix and path not in folders]
    elif not place.exists() and (ends := RANGE.search(place.name)):
        numbers = range(int(ends[1]), int(ends[2]) + 1)
        paths = [place.with_name(RANGE.sub(f"{i:0{len(ends[1])}d}", place.name, count=1)) for i in numbers]
    else:
        paths = [place]
    if missing := [path for path in paths if not path.is_file()]:
        raise BenchError(f"{missing[0]} does not exist: name the shards that are there, {place} has {len(paths):,}")
    parts = {path: NUMBER.sub("", path.stem) for path in paths}
    found = {path: f"{part}/" if part and len(set(parts.values())) > 1 else "" for path, part in parts.items()}
    several = len(folders) + bool(paths) > 1
    for folder in folders:
        found |= {path: several * f"{folder.name}/" + before for path, before in shards(folder, suffix).items()}
    return found
