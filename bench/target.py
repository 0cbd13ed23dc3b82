"""The files of other people's folders that a command writes: what it did not make itself is never lost to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    from PIL import Image

SOFTWARE = "face-inpaint-bench"  # what PNG files of the commands say of their `Software`
PNG = {".png": b"Software\0" + SOFTWARE.encode()}
CSV = {".csv": b"metric,title,"}  # of scores
BEGINNING = 4096  # bytes in which a sign stands
OTHER = "name another file, or remove that one"


def real(files: Iterable[Path]) -> frozenset[str]:
    """Where files lie, links followed; also of a link to itself."""
    return frozenset(map(realpath, files))


def check(path: Path, signs: Mapping[str, bytes], given: Set[str] = frozenset()) -> None:
    """BenchError where a file may not be written: its suffix is of another kind, or what stands there would be lost.

    signs: the suffixes that fit, each with what stands at the beginning of the files that the command writes: these
    alone are replaced. given: where the files lie that the command reads (`real`).
    """
    suffix = path.suffix.lower()
    if suffix not in signs:
        raise BenchError(f"{path} must end in {' or '.join(signs)}")
    if realpath(path) in given:
        raise BenchError(f"{path} is given, and would be lost: name another file")
    if not path.exists():
        return
    if not path.is_file():
        raise BenchError(f"{path} is no file: name another one")
    try:
        with path.open("rb") as handle:
            beginning = handle.read(BEGINNING)
    except OSError as error:
        raise BenchError(f"cannot read {path}, and would replace it: {error.strerror or error}; {OTHER}") from error
    if signs[suffix] not in beginning:
        raise BenchError(f"{path} is there already, and this command did not write it: {OTHER}")


def check_set(first: Path, signs: Mapping[str, bytes], others: Iterable[Path]) -> None:
    """BenchError where files that a command writes together are not its own: as `check` of the first one.

    The others have no sign: they are the command's where the first one is there.
    """
    check(first, signs)
    if not first.exists() and (there := next((path for path in others if path.exists()), None)):
        raise BenchError(f"{there} is there already, and this command did not write it: {OTHER}")


def save_png(path: Path, image: Image.Image) -> None:
    """Write a picture that may be replaced by the same command: `check` knows it by its `Software`."""
    from PIL.PngImagePlugin import PngInfo

    from bench.store import atomic_write

    said = PngInfo()
    said.add_text("Software", SOFTWARE)
    with atomic_write(path) as handle:
        image.save(handle, format="PNG", pnginfo=said)
