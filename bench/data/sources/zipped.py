"""A zip of pictures, such as StyleGAN2-ADA's dataset_tool.py writes: 00000/img00000000.png beside dataset.json."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from threading import Lock

from bench import pictures
from bench.data.sources.source import LARGE, Source, chosen, damaged
from bench.errors import BenchError

KIND = "zip archive"


class Zip(Source):
    """A zip archive; all members that are no pictures, also the labels in dataset.json, are passed over."""

    def __init__(self, place: Path, size: int | None = None, labels: bool = False) -> None:
        self.place = place
        try:
            self._archive = zipfile.ZipFile(place)
        except (OSError, zipfile.BadZipFile) as error:
            raise damaged(place, KIND, error) from error
        self._lock = Lock()  # all threads read by one handle
        every = ((one.filename.replace("\\", "/"), one) for one in self._archive.infolist())  # of Windows tools
        members = ((name, one) for name, one in every if not name.endswith("/"))
        try:
            self._members = chosen(place, members, labels)
            for name, member in self._members.items():
                if member.flag_bits & 1:
                    raise BenchError(f"{place / name} is encrypted: make the archive anew without a password")
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise BenchError(f"{place / name} is a link: make the archive anew with the pictures themselves")
        except BenchError:
            self.close()
            raise
        self.names = list(self._members)

    @staticmethod
    def takes(place: Path) -> bool:
        return place.suffix.lower() == ".zip" and place.is_file()

    def file(self, name: str) -> Path:
        return self.place

    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        member = self._members[name]
        if member.file_size > most:
            raise BenchError(f"{self.place / name} {LARGE}: remove it")
        try:
            with self._lock:
                return self._archive.read(member)  # no more than `file_size`, whatever is compressed there
        except Exception as error:  # damaged archives raise many kinds of errors
            raise BenchError(f"{self.place / name} is damaged ({error}): copy or make the archive again") from error

    def close(self) -> None:
        self._archive.close()
