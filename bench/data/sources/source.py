"""What all kinds of places that hold pictures have in common: names, and the bytes of each."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Self, TypeVar

from bench import pictures
from bench.data import folder as files
from bench.errors import BenchError

T = TypeVar("T")
LARGE = f"has more than {pictures.MAX_BYTES >> 20:,} MiB"
BEGINNINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}
"""How pictures begin, and the suffix of one that is stored without a name."""
TOOL = re.compile(r"(?:.*/)?\d{5}/img\d{8}\.\w+")
"""What StyleGAN2-ADA's dataset_tool.py calls the pictures, in the order of their sorted paths."""


class Source(ABC):
    """Pictures in one place, read where they lie, by several threads at once. Nothing is unpacked to disk.

    An archive is made of its place, the pictures' size where one is wanted, and whether label maps are meant. Raises
    BenchError, naming the place, where it is damaged, of another layout, or holds no pictures.
    """

    place: Path
    """What stands before the names in messages; hashes are remembered for it."""
    names: list[str]
    """The image ids, sorted: relative POSIX paths."""

    @property
    def named(self) -> bool:
        """Whether the names are the makers' own: no numbers that were given to sorted paths (0, 1, 10, 100, ...)."""
        return not all(map(TOOL.fullmatch, self.names))

    @abstractmethod
    def file(self, name: str) -> Path:
        """The file that holds a picture: while its size and time stamps stay, so does the picture."""

    @abstractmethod
    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        """The bytes of one picture; BenchError where they cannot be read, or are more than `most`."""

    def close(self) -> None:  # noqa: B027
        """Let go of open files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def damaged(path: Path, kind: str, error: Exception) -> BenchError:
    """What is said of a file that the reader of its kind cannot read."""
    return BenchError(f"{path} is no {kind}, or damaged ({error}): copy or make it again")


def chosen(place: Path, members: Iterable[tuple[str, T]], labels: bool) -> dict[str, T]:
    """The pictures among the members of an archive, by the rules for a folder: id -> what the caller keeps of it.

    Raises BenchError for names that lead out of the archive, or stand there twice.
    """
    found: dict[str, T] = {}
    left_out: Counter[str] = Counter()
    for stored, member in members:
        path, elsewhere = PurePosixPath(stored), PureWindowsPath(stored)  # the latter knows both kinds of slashes
        if elsewhere.drive or elsewhere.root or ".." in elsewhere.parts:
            raise BenchError(f"{place} holds {stored!r}, a name that leads out of it: make it anew with relative names")
        if any(part.startswith(".") for part in path.parts):  # also what macOS adds to a zip: __MACOSX/._NAME
            continue
        suffix = path.suffix.lower()
        if annotated := None if labels else _annotated(path):
            left_out[annotated] += 1
        elif suffix in pictures.SUFFIXES:
            if str(path) in found:
                raise BenchError(f"{place} holds two pictures {str(path)!r}: rename or remove one of them")
            found[str(path)] = member
        elif suffix not in pictures.COMPANIONS:
            left_out[f"files {suffix or 'without a suffix'} (not read)"] += 1
    return {name: found[name] for name in files.settled(place, found, left_out)}


def _annotated(path: PurePosixPath) -> str | None:
    """The first folder on the way to a member that holds no photographs by its name, and what it holds."""
    for folder in reversed(path.parents[:-1]):
        for word in files.words(folder.name):
            if word in files.NO_PICTURES:
                return f"{folder}/ ({files.NO_PICTURES[word]}, by its name)"
    return None


def numbered(number: int, data: bytes) -> str:
    """The id of a picture that has only a number, as file names have it: `00042.jpg`."""
    suffix = next((suffix for start, suffix in BEGINNINGS.items() if data.startswith(start)), ".png")
    return f"{number:05d}{suffix}"
