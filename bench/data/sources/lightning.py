"""LMDB as rosinality's prepare_data.py writes it: key 256-00000, value a JPEG file; key length, their number."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench import pictures
from bench.data.sources.shards import is_sharded
from bench.data.sources.source import LARGE, Source, chosen, damaged, numbered
from bench.errors import BenchError
from bench.progress import say

DATA = "data.mdb"
KEY = re.compile(rb"(\d+)-(\d{5,})")
LENGTH = b"length"
KIND = "LMDB"


class Lmdb(Source):
    """The pictures of one resolution. Their names are lost: ids are numbers, `00042.jpg`.

    `place` is the folder, or FOLDER/512 for the pictures of 512 pixels; else those nearest at or above `size` are taken
    (without one, or where all are smaller, the largest), aloud where there is a choice.
    """

    named = False

    def __init__(self, place: Path, size: int | None = None, labels: bool = False) -> None:
        asked = None if (place / DATA).exists() else int(place.name)
        folder = place if asked is None else place.parent
        self._path = folder / DATA
        self._environment = _opened(self._path)
        try:
            found = self._keys(folder)
            if asked is not None and asked not in found:
                raise BenchError(f"{folder} has no pictures of {asked} pixels: choose {_listed(found)}")
            side = asked or min((side for side in found if side >= (size or max(found))), default=max(found))
            if asked is None and len(found) > 1:
                say(f"{folder} has pictures of {_listed(found)} pixels: those of {side} are read, or of {folder}/SIZE")
            self.place = folder / str(side)
            with self._environment.begin() as reader:
                first = bytes(reader.get(found[side][0][1]))
            named = ((numbered(number, first), key) for number, key in found[side])
            self._members = chosen(self.place, named, labels)
        except BaseException:
            self.close()
            raise
        self.names = list(self._members)

    @staticmethod
    def takes(place: Path) -> bool:
        folder = place.parent if place.name.isdecimal() and not place.exists() else place
        return (folder / DATA).is_file() and is_sharded(folder, ".mdb", 0)  # beside pictures, these are meant

    def file(self, name: str) -> Path:
        return self._path

    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        with self._environment.begin(buffers=True) as reader:  # a transaction of its own for each thread
            data = reader.get(self._members[name])
            if len(data) > most:
                raise BenchError(f"{self.place / name} {LARGE}: remove it")
            return bytes(data)

    def close(self) -> None:
        self._environment.close()

    def _keys(self, folder: Path) -> dict[int, list[tuple[int, bytes]]]:
        """Resolution -> the pictures' numbers and keys; BenchError for another layout, or fewer than it says."""
        found: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        with self._environment.begin() as reader:
            said = reader.get(LENGTH)
            for key in reader.cursor().iternext(values=False):
                if match := KEY.fullmatch(key):
                    found[int(match[1])].append((int(match[2]), key))
                elif key != LENGTH:
                    raise BenchError(
                        f"{folder} has another layout than rosinality's prepare_data.py gives (256-00000), such as the "
                        f"key {key[:40]!r}: write its pictures out as files"
                    )
        if not found:
            raise BenchError(f"{folder} holds no pictures: make it again")
        for side, numbers in found.items():
            if said != str(len(numbers)).encode():
                says = said.decode(errors="replace") if said else "nothing"
                raise BenchError(
                    f"{folder} holds {len(numbers):,} pictures of {side} pixels, and its key `length` says {says}: "
                    "prepare_data.py did not end there; make it again"
                )
        return dict(sorted(found.items()))


def _listed(found: dict[int, Any]) -> str:
    return ", ".join(map(str, found))


def _opened(path: Path) -> Any:
    """The environment of a data file; BenchError where it is damaged: reading on could end the process."""
    try:
        import lmdb
    except ImportError as error:
        raise BenchError(f"{path.parent} is an LMDB: pip install 'face-inpaint-bench[lmdb]'") from error
    try:
        environment = lmdb.open(str(path.parent), readonly=True, lock=False, create=False)
    except (lmdb.Error, OSError) as error:
        raise damaged(path, KIND, error) from error
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if (size := path.stat().st_size) < needed:
        environment.close()
        raise damaged(path, KIND, EOFError(f"{size:,} of {needed:,} bytes"))
    return environment
