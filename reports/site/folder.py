"""The folder of a site: written aside, then put into the place of the one before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.store import write_error

MARK = ".facebench-site"  # in every folder of a site: what has it may be replaced


@contextmanager
def replaced(place: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `place` at the end, and leaves it as it is where something fails.

    Raises BenchError where something stands there that is no site, and for what cannot be written.
    """
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise BenchError(f"--out {place} is a link or a file: give a folder")
    if place.is_dir() and any(place.iterdir()) and not (place / MARK).exists():
        raise BenchError(f"--out {place} holds something that is no site: give a new folder, or empty this one")
    part = place.with_name(f".{place.name}.part")
    before = place.with_name(f".{place.name}.before")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        (part / MARK).write_text("a site of face-inpaint-bench\n", encoding="utf-8")
        yield part
        shutil.rmtree(before, ignore_errors=True)
        if place.exists():
            place.rename(before)
        part.rename(place)
    except OSError as error:
        raise write_error(place, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
