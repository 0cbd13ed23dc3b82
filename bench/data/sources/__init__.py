"""Where the pictures of a data set lie: a folder, or an archive that is read in place. One file a format."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from bench.data import folder as files
from bench.data.sources.folder import Folder
from bench.data.sources.inner import Inner
from bench.data.sources.lightning import Lmdb
from bench.data.sources.parquet import Parquet
from bench.data.sources.shards import RANGE
from bench.data.sources.source import Source
from bench.data.sources.tar import Tar
from bench.data.sources.zipped import Zip
from bench.errors import BenchError
from bench.progress import say

ARCHIVES: tuple[type[Zip | Tar | Lmdb | Parquet], ...] = (Zip, Tar, Lmdb, Parquet)

KINDS = {Zip: "a zip file", Tar: "tar", Lmdb: "LMDB", Parquet: "Parquet"}
"""What they are called."""
SHOWN = 6


def is_archive(place: Path) -> bool:
    """Whether a place is one of the archives that are read in place, not a folder of files."""
    return any(archive.takes(place) for archive in ARCHIVES)


def opened(
    place: str | Path,
    size: int | None = None,
    without: Mapping[Path, str] = MappingProxyType({}),
    labels: bool = False,
    within: Sequence[str] = (),
) -> Source:
    """The pictures, or label maps, in a folder or archive, or in a folder of an archive, as FACES.zip/train.

    `size`: of the suite, where an archive has several. `within`: names of the folders that the makers of a data set
    keep its pictures in, at most two levels down: the innermost alone is read. Raises BenchError where there are none,
    or an archive is damaged; for a folder see `bench.data.folder.find`.
    """
    place = Path(place)
    if not _holder(place):
        place = _innermost(place, within)
    if outer := _holder(place):
        whole = next(archive for archive in ARCHIVES if archive.takes(outer))(outer, size, labels)
        names = whole.names if within else ()
        place = _innermost(place, within, {outer / above for name in names for above in PurePosixPath(name).parents})
        return whole if place == outer else Inner(whole, place, place.relative_to(outer))
    if place.is_file():
        raise BenchError(
            f"{place} is a file: give the folder that holds the images, or a .zip, .tar or .parquet file of them "
            "(.tar.gz: unpack it; others: write the pictures out)"
        )
    try:
        return Folder(place, files.find_images(place, without, labels))
    except files.NothingFound as error:
        if inside := _inside(place):
            raise BenchError(f"{place} has no images of its own: {inside}") from error
        raise


def _innermost(place: Path, within: Sequence[str], inside: Collection[Path] | None = None) -> Path:
    """The makers' folder in a place, and in it such a one again, aloud; else `place`.

    `inside`: the folders of an archive.
    """

    def below(folder: Path, name: str) -> list[Path]:
        if inside is None:
            return [path for pattern in (name, f"*/{name}") for path in folder.glob(pattern) if path.is_dir()]
        return [path for path in inside if path.name == name and folder in (path.parent, path.parent.parent)]

    inner = place
    for name in within:
        while found := below(inner, name):
            inner = min(found, key=lambda path: (len(path.parts), path))
    if inner != place:
        say(f"{place}: only {inner.relative_to(place)}/ is read: it holds the pictures")
    return inner


def _holder(place: Path) -> Path | None:
    """The archive that a place is, or lies in where it is not on disk; None where there is none."""
    while not is_archive(place):
        if os.path.exists(place) or place == place.parent:
            return None
        place = place.parent
    return place


def _inside(place: Path) -> str:
    """Which archives lie in a folder without pictures, and the remedy; "" where there are none."""
    for pattern in ("*", "*/*"):
        found = [path for path in sorted(place.glob(pattern)) if path.name[0] != "." and is_archive(path)]
        if not found:
            continue
        kinds = [next(archive for archive in ARCHIVES if archive.takes(path)) for path in found]
        named = [path.relative_to(place).as_posix() + "/" * path.is_dir() for path in found]
        shown = ", ".join([*named[:SHOWN], "..."] if len(named) > SHOWN else named)
        listed = f"it holds {', '.join(dict.fromkeys(KINDS[kind] for kind in kinds))} ({shown})"
        if len(found) == 1:
            return f"{listed}: give {found[0]}"
        if {*kinds} in ({Tar}, {Parquet}) and not any(path.is_dir() for path in found):
            return f"{listed}: give one of them, or move all {len(found):,} into a folder of their own and give that"
        return (
            f"{listed}: each is a data set of its own, and giving one splits that one alone; to train on one and test "
            "on another, name them under `training` and under `data` with `trained`"
        )
    return ""


def title(place: Path) -> str:
    """What a data set without a name of its own is called: as its folder, or its archive without suffix and range."""
    place = place.resolve()
    if not is_archive(place):
        return place.name
    if place.is_dir():
        return place.name.removesuffix(".lmdb")
    named = place if place.suffix else place.parent  # FOLDER/512 of an LMDB
    return re.sub(rf"[-_.]*{RANGE.pattern}", "", named.stem) or named.parent.name
