"""Opens packs of other people: nothing in them is executed, and nothing is written outside a folder that goes again."""

from __future__ import annotations

import json
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.pack import manifest
from bench.pack.manifest import Manifest
from bench.store import digest

MEMBER = re.compile(
    r"pack\.json|protocol\.json|(?:results|per_image|costs|losses)\.parquet"
    r"|completions/complete-[A-Za-z0-9_-]+/completed\.zip|masks/[0-9a-f]{16}\.npz"
)
"""All names that a pack may hold: none of them leaves the folder that it is read into."""


@contextmanager
def unpacked(path: Path, pictures: bool = True, changed: bool = False) -> Iterator[tuple[Path, Manifest]]:
    """The content of a pack in a folder that is removed afterwards, and what pack.json says.

    Without `pictures`, these and their masks stay in the pack, and are not hashed.

    Raises BenchError for what is no pack, is truncated, or holds a member of another name, a link, a member twice, or
    a compressed one (what is not compressed cannot grow); then nothing was written. Members that are missing or do not
    have the SHA-256 of pack.json are refused, too, unless the pack may be `changed`: who checks it tells all of them.
    """
    with tempfile.TemporaryDirectory(prefix="facebench-pack-") as place, _archive(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if (
            manifest.FILE not in names
        ):  # of a pack that was cut off, zipfile may read the archive of pictures at its end
            raise BenchError(f"{path} is no pack, or was cut off (it has no {manifest.FILE}): ask for it again")
        for member in members:
            _check(path, member)
        if len(set(names)) < len(names):
            raise BenchError(f"{path} holds a file twice: it is refused")
        for name in (manifest.PROTOCOL, *manifest.TABLES[:2]):
            if name not in names:
                raise BenchError(f"{path} is no pack, or a damaged one: it has no {name}")
        said = _said(path, archive)
        if not changed and (gone := sorted(said.files.keys() - names)):
            raise BenchError(f"{path}: {gone[0]} is missing: see `facebench verify pack {path}`")
        folder = Path(place)
        for member in members:
            name = member.filename
            if "/" in name and not pictures:
                continue
            content = _content(path, archive, member)
            if not changed and name != manifest.FILE and digest(content) != said.files.get(name):
                raise BenchError(f"{path}: {name} was changed: see `facebench verify pack {path}`")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield folder, said


@contextmanager
def results(place: Path) -> Iterator[Path]:
    """A folder of results: that of a run, or the content of a pack, for as long as it is needed."""
    if not place.is_file():
        yield place
        return
    with unpacked(place, pictures=False) as (folder, _):
        yield folder


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise BenchError(f"{path} is no pack, or was cut off ({error}): ask for it again") from error
    with archive:
        yield archive


def _check(path: Path, member: zipfile.ZipInfo) -> None:
    """BenchError for a member that no pack has."""
    name = member.filename
    if not MEMBER.fullmatch(name):
        raise BenchError(f"{path} holds {name!r}, which no pack does, so it is refused: nothing was written")
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise BenchError(f"{path}: {name} is a link or no file, so the pack is refused: nothing was written")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size or member.flag_bits & 1:
        raise BenchError(f"{path}: {name} is compressed or encrypted, so the pack is refused: nothing was written")


def _said(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        content = json.loads(_content(path, archive, archive.getinfo(manifest.FILE)))
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}: {manifest.FILE} is damaged ({error}): ask for the pack again") from error
    return manifest.read(content, str(path))


def _content(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(member)
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise BenchError(f"{path}: {member.filename} is damaged ({error}): ask for the pack again") from error
