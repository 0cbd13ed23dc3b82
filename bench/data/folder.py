"""A folder of images: find them, fingerprint them all."""

from __future__ import annotations

import hashlib
import os
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PIL import Image

from bench import pictures
from bench.data.cache import Progress, in_parallel
from bench.errors import BenchError, about
from bench.pictures import MAX_BYTES
from bench.progress import say
from bench.store import MARK, read_json, write_json

if TYPE_CHECKING:
    from bench.data.sources.source import Source

FILTER = "pillow-lanczos"
"""Name of the antialiased filter, recorded in every cache."""
NEAREST = "nearest"
"""Stands in its place for label maps."""
IMAGES = f"{pictures.KINDS} files"
ANNOTATIONS = frozenset(
    {"label", "labels", "mask", "masks", "anno", "annotation", "annotations", "seg", "segmentation", "parsing"}
    | {"edge", "edges", "sketch", "sketches", "landmark", "landmarks"}
)
RESULTS = frozenset(
    {"result", "results", "output", "outputs", "masked", "inpainted", "completed", "completion", "completions"}
    | {"prediction", "predictions", "pred", "preds", "comp"}
)
NO_PICTURES = dict.fromkeys(ANNOTATIONS, "annotations") | dict.fromkeys(RESULTS, "results")
"""What a sub-folder holds, in the place of photographs, that has such a word in its name."""
CLASSES = 19
"""A grey picture with this many values or fewer, all of them below it, is a label map."""
MOST = 20
"""Things left out that are named one by one."""
REMEDY = "put masks into a folder of their own and name it with --masks, label maps with --labels"
SETTLED_NS = 2 * 10**9
"""A file younger than this when it was hashed may change again without a new time stamp, so it is hashed again."""


class NothingFound(BenchError):
    """A place holds none of what is looked for."""


def find_images(
    folder: str | Path, without: Mapping[Path, str] = MappingProxyType({}), labels: bool = False
) -> list[str]:
    """Relative POSIX paths (the image ids) of all pictures, or label maps, below `folder`: see `find`."""
    skipped = {} if labels else NO_PICTURES
    with about(folder):
        return find(folder, pictures.SUFFIXES, "images", IMAGES, without, skipped)


