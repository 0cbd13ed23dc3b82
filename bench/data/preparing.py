"""How files become an entry of the cache: hashed once, decoded once, found again by what decides them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.data import cache, sources
from bench.data import folder as files
from bench.data.cache import Batch, Progress
from bench.errors import BenchError
from bench.framing import Framing, Size, extent, told
from bench.store import digest


def hashed(
    source: sources.Source,
    cache_dir: Path,
    progress: Progress | None,
    kind: str | None = None,
    most: int = files.MAX_BYTES,
) -> tuple[str, Callable[[str], bytes]]:
    """The fingerprint of the files in a place, and what reads one of them as it was hashed.

    `kind` tells the files of one place apart from others of it; each has at most `most` bytes.
    """
    place = str(source.place.resolve())
    listing = cache_dir / "listings" / f"{digest([place, kind] if kind else place)[:16]}.json"
    hashes = files.hash_files(source, listing, progress, most)

    def read(name: str) -> bytes:
        data = source.read(name, most)
        if hashlib.sha256(data).hexdigest() != hashes[name]:
            raise BenchError(
                f"{source.place / name} changed while the data set was prepared: run the same command again"
            )
        return data

    return files.fingerprint(hashes), read


def key(parts: list[Any], framing: Framing) -> str:
    """Hash of what decides an entry."""
    return digest([*parts, framing.decides] if framing.decides else parts)


def place(cache_dir: Path, size: Size, key: str) -> Path:
    """The folder of an entry of pictures."""
    return cache_dir / f"{told(size).replace(' ', '')}px-{key[:16]}"


def check_size(size: Size) -> None:
    if min(extent(size)) < 1:
        raise BenchError(f"the image size is {told(size)}: choose at least 1 pixel, for instance 256")


def entry(
    folder: Path, facts: Mapping[str, Any], batches: Iterator[Batch], needed_bytes: int
) -> tuple[Path, Mapping[str, Any]]:
    """The entry in this folder and its manifest, built now unless it stands already."""
    loaded = cache.load(folder)
    if loaded is None:
        with cache.locked(folder):
            loaded = cache.load(folder)  # another process may have built it while this one waited
            if loaded is None:
                cache.build(folder, facts, len(facts["ids"]), batches, needed_bytes)
                loaded = cache.load(folder)
    if loaded is None:
        raise BenchError(f"the image cache {folder} was written and cannot be read back: check the disk")
    return folder, loaded[0]
