"""Files of a run: written to a temporary name, then renamed, so that a reader never sees half a file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.errors import BenchError, unwritten

if TYPE_CHECKING:
    import pandas as pd

MARK = ".facebench"  # file in every folder of runs
RUN = "run.json"  # in a suite's folder: what it is, and which jobs are behind its tables
LONGEST = 150  # characters of a file name that is made of another name
LONGEST_IMAGE = 200  # bytes of an image's file name; systems take 255


@contextmanager
def atomic_write(path: str | Path, mode: str = "wb", durable: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success it is renamed to `path`, on failure removed.

    Without `durable` a loss of power may damage it, and nothing waits for the disk: for what is checked on reading.

    Raises BenchError that names the path when the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # its name is short, for that of `path` may have all the bytes that a system takes
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".facebench-", suffix=".part")
        text = None if "b" in mode else "utf-8"
        with os.fdopen(descriptor, mode, encoding=text, newline=None if text is None else "") as handle:
            yield handle
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
        if durable:
            _persist(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _persist(folder: Path) -> None:
    """Make the names in a folder survive a loss of power: what is renamed first is there first."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot, and need not
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def hold(path: Path, wait: bool = False) -> Iterator[bool]:
    """Hold a lock file alone; the value says whether it is ours. With `wait` it always is, in time.

    The lock ends with its process, however that ends. It holds between machines where the shared file system has
    flock, as NFS from version 4 on does.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        raise write_error(path, error) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise BenchError(f"cannot lock {path}: {error.strerror}; choose a file system with locks") from error
        yield True


def check_folder(folder: Path) -> None:
    """Fail at once, before any work, when a run's folder cannot be written."""
    with atomic_write(folder / MARK, "w") as handle:
        handle.write("results of face-inpaint-bench\n")


def write_error(path: Path, error: OSError) -> BenchError:
    """What to tell a user when `path` could not be written."""
    return BenchError(unwritten(path, error))


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file atomically."""
    with atomic_write(path, "w") as handle:
        handle.write(text)
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write JSON atomically, with sorted keys, so that equal values give equal bytes."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_table(path: str | Path, table: pd.DataFrame) -> Path:
    """Write a table as Parquet, atomically."""
    with atomic_write(path) as handle:
        table.to_parquet(handle, index=False)
    return Path(path)


def read_json(path: str | Path, again: str = "run the same command again") -> Any:
    """Read a JSON file of a run; BenchError names a damaged file, and says with `again` what writes it anew."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"cannot read {path}: {error}; delete it and {again}") from error


def file_slug(name: str) -> str:
    """A name, such as a condition's, as a file name: `irregular/10-20` -> `irregular_10-20`.

    What is left of a name without letters, and of a very long one, is told from others by a hash.
    """
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_")
    if slug.strip(".") and len(slug) <= LONGEST:
        return slug
    return hashed(slug.strip("."), name, LONGEST).strip("-")


def dataset_folder(name: str) -> str:
    """A data set's name as that of a folder of pictures; one that is a path leads nowhere."""
    return re.sub(r"^\.|[/\\\0]", "_", name)


def image_file(name: str) -> str:
    """File name of the image with that id (a relative path) in one flat folder: no two ids have the same."""
    path = Path(name).with_suffix("").as_posix()
    flat = path.replace("/", "__")
    clear = len(flat.split("__")) == len(path.split("/")) and "___" not in flat  # only slashes became `__`
    if len(flat.encode()) > LONGEST_IMAGE or not clear:
        flat = hashed(flat, name, LONGEST_IMAGE)
    return f"{flat}.png"


def hashed(stem: str, name: str, most: int) -> str:
    """The beginning of a file name and a hash of what it is made of, in at most `most` bytes."""
    return f"{stem.encode()[: most - 20].decode(errors='ignore')}-{digest(name)[:16]}"


def digest(value: Any) -> str:
    """SHA-256 of a JSON-like value (keys sorted) or of bytes: the identity of what it describes."""
    data = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file of any size."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def derive_seed(*parts: Any) -> int:
    """A 63-bit seed from (suite seed, data set, image id, condition, ...): the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1
