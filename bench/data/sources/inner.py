"""One folder of an archive, as if it were all: FACES.zip/train."""

from __future__ import annotations

from pathlib import Path

from bench import pictures
from bench.data.folder import NothingFound
from bench.data.sources.source import Source


class Inner(Source):
    """The pictures below one folder of an archive, without its name."""

    def __init__(self, archive: Source, place: Path, folder: Path) -> None:
        self.place, self._archive = place, archive
        self._above = f"{folder.as_posix()}/"
        self.names = [name.removeprefix(self._above) for name in archive.names if name.startswith(self._above)]
        if not self.names:
            archive.close()
            raise NothingFound(
                f"{archive.place} has no images in {self._above}, such as {archive.names[0]}: name another"
            )

    @property
    def named(self) -> bool:
        return self._archive.named

    def file(self, name: str) -> Path:
        return self._archive.file(self._above + name)

    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        return self._archive.read(self._above + name, most)

    def close(self) -> None:
        self._archive.close()
