"""The cache: what was decoded or rendered once, as memory-mapped arrays beside a manifest.

An entry is a folder with `NAME.npy` files, whose first axis is the image, and `manifest.json`, which is written last:
a folder without a sound manifest is no entry. Entries are found by their content, never by a name that a user gave.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bench.errors import BenchError
from bench.store import atomic_write, hold, read_json, write_json

VERSION = 3  # raised when equal files are decoded or rendered otherwise
CHUNK = 64

Progress = Callable[[str, int, int], None]
"""Called with (what is done: "reading", "decoding", "rendering", "checking" or "comparing"; images done; in all)."""
Batch = Mapping[str, np.ndarray]
"""Arrays of the same images: name -> (n, ...)."""
T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    function: Callable[[T], R], items: Sequence[T], what: str, progress: Progress | None = None
) -> Iterator[list[R]]:
    """Apply `function` in threads and yield the results in order, in chunks, so that memory stays bounded."""
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            yield list(pool.map(function, chunk))
            if progress is not None:
                progress(what, start + len(chunk), len(items))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder alone: a second process waits, then finds the work done. A killed process lets go at once."""
    with hold(folder / ".lock", wait=True):
        yield


def build(entry: Path, facts: Mapping[str, Any], count: int, batches: Iterable[Batch], needed_bytes: int) -> None:
    """Write `batches`, which together hold `count` images in order, as the arrays of `entry`, then its manifest.

    Equal input gives equal bytes. `facts` go into the manifest as they are. The caller holds the lock.
    Raises BenchError when the disk has no room.
    """
    for left_over in entry.glob(".*.part"):  # of a process that was killed here
        left_over.unlink(missing_ok=True)
    free = shutil.disk_usage(entry).free
    if free < needed_bytes:
        raise BenchError(
            f"{entry} needs {needed_bytes / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left: "
            "free some space, choose a smaller size, or put the cache on another disk"
        )
    with ExitStack() as stack:
        files: dict[str, Any] = {}
        sums: dict[str, Any] = {}
        for batch in batches:
            for name, array in batch.items():
                array = np.ascontiguousarray(array)
                if name not in files:
                    files[name] = stack.enter_context(atomic_write(entry / f"{name}.npy"))
                    sums[name] = hashlib.sha256()
                    header = {"descr": array.dtype.str, "fortran_order": False, "shape": (count, *array.shape[1:])}
                    np.lib.format.write_array_header_1_0(files[name], header)
                files[name].write(array.data)
                sums[name].update(array.data)
    arrays = {name: total.hexdigest() for name, total in sums.items()}
    write_json(entry / "manifest.json", {**facts, "version": VERSION, "count": count, "arrays": arrays})


def load(entry: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The manifest and the read-only memory maps of a sound entry; None when it is missing or damaged.

    The manifest is the last file that `build` writes. An array that is newer was changed or copied later: its
    checksum is then compared, once.
    """
    path = entry / "manifest.json"
    if not path.exists():
        return None
    try:
        manifest = read_json(path)
        if manifest["version"] != VERSION:
            return None
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in manifest["arrays"]}
        if not arrays or any(len(array) != manifest["count"] for array in arrays.values()):
            return None
        written = path.stat().st_mtime_ns
        changed = [name for name in arrays if (entry / f"{name}.npy").stat().st_mtime_ns > written]
        if any(checksum(arrays[name]) != manifest["arrays"][name] for name in changed):
            return None
        if changed:
            with suppress(OSError):  # a shared cache may be read-only
                os.utime(path)
    except Exception:  # a damaged entry raises many kinds of errors
        return None
    return manifest, arrays


def checksum(array: np.ndarray) -> str:
    """SHA-256 over the values of an array, read chunk by chunk."""
    total = hashlib.sha256()
    for start in range(0, len(array), CHUNK):
        total.update(np.ascontiguousarray(array[start : start + CHUNK]).data)
    return total.hexdigest()
