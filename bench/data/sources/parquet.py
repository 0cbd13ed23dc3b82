"""Parquet with the bytes of pictures, as Hugging Face writes a data set of images: one file, or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, NamedTuple

from bench import pictures
from bench.data.sources.shards import is_sharded, shards
from bench.data.sources.source import LARGE, Source, chosen, damaged, numbered
from bench.errors import BenchError
from bench.progress import say

KIND = "Parquet file"
KEPT = 2  # groups of rows in memory: where rows are in the order of their names, each is read once
EMBED = (
    "Dataset.to_parquet wrote where they lay on the machine that made it; give the folder of the pictures, or put them "
    'in: `dataset.with_format("arrow").map(datasets.table.embed_table_storage, batched=True).to_parquet(FILE)`'
)


class Row(NamedTuple):
    """Where a picture stands."""

    file: int
    group: int
    column: str
    number: int


class Parquet(Source):
    """Rows with a column of struct<bytes, path>, `image` where there are several.

    Ids are the paths; rows of which one has no path, or that of another, are numbered, aloud.
    """

    named = True

    def __init__(self, place: Path, size: int | None = None, labels: bool = False) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.place = place
        self._lock = Lock()  # all threads read by one handle
        self._group = lru_cache(KEPT)(self._read_group)
        self._files: list[tuple[Path, Any]] = []
        rows: list[tuple[str, str | None, Row]] = []
        try:
            for number, (path, prefix) in enumerate(shards(place, ".parquet").items()):
                try:
                    file = pq.ParquetFile(path)
                    self._files.append((path, file))
                    rows += [(prefix, name, row) for name, row in _rows(path, file, number)]
                except (pa.ArrowException, OSError) as error:
                    raise damaged(path, KIND, error) from error
            self._members = chosen(place, self._named(rows), labels)
        except BaseException:
            self.close()
            raise
        self.names = list(self._members)

    @staticmethod
    def takes(place: Path) -> bool:
        return is_sharded(place, ".parquet")

    def file(self, name: str) -> Path:
        return self._files[self._members[name].file][0]

    def read(self, name: str, most: int = pictures.MAX_BYTES) -> bytes:
        return self._bytes(self._members[name], self.place / name, most)

    def close(self) -> None:
        self._group.cache_clear()
        for _, file in self._files:
            file.close()

    def _named(self, rows: list[tuple[str, str | None, Row]]) -> Iterator[tuple[str, Row]]:
        counts = Counter((prefix, name) for prefix, name, _ in rows)
        if all(count == 1 and name and PurePosixPath(name).suffix for (_, name), count in counts.items()):
            return ((f"{prefix}{name}", row) for prefix, name, row in rows)
        self.named = False
        say(f"{self.place}: some rows have no path, or one that others have: the pictures are numbered")
        first = self._bytes(rows[0][2], self.place, pictures.MAX_BYTES)
        return ((prefix + numbered(number, first), row) for number, (prefix, _, row) in enumerate(rows))

    def _bytes(self, row: Row, name: Path, most: int) -> bytes:
        import pyarrow as pa

        try:
            with self._lock:
                data = self._group(row.file, row.group, row.column)[row.number]
        except (pa.ArrowException, OSError) as error:
            raise damaged(self._files[row.file][0], KIND, error) from error
        if not data.is_valid:
            raise BenchError(f"{name} has no bytes: {EMBED}")
        found = data.as_py()
        if len(found) > most:
            raise BenchError(f"{name} {LARGE}: remove it")
        return found

    def _read_group(self, file: int, group: int, column: str) -> Any:
        return _inner(self._files[file][1], group, column, "bytes")


def _rows(path: Path, file: Any, number: int) -> Iterator[tuple[str | None, Row]]:
    """Stored paths, and where each stands; BenchError for other layouts and lacking bytes. `number`: of the file."""
    column = _column(path, file)
    for at in range(file.num_row_groups):
        group = file.metadata.row_group(at)
        stored = next(
            leaf for leaf in map(group.column, range(group.num_columns)) if leaf.path_in_schema == f"{column}.bytes"
        )
        if stored.statistics and stored.statistics.null_count:
            raise BenchError(f"{path} holds no bytes of {stored.statistics.null_count:,} pictures: {EMBED}")
        if stored.total_uncompressed_size > pictures.MAX_BYTES:
            raise BenchError(f"{path}: a group of {group.num_rows:,} rows {LARGE}: write it with row_group_size=100")
        for i, name in enumerate(_inner(file, at, column, "path").to_pylist()):
            yield name, Row(number, at, column, i)


def _column(path: Path, file: Any) -> str:
    """The column of pictures."""
    import pyarrow as pa

    columns = [
        field.name
        for field in file.schema_arrow
        if pa.types.is_struct(field.type) and {"bytes", "path"} <= {inner.name for inner in field.type}
    ]
    if "image" in columns or len(columns) == 1:
        return "image" if "image" in columns else columns[0]
    found = f"the columns {', '.join(columns)}: call one of them image" if columns else "no column struct<bytes, path>"
    raise BenchError(f"{path} has {found}, as Hugging Face stores pictures; or write the pictures out as files")


def _inner(file: Any, group: int, column: str, name: str) -> Any:
    """One field of the structs in a group of rows."""
    import pyarrow.compute as pc

    return pc.struct_field(file.read_row_group(group, columns=[f"{column}.{name}"]).column(column), name)
