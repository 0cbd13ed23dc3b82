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
    return Folder(place, files.find_images(place, without, labels))


def title(place: Path) -> str:
    """What a data set without a name of its own is called: as its folder, or its archive without suffix and range."""
    place = place.resolve()
    if not is_archive(place):
        return place.name
    if place.is_dir():
        return place.name.removesuffix(".lmdb")
    named = place if place.suffix else place.parent  # FOLDER/512 of an LMDB
    return re.sub(rf"[-_.]*{RANGE.pattern}", "", named.stem) or named.parent.name
