"""A folder of images: find them, decode one, make it square, fingerprint them all."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bench.data.cache import Progress, in_parallel
from bench.errors import BenchError
from bench.store import read_json, write_json
from masks.generators.semantic import LABELS

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30
MAX_PASSES = 20  # decodings of `MAX_PIXELS` that the scans of one JPEG file may cost
FILTER = "pillow-lanczos"
"""Name of the antialiased filter, recorded in every cache."""
NEAREST = "nearest"
"""Stands in its place for label maps."""
SETTLED_NS = 2 * 10**9
"""A file younger than this when it was hashed may change again without a new time stamp, so it is hashed again."""


def find_images(folder: str | Path) -> list[str]:
    """Relative POSIX paths (the image ids) of all PNG, JPEG and WebP files below `folder`: see `find`."""
    return find(folder, EXTENSIONS, "images", "PNG, JPEG or WebP files")


def find(folder: str | Path, suffixes: frozenset[str], what: str, kinds: str) -> list[str]:
    """Relative POSIX paths of all files with these suffixes below `folder`, sorted.

    The search is recursive and follows links; names that begin with a dot are skipped.
    Raises BenchError when the folder is missing, is a file, cannot be read or has none: no `what`, put `kinds` there.
    """
    folder = Path(folder)
    if not folder.exists():
        raise BenchError(f"{folder} does not exist: give the folder that holds the {what}")
    if not folder.is_dir():
        raise BenchError(f"{folder} is a file: give the folder that holds the {what}")
    found: list[str] = []
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        real = os.path.realpath(where)
        if real in seen:  # a link back to a folder that was walked already
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        base = Path(where).relative_to(folder)
        found += [
            (base / name).as_posix()
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    if not found:
        raise BenchError(f"{folder} has no {what}: put {kinds} into it or its sub-folders")
    for name in found:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise BenchError(
                f"the file name {os.fsencode(name)!r} in {folder} is not UTF-8: rename the file"
            ) from error
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise BenchError(f"cannot read the folder {error.filename}: {error.strerror}; check its permissions") from error


def read(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of one file; BenchError names it when it cannot be read, is no file, or has more than `most` bytes."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait without end
            raise BenchError(f"{path} is no file: replace or remove it")
        if status.st_size > most:
            raise BenchError(f"{path} has more than {most >> 20:,} MiB: replace or remove it")
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}; check that it exists and its permissions") from error


def hash_files(
    folder: Path,
    ids: Sequence[str],
    listing: Path | None = None,
    progress: Progress | None = None,
    most: int = MAX_BYTES,
) -> dict[str, str]:
    """SHA-256 of the bytes of each file, which has `most` bytes: id -> hash.

    `listing` is a file that remembers the hashes between runs: a file whose size and time stamps stayed is not read.
    """
    known: dict[str, list] = {}
    if listing and listing.exists():
        try:
            known = {name: [stamp, value] for name, (stamp, value) in read_json(listing).items() if len(value) == 64}
        except Exception:  # damaged: all files are hashed again
            known = {}
    started = time.time_ns()
    stamps: dict[str, list[int]] = {}
    for name in ids:
        try:
            status = (folder / name).stat()
        except OSError as error:  # a link that leads nowhere
            raise BenchError(f"cannot read {folder / name}: {error.strerror}; replace or remove it") from error
        stamps[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    hashes = {name: known[name][1] for name in ids if name in known and known[name][0] == stamps[name]}
    unknown = [name for name in ids if name not in hashes]

    def sha256(name: str) -> str:
        return hashlib.sha256(read(folder / name, most)).hexdigest()

    done = [value for chunk in in_parallel(sha256, unknown, "reading", progress) for value in chunk]
    hashes.update(zip(unknown, done, strict=True))
    if listing and (unknown or known.keys() != hashes.keys()):
        settled = {name: stamp if stamp[2] < started - SETTLED_NS else None for name, stamp in stamps.items()}
        write_json(listing, {name: [settled[name], hashes[name]] for name in ids})
    return hashes


def decode(data: bytes, path: str | Path) -> Image.Image:
    """Decode the bytes of one image file to 8-bit RGB, the right way up.

    EXIF orientation is applied; grey and palette images become RGB; 16-bit values are scaled by 255 / 65535;
    transparent parts are composited over white; of an animation the first frame is taken. Colour profiles are ignored.
    Raises BenchError, naming `path`, for what is not an image, is damaged, or has more than 100 megapixels.
    """
    return converted(data, path, lambda image: _to_rgb(ImageOps.exif_transpose(image)))


def converted(
    data: bytes, path: str | Path, convert: Callable[[Image.Image], Image.Image], formats: tuple[str, ...] = FORMATS
) -> Image.Image:
    """`convert` of the image in `data`, one of `formats`. Errors: see `decode`.

    Formats are always named: Pillow's others include some that run programs, such as PostScript.
    """
    if not data:
        raise BenchError(f"{path} is empty: replace or remove it")
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BenchError(_too_large(path, f"{width} x {height} pixels"))
            if image.format == "JPEG" and data.count(b"\xff\xda") * width * height > MAX_PASSES * MAX_PIXELS:
                raise BenchError(_too_large(path, "counting every scan"))
            image.load()
            return convert(image)
    except BenchError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BenchError(_too_large(path, "a decompression bomb")) from error
    except Image.UnidentifiedImageError as error:
        raise BenchError(f"{path} is not a {_listed(formats)} image: replace or remove it") from error
    except Exception as error:  # damaged files make Pillow raise many kinds of errors
        raise BenchError(f"{path} is damaged ({error}): replace or remove it") from error


def _listed(formats: tuple[str, ...]) -> str:
    names = [name.replace("WEBP", "WebP") for name in formats]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _too_large(path: str | Path, what: str) -> str:
    return f"{path} has more than {MAX_PIXELS // 10**6} megapixels ({what}): make it smaller or remove it"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip
        values = np.asarray(image, dtype=np.float64)
        image = Image.fromarray(np.rint(values.clip(0, 65535) / 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def decode_labels(data: bytes, path: str | Path) -> Image.Image:
    """Decode a label map: a grey or palette image whose values are CelebAMask-HQ's classes, in all three channels."""

    def classes(image: Image.Image) -> Image.Image:
        indices = np.asarray(image if image.mode in ("L", "P", "1") else image.convert("L"), dtype=np.uint8)
        if indices.max() >= len(LABELS):
            raise BenchError(f"{path} is no label map: it holds {indices.max()}, classes are 0 to {len(LABELS) - 1}")
        return Image.fromarray(indices).convert("RGB")

    return converted(data, path, classes)


def square(image: Image.Image, size: int, labels: bool = False) -> np.ndarray:
    """The central square of an RGB image at `size` pixels, by Pillow's antialiased Lanczos filter.

    Returns (size, size, 3) uint8: what scaling the shorter side to `size` and then cropping gives. An image that has
    this size already is not touched. Of label maps the nearest pixels are taken.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    resampling = Image.Resampling.NEAREST if labels else Image.Resampling.LANCZOS
    return np.asarray(image.resize((size, size), resampling, box=box))


def fingerprint(hashes: Mapping[str, str]) -> str:
    """Identity of a folder's content: SHA-256 over the sorted (relative path, SHA-256 of the file's bytes)."""
    total = hashlib.sha256()
    for name in sorted(hashes):
        total.update(f"{name}\0{hashes[name]}\n".encode())
    return total.hexdigest()


def natural(name: str) -> list[int | str]:
    """Sort key that counts: 2.jpg stands before 10.jpg."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
