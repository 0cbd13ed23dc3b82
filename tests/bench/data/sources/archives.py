"""Writes the pictures of a folder as each kind of archive that is read in place."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names(folder):
            archive.write(folder / name, name)
        archive.writestr("dataset.json", '{"labels": null}')
    return path


def tarred(folder: Path, path: Path, wanted: Iterable[str] | None = None) -> Path:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(folder, ".", recursive=False)
        for name in wanted or names(folder):
            archive.add(folder / name, f"./{name}")
    return path


def lmdb(folder: Path, path: Path, side: int = 256, length: object = None) -> Path:
    """As rosinality's prepare_data.py, with the files' own bytes."""
    import lmdb

    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as writer:
        for i, name in enumerate(names(folder)):
            writer.put(f"{side}-{i:05d}".encode(), (folder / name).read_bytes())
        writer.put(b"length", str(length or len(names(folder))).encode())
    return path


def parquet(folder: Path, file: Path, wanted: Iterable[str] | None = None, **changed: Any) -> Path:
    """As Hugging Face's imagefolder with its bytes put in. `changed`: fields that are the same for all rows."""
    rows = [
        {"bytes": (folder / name).read_bytes(), "path": name} | changed for name in wanted or [*reversed(names(folder))]
    ]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(rows, kind), "label": pa.array([0] * len(rows))})
    pq.write_table(table, file, row_group_size=5)
    return file


def shards(write: Callable[..., Path], folder: Path, place: Path, pattern: str) -> Path:
    place.mkdir()
    (place / "README.md").touch()
    for i in range(3):
        write(folder, place / pattern.format(i), names(folder)[i::3])
    return place


FORMATS: dict[str, Callable[[Path, Path], Path]] = {
    "zip": lambda folder, out: zipped(folder, out / "mine.zip"),
    "tar": lambda folder, out: tarred(folder, out / "mine.tar"),
    "tar shards": lambda folder, out: shards(tarred, folder, out / "mine", "all-{:06d}.tar"),
    "tar range": lambda folder, out: shards(tarred, folder, out / "in", "mine-{:03d}.tar") / "mine-{000..002}.tar",
    "lmdb": lambda folder, out: lmdb(folder, out / "mine.lmdb"),
    "parquet": lambda folder, out: parquet(folder, out / "mine.parquet"),
    "parquet shards": lambda folder, out: shards(parquet, folder, out / "mine", "train-{:05d}-of-00003.parquet"),
}
