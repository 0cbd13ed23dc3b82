"""Where the pictures of a data set lie: a folder, or an archive that is read in place. One file a format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.data import folder as files
from bench.data.sources.folder import Folder
from bench.data.sources.lightning import Lmdb
from bench.data.sources.parquet import Parquet
from bench.data.sources.shards import RANGE
from bench.data.sources.source import Source
from bench.data.sources.tar import Tar
from bench.data.sources.zipped import Zip
from bench.errors import BenchError

ARCHIVES: tuple[type[Zip | Tar | Lmdb | Parquet], ...] = (Zip, Tar, Lmdb, Parquet)

KINDS = {Zip: "a zip file", Tar: "tar", Lmdb: "LMDB", Parquet: "Parquet"}
"""What they are called."""


def is_archive(place: Path) -> bool:
    """Whether a place is one of the archives that are read in place, not a folder of files."""
    return any(archive.takes(place) for archive in ARCHIVES)


def opened(
    place: str | Path,
    size: int | None = None,
    without: Mapping[Path, str] = MappingProxyType({}),
    labels: bool = False,
) -> Source:
    """The pictures, or label maps, in a folder or archive. `size`: of the suite, where an archive has several.

    Raises BenchError where there are none, or an archive is damaged; for a folder see `bench.data.folder.find`.
    """
    place = Path(place)
    for archive in ARCHIVES:
        if archive.takes(place):
            return archive(place, size, labels)
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


def _inside(place: Path) -> str:
    """Where archives lie in a folder without pictures, and the remedy; "" where there are none."""
    for pattern in ("*", "*/*"):
        found = [path for path in sorted(place.glob(pattern)) if path.name[0] != "." and is_archive(path)]
        if found:
            kind = next(KINDS[archive] for archive in ARCHIVES if archive.takes(found[0]))
            where = found[0].relative_to(place).as_posix()
            if found[0].is_dir():
                return f"its folder {where}/ holds {kind}: give {found[0]}"
            more = f", or move all {len(found):,} into a folder of their own and give that" if len(found) > 1 else ""
            return f"{where} is {kind}: give {found[0]}{more}"
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
