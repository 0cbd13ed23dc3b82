"""Folders of mask files: NVIDIA's irregular test set, or any user's masks."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from bench import pictures
from bench.errors import BenchError
from masks.buckets import Bucket, ratio
from masks.checks import checked_size
from masks.errors import MaskError
from masks.generators.plain import Request
from masks.streams import Stream

NVIDIA_CATEGORIES = tuple(Bucket.parse(name) for name in ("1-10", "10-20", "20-30", "30-40", "40-50", "50-60"))
"""The six groups of NVIDIA's test set (Liu et al., ECCV 2018); each holds masks with and without border contact."""


class MaskFolder:
    """The masks in a folder, in the order of their file names; white (or 1) = hole.

    path: a folder; files with an image suffix are masks, others are ignored, subfolders too.
    threshold: values above it, of 255, are hole. None (the default) accepts only files that leave no doubt (see
        `bench.pictures.decode_mask`), so that a picture or a soft mask is not taken for a mask by mistake.
    inverted: black is the hole, as MAT and NVIDIA's training masks have it.

    Raises MaskError for a missing or an empty folder. Files are read when they are needed; MaskError names a file that
    is no mask, is truncated, or has another shape than what it is resized to.
    """

    def __init__(self, path: str | Path, threshold: int | None = None, inverted: bool = False) -> None:
        self.path = Path(path)
        self.inverted = inverted
        self.threshold = threshold
        try:
            entries = pictures.entries(self.path)
            self.files = [self.path / entry.name for entry in entries if pictures.is_picture(entry)]
        except BenchError as error:
            raise MaskError(str(error)) from error
        self.unread = [entry.name for entry in entries if Path(entry).suffix.lower() in pictures.UNREAD]
        if not self.files:
            below = [entry.name for entry in entries if entry.is_dir()]
            hint = f"; name one of its folders: {', '.join(below[:5])}" if below else ""
            raise MaskError(f"the folder {self.path} holds no mask files ({pictures.KINDS}){hint}")
        self._numbers = {_stem(file.name): number for number, file in enumerate(self.files)}
        self._ratios: dict[tuple[int, int], np.ndarray] = {}
        self._borders: dict[tuple[int, int], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.files)

    def mask(self, index: int, size: int | tuple[int, int]) -> np.ndarray:
        """Mask `index` as (height, width) uint8 in {0, 1}: resized to the nearest pixel, then binarised."""
        height, width = checked_size(size)
        file = self.files[index]
        try:
            hole = pictures.decode_mask(pictures.read(file), file, self.threshold, self.inverted)
        except BenchError as error:
            raise MaskError(str(error)) from error
        if abs(hole.shape[1] * height / (hole.shape[0] * width) - 1) > 0.01:
            raise MaskError(
                f"{file} is {hole.shape[1]} x {hole.shape[0]} pixels and cannot become {width} x {height} undistorted: "
                "crop it first"
            )
        return np.asarray(Image.fromarray(hole.view(np.uint8)).resize((width, height), Image.Resampling.NEAREST))

    def missing(self, images: Iterable[str]) -> list[str]:
        """Those of the pictures of which no mask has the name."""
        return [image for image in images if _stem(image) not in self._numbers]

    def number(self, image: str) -> int:
        """The index of the mask of a picture's name, whatever suffix and folder; MaskError if there is none."""
        if self.missing([image]):
            raise MaskError(f"no mask of {self.path} is called {_stem(image)}")
        return self._numbers[_stem(image)]

    def masks(self, size: int | tuple[int, int]) -> np.ndarray:
        """All masks, (n, height, width) uint8 in {0, 1}."""
        return np.stack([self.mask(index, size) for index in range(len(self))])

    def ratios(self, size: int | tuple[int, int]) -> np.ndarray:
        """The fraction of hole pixels of each mask at this size, (n,) float64. Reads all files the first time."""
        return self._measured(size)[0]

    def borders(self, size: int | tuple[int, int]) -> np.ndarray:
        """Whether each hole comes within 50 pixels (at 512) of the picture's border, (n,) bool.

        NVIDIA's masks "with border constraint" do not.
        """
        return self._measured(size)[1]

    def _measured(self, size: int | tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        key = checked_size(size)
        if key not in self._ratios:
            edge = round(50 * min(key) / 512)
            masks = [self.mask(index, key) for index in range(len(self))]
            self._ratios[key] = np.array([ratio(mask) for mask in masks])
            inner = [int(mask[edge : key[0] - edge, edge : key[1] - edge].sum()) for mask in masks]
            self._borders[key] = np.array([int(m.sum()) > n for m, n in zip(masks, inner, strict=True)])
        return self._ratios[key], self._borders[key]

    def bucket(
        self, low: float | Decimal, high: float | Decimal, size: int | tuple[int, int] = 256, border: bool | None = None
    ) -> list[int]:
        """The indices of the masks whose ratio at `size` lies in (low, high] percent.

        border: True keeps masks with border contact, False those without, None both. Raises MaskError where none is.
        """
        height, width = checked_size(size)
        bucket = Bucket.of(low, high)
        fewest, most = bucket.counts(height * width)
        ratios, borders = self._measured(size)
        counts = np.rint(ratios * (height * width)).astype(int)
        keep = (counts >= fewest) & (counts <= most) & (True if border is None else borders == border)
        if not keep.any():
            contact = {None: "", True: " with border contact", False: " without border contact"}[border]
            raise MaskError(
                f"no mask of {self.path} lies in the bucket {bucket}{contact}: its {len(self)} masks "
                f"cover {100 * ratios.min():.1f} to {100 * ratios.max():.1f} % at {height}x{width}"
            )
        return np.flatnonzero(keep).tolist()

    def chosen(self, bucket: Bucket | None, options: tuple[str, ...], size: tuple[int, int]) -> list[int]:
        """The indices of the masks that a condition draws from: its bucket, and its option "border" or "inside"."""
        border = True if "border" in options else False if "inside" in options else None
        if bucket is None and border is None:
            return list(range(len(self)))
        bucket = bucket or Bucket.of(0, 100)
        return self.bucket(bucket.low, bucket.high, size, border)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files' contents in order, of the threshold and the polarity; names do not matter."""
        digest = hashlib.sha256(repr(self.threshold).encode() + b"inverted" * self.inverted)
        for index in range(len(self)):
            digest.update(self.content(index))
        return digest.hexdigest()

    def content(self, index: int) -> bytes:
        """SHA-256 of the bytes of file `index`, which is read again only after it changed."""
        file = self.files[index]
        try:
            at = file.stat()
            return _content(file, at.st_ino, at.st_size, at.st_mtime_ns)
        except OSError as error:
            raise MaskError(f"cannot read {file}: {error.strerror or error}") from error


@cache
def _content(file: Path, inode: int, size: int, changed: int) -> bytes:
    """Every training job of a plan asks for the 55,000 files that its method reads."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()


def folder_mask(request: Request, stream: Stream) -> np.ndarray:
    """A mask file of the folder, or of its bucket: each once in a random order of the seed, then all again."""
    path, options = request.argument, request.options
    if path is None:
        raise MaskError("it names no folder: write folder:<DIR> or folder:<DIR>/<a>-<b>")
    folder = opened(path, options)
    if "paired" in options:
        if request.image is None:
            raise MaskError("its masks belong to pictures: it needs their names")
        return folder.mask(folder.number(request.image), (request.height, request.width))
    size = request.height, request.width
    indices = folder.chosen(request.bucket, options, size)
    lap, place = divmod(request.index, len(indices))
    index = indices[_order(request.seed, lap, len(indices))[place]]
    pixels = folder.mask(index, size)
    try:
        pictures.check_hole(pixels, str(folder.files[index]), full=request.bucket is not None)
    except BenchError as error:
        raise MaskError(f"{error}, or ask for a bucket such as 10-20") from error
    return pixels


def check_paired(path: str, options: tuple[str, ...], images: Sequence[str]) -> None:
    """MaskError where pictures have no mask of their name, or two of them have the same one."""
    if missing := opened(path, options).missing(images):
        raise MaskError(
            f"{len(missing)} of {len(images)} images have no mask of their name in {path} "
            f"({', '.join(map(_stem, missing[:3]))}{', ...' if len(missing) > 3 else ''}): add them or drop /paired"
        )
    for what, names in (("images", images), ("masks", [file.name for file in opened(path, options).files])):
        if twice := [name for name, count in Counter(map(_stem, names)).items() if count > 1]:
            raise MaskError(f"{len(twice)} names are those of two {what} ({', '.join(twice[:3])}): leave out /paired")


def _stem(name: str) -> str:
    return unicodedata.normalize("NFC", Path(name).stem)


def opened(path: str, options: tuple[str, ...] = ()) -> MaskFolder:
    """The folder of a condition, opened once and again only after files were added or removed."""
    threshold = next((int(option[1:]) for option in options if option.startswith(">")), None)
    changed = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    return _opened(path, threshold, "inverted" in options, changed)


@lru_cache(maxsize=16)
def _opened(path: str, threshold: int | None, inverted: bool, changed: int) -> MaskFolder:
    return MaskFolder(path, threshold, inverted)


@lru_cache(maxsize=64)
def _order(seed: int, lap: int, n: int) -> list[int]:
    return Stream("folder", seed, lap).shuffled(range(n))
