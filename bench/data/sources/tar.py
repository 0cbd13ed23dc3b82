"""Tar archives of pictures, also WebDataset's: one, or several shards."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import pictures
from bench.data.sources.shards import is_sharded, shards
from bench.data.sources.source import LARGE, Source, chosen, damaged
from bench.errors import BenchError

KIND = "tar archive without compression"


@dataclass(frozen=True, slots=True)
class _Member:
    path: Path
    offset: int
    size: int
    plain: bool
    """Its bytes lie in the archive in one piece: it is no link, no device, and has no holes."""


class Tar(Source):
    """Tar archives. Ids are whole names: WebDataset's grouping by the first dot would make `a.0.png` and `a.1.png` one.

    The headers are read once, one after another; then each picture is read by its place in the file.
    """

    def __init__(self, place: Path, size: int | None = None, labels: bool = False) -> None:
        self.place = place
        found = ((prefix + name, one) for path, prefix in shards(place, ".tar").items() for name, one in _members(path))
        self._members = chosen(place, found, labels)
        for name, member in self._members.items():
            if not member.plain:
                raise BenchError(
                    f"{place / name} is a link or no plain file: make the archive anew with the pictures themselves "
                    "(tar --dereference --hard-dereference)"
                )
        self.names = list(self._members)
        self._files = {path: os.open(path, os.O_RDONLY) for path in {one.path for one in self._members.values()}}

    @staticmethod
    def takes(place: Path) -> bool:
        return is_sharded(place, ".tar")

    def file(self, name: str) -> Path:
        return self._members[name].path

    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        member = self._members[name]
        if member.size > most:
            raise BenchError(f"{self.place / name} {LARGE}: remove it")
        return os.pread(self._files[member.path], member.size, member.offset)  # moves no position that threads share

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])


def _members(path: Path) -> Iterator[tuple[str, _Member]]:
    """All members of one archive but folders, with their names."""
    end = 0
    try:
        with tarfile.open(path, "r:") as archive:
            for one in archive:
                if not one.isdir():
                    yield one.name, _Member(path, one.offset_data, one.size, one.isreg() and not one.issparse())
                end = archive.offset
        with path.open("rb") as handle:  # `tarfile` takes a damaged header for the end, without a word
            handle.seek(end)
            if handle.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise EOFError(f"the header at byte {end:,} is damaged or missing")
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise damaged(path, KIND, error) from error
