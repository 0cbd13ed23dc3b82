"""Files in a folder and below it."""

from __future__ import annotations

from pathlib import Path

from bench import pictures
from bench.data.sources.source import Source


class Folder(Source):
    """The files with these names in a folder."""

    def __init__(self, place: Path, names: list[str]) -> None:
        self.place, self.names = place, names

    def file(self, name: str) -> Path:
        return self.place / name

    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        return pictures.read(self.place / name, most)