def find(
    folder: str | Path,
    suffixes: frozenset[str],
    what: str,
    kinds: str,
    without: Mapping[Path, str] = MappingProxyType({}),
    skipped: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Relative POSIX paths of all files with these suffixes below `folder`, sorted.

    The search is recursive and follows links; names that begin with a dot are skipped. Folders of runs, folders
    `without` (resolved path -> what it is named for), sub-folders with a word of `skipped` in their names (word -> what
    they hold), and pictures of kinds that are not read or without a suffix that says so are left out, aloud.
    Raises BenchError when the folder is missing, is a file, cannot be read, holds runs or has none: no `what`, put
    `kinds` there. So does it where two files differ in their suffix alone: all that belongs to an image has its name.
    """
    folder = Path(folder)
    if not folder.exists():
        raise BenchError(f"{folder} does not exist: give the folder that holds the {what}")
    if not folder.is_dir():
        raise BenchError(f"{folder} is a file: give the folder that holds the {what}")
    if os.path.exists(folder / MARK):  # False also where it may not be entered, which the walk says
        raise BenchError(
            f"{folder} holds runs (its file {MARK} says so): give the folder that holds the {what} alone; "
            "put runs elsewhere with --out"
        )
    found: list[str] = []
    seen: set[str] = set()
    left_out: Counter[str] = Counter()
    unnamed: list[str] = []
    for where, folders, files in os.walk(folder, followlinks=True, onerror=pictures.closed):
        real = os.path.realpath(where)
        if real in seen:  # a link back to a folder that was walked already
            folders.clear()
            continue
        seen.add(real)
        base = Path(where).relative_to(folder)
        kept = []
        for name in sorted(name for name in folders if not name.startswith(".")):
            path = Path(where) / name
            reason = without.get(path.resolve()) or ("runs" if os.path.exists(path / MARK) else None)
            if not reason and (held := next((skipped[word] for word in words(name) if word in skipped), None)):
                reason = f"{held}, by its name"
            if reason:
                left_out[f"{(base / name).as_posix()}/ ({reason})"] += 1
            else:
                kept.append(name)
        folders[:] = kept
        for name in (name for name in files if not name.startswith(".")):
            suffix = Path(name).suffix.lower()
            if suffix in suffixes:
                found.append((base / name).as_posix())
            elif suffixes is not pictures.SUFFIXES:
                continue
            elif suffix in pictures.UNREAD:
                left_out[f"files {suffix} (not read: save them as PNG)"] += 1
            elif pictures.unnamed(Path(where) / name):
                unnamed.append((base / name).as_posix())
    if unnamed:
        example = min(unnamed).encode(errors="replace").decode()
        left_out[f"files such as {example} (pictures without a known suffix: name them .png, .jpg, ...)"] = len(unnamed)
    return settled(folder, found, left_out, what, kinds)


def settled(
    place: Path, found: Collection[str], left_out: Mapping[str, int], what: str = "images", kinds: str = IMAGES
) -> list[str]:
    """The names that were found in a folder or archive, sorted; what was left out (what -> how many) is said.

    Raises BenchError where nothing was found, and for names that are not UTF-8 or differ in their suffix alone.
    """
    listed = [f"{count:,} {what}" if what.startswith("files") else what for what, count in left_out.items()]
    reasons = ", ".join(listed if len(listed) <= MOST else [*listed[:MOST], f"and {len(listed) - MOST:,} more"])
    if not found:
        least = f" (left out: {reasons})" if reasons else ""
        raise NothingFound(f"{place} has no {what}{least}: put {kinds} into it or its sub-folders")
    if reasons:
        say(f"left out of {place}: {reasons}")
    stems: dict[str, str] = {}
    for name in sorted(found):
        pictures.check_name(name, place)
        if (other := stems.setdefault(stem(name), name)) != name:
            raise BenchError(
                f"{place / other} and {place / name} have one name: results, masks, labels and captions are matched "
                "by it; rename or remove one of them"
            )
    return sorted(found)


def words(name: str) -> list[str]:
    """The words of a name in lower case: `train_256` has `train`, `CelebAMask-HQ-mask-anno` has `mask` and `anno`."""
    return [word for word in re.split(r"[\W\d_]+", name.lower()) if word]


def annotation(image: Image.Image) -> str | None:
    """What a decoded picture is by its values when it is no photograph, "mask" or "label map"; None when it may be one.

    A mask is grey and holds 0 and 255, or 0 and 1, and nothing else. A label map is grey and holds several values, all
    below `CLASSES`. 16-bit pictures are 8-bit ones by now. Looks at pixels only until there are too many colours.
    """
    colours: list[Any] = [colour for _, colour in image.getcolors(CLASSES) or []]
    if len(colours) < 2 or any(len(set(colour)) > 1 for colour in colours):
        return None
    values = {colour[0] for colour in colours}
    if values in ({0, 1}, {0, 255}):
        return "mask"
    return "label map" if max(values) < CLASSES else None


def no_photographs(folder: Path, found: Mapping[str, str], count: int) -> str:
    """Says of files (id -> what `annotation` calls it) among `count` that they are no pictures, and the remedy."""
    first = ", ".join(f"{folder / name} ({what})" for name, what in list(found.items())[:3])
    more = ", ..." if len(found) > 3 else ""
    return f"{len(found):,} of {count:,} files are masks or label maps, no photographs: {first}{more}: {REMEDY}"


def no_pictures(found: Mapping[str, str], count: int, what: str = "results") -> str:
    """The same of results or originals (path -> what `annotation` calls it): their pattern finds the wrong files."""
    first = ", ".join(f"{path} ({what})" for path, what in list(found.items())[:3])
    more = ", ..." if len(found) > 3 else ""
    return (
        f"{len(found):,} of {count:,} {what} are masks or label maps by their values: "
        f"{first}{more}: say how the {what} are called with another pattern (match)"
    )


def stem(name: str) -> str:
    """An image's id without its suffix, in Unicode's NFC: the name of all that belongs to it."""
    return unicodedata.normalize("NFC", str(PurePosixPath(name).with_suffix("")))


def hash_files(
    source: Source,
    listing: Path | None = None,
    progress: Progress | None = None,
    most: int = MAX_BYTES,
) -> dict[str, str]:
    """SHA-256 of the bytes of each picture or text, which has `most` bytes: id -> hash.

    `listing` is a file that remembers the hashes between runs: where size and time stamps stayed, nothing is read.
    """
    ids = source.names
    known: dict[str, list] = {}
    if listing and listing.exists():
        try:
            known = {name: [stamp, value] for name, (stamp, value) in read_json(listing).items() if len(value) == 64}
        except Exception:  # damaged: all files are hashed again
            known = {}
    started = time.time_ns()
    holders = {name: source.file(name) for name in ids}
    times: dict[Path, list[int]] = {}
    for path in dict.fromkeys(holders.values()):  # an archive is asked once
        status = pictures.status(path)
        times[path] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    stamps = {name: times[path] for name, path in holders.items()}
    hashes = {name: known[name][1] for name in ids if name in known and known[name][0] == stamps[name]}
    unknown = [name for name in ids if name not in hashes]

    def sha256(name: str) -> str:
        return hashlib.sha256(source.read(name, most)).hexdigest()

    done = [value for chunk in in_parallel(sha256, unknown, "reading", progress) for value in chunk]
    hashes.update(zip(unknown, done, strict=True))
    if listing and (unknown or known.keys() != hashes.keys()):
        settled = {name: stamp if stamp[2] < started - SETTLED_NS else None for name, stamp in stamps.items()}
        write_json(listing, {name: [settled[name], hashes[name]] for name in ids})
    return hashes


def fingerprint(hashes: Mapping[str, str]) -> str:
    """Identity of a folder's content: SHA-256 over the sorted (relative path, SHA-256 of the file's bytes)."""
    total = hashlib.sha256()
    for name in sorted(hashes):
        total.update(f"{name}\0{hashes[name]}\n".encode())
    return total.hexdigest()


def natural(name: str) -> list[int | str]:
    """Sort key that counts: 2.jpg stands before 10.jpg."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
