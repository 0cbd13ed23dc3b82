"""The one error that users see: a clear message, exit code 2."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BenchError(Exception):
    """Something the user can mend: names the file or key and the remedy. The command line exits with code 2."""

    folder: Path | None = None
    """The folder of pictures, masks or label maps that the message is about, where it is about one: see `about`."""


@contextmanager
def about(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """A BenchError that is raised within is about this folder, unless it is about another one already."""
    try:
        yield
    except BenchError as error:
        error.folder = error.folder or (Path(folder) if folder else None)
        raise


def told(error: BenchError) -> str:
    """The message as the command line shows it: with the command that looks at the folder that it is about."""
    cause: BaseException | None = error
    while cause is not None and getattr(cause, "folder", None) is None:
        cause = cause.__cause__
    folder = getattr(cause, "folder", None)
    if folder is None or not folder.is_dir():
        return str(error)
    return f"{error};\n`facebench doctor {shlex.quote(str(folder))}` says what this folder holds"


def unwritten(path: str | os.PathLike[str], error: OSError) -> str:
    """The message where a file could not be written, with the remedy, in words that are true of every command."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "the disk is full: free some space and run the same command again"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "the folder is not writable: choose another place"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        reason = "a part of this path is a file, not a folder: choose another place"
    else:
        reason = f"{error.strerror or error}: choose another place"
    return f"cannot write {path}: {reason}"
