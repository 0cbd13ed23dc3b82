"""Images as the metrics take them: uint8 batches of one fixed size, from folders, tensors or streams."""

from __future__ import annotations

import copy
import math
import os
import queue
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, Union, cast

import numpy as np
import torch
from torch import Tensor

from bench import matching, pictures
from bench.errors import BenchError, about
from bench.metrics.extent import Extent
from bench.progress import say
from masks import MaskSet

Stream = Iterable[Tensor] | Callable[[], Iterable[Tensor]]
Source = Union[str, os.PathLike[str], Tensor, np.ndarray, Stream, "Images"]
Batch = list[Tensor | None]  # one part for each source
Range = tuple[float, float]
SIGNED: Range = (-1.0, 1.0)
BEYOND = 7.5  # widths of the range by which a network may leave it; what is further off has another one: [0, 255]
OVERSHOOT = 0.5  # the same where the caller says the range


def composite(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Paste the known pixels of `image` into `output`, in 8 bits: what is scored and saved.

    `output`, `image`: (N, 3, H, W), float in [-1, 1] (clamped, rounded) or uint8; `mask`: (N, 1, H, W), 1 = hole.
    Returns uint8; known pixels are exactly those of the original.
    """
    output, image = to_uint8(output, "output"), to_uint8(image, "image")
    if output.shape != image.shape or mask.shape[-2:] != image.shape[-2:]:
        shapes = f"output {tuple(output.shape)}, image {tuple(image.shape)}, mask {tuple(mask.shape)}"
        raise BenchError(f"cannot composite images of different shapes: {shapes}")
    return torch.where(to_hole(mask), output, image)


def to_uint8(images: Tensor, name: str = "images", value_range: Range = SIGNED) -> Tensor:
    """Float images in that range to uint8: clamp, round. uint8 stays. NaN and infinity are errors that name `name`."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise BenchError(f"{name}: expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
    if images.dtype == torch.uint8:
        return images
    low, high = value_range
    if not images.is_floating_point():
        raise BenchError(f"{name}: expected uint8 or float images in [{low:g}, {high:g}], got {images.dtype}")
    bad = ~images.isfinite().flatten(1).all(dim=1)
    if bad.any():
        which = ", ".join(str(int(i)) for i in bad.nonzero()[:5])
        raise BenchError(f"{name}: NaN or infinity in image {which} of its batch; the method diverged")
    if value_range == SIGNED:
        return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return ((images.double().clamp(low, high) - low) * (255 / (high - low))).round().to(torch.uint8)


def to_hole(masks: Tensor, name: str = "masks") -> Tensor:
    """Masks (N, 1, H, W) to bool, True = hole: each holds 0 and 1, or 0 and 255. BenchError names other ones."""
    if masks.dtype == torch.bool:
        return masks
    values = masks.detach().cpu().float().numpy() if masks.is_floating_point() else masks.detach().cpu().numpy()
    parted = [pictures.holes(one, f"{name}, mask {i}") for i, one in enumerate(values)]
    return torch.from_numpy(np.stack(parted) if parted else np.zeros(masks.shape, bool)).to(masks.device)


class Images:
    """A source of images (or masks) that is read once, in batches of uint8 (bool for masks).

    `ids`: the names that a folder's files must have, in order; None takes what is there. `exact`: a folder with other
    files than `ids` is an error (scored images must equal the manifest). `value_range`: what floats lie in; without it
    they lie in [-1, 1], and hardly any below 0 is an error. `threshold`, `inverted`: of mask files, see
    `bench.pictures.decode_mask`. `match`: how files are called, see `bench.matching.listed`; `called`: the id of each
    name that is found so, where that is another one.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        *,
        masks: bool = False,
        ids: Sequence[str] | None = None,
        exact: bool = True,
        value_range: Range | None = None,
        threshold: int | None = None,
        inverted: bool = False,
        match: str = matching.PLAIN,
        called: Mapping[str, str] | None = None,
    ) -> None:
        self.source, self.name, self.masks, self.threshold, self.inverted = source, name, masks, threshold, inverted
        self.value_range = None if value_range is None else _checked_range(value_range)
        self.ids: list[str] | None = None
        self.files: list[Path] = []
        self.extent = Extent()  # of floats
        self.first = ""  # size of the first image
        if isinstance(source, str | os.PathLike):
            with about(source):
                found = _files(Path(source), name, ids, exact, match, called)
            self.ids, self.files = list(found), list(found.values())
        elif isinstance(source, np.ndarray):
            self.source = _tensor(source, name)
        if isinstance(self.source, Tensor) and ids is not None and len(self.source) != len(ids):
            raise BenchError(f"{name} has {len(self.source)} images, expected {len(ids)}: one for each id")

    def only(self, ids: Sequence[str]) -> Images:
        """These images of a folder, in this order."""
        found, chosen = dict(zip(self.ids or [], self.files, strict=True)), copy.copy(self)
        chosen.ids, chosen.files = list(ids), [found[name] for name in ids]
        return chosen

    def batches(self, size: int) -> Iterator[Tensor]:
        """Batches of exactly `size` images, all of one height and width; the last one may be smaller."""
        if isinstance(self.source, Tensor) and not self.masks:
            self._observe(self.source)
            self._check_range()
        rest: Tensor | None = None
        done = 0
        for chunk in self._chunks(size):
            chunk = self._check(chunk)
            self._check_size(chunk, done)
            done += len(chunk)
            chunk = chunk if rest is None else torch.cat([rest, chunk])
            whole = len(chunk) // size * size
            yield from chunk[:whole].split(size) if whole else ()
            rest = chunk[whole:]
        self._check_range()
        if rest is not None and len(rest):
            yield rest

    def _check_size(self, images: Tensor, number: int) -> None:
        """Images from `number` on must be as large as the first one."""
        self.first = self.first or _size(images)
        if _size(images) != self.first:
            raise BenchError(
                f"{self.label(number)} is {_size(images)} but {self.label(0)} is {self.first}: "
                "resize them to one size, or measure those of each size by themselves"
            )

    def about(self) -> AbstractContextManager[None]:
        """Errors that are raised within are about the folder, where the source is one."""
        return about(cast("os.PathLike[str]", self.source) if self.files else None)

    def label(self, number: int) -> str:
        """What to call image `number` in messages: its file, where it has one."""
        return str(self.files[number]) if self.files else f"image {number} of {self.name}"

    def _check(self, chunk: Tensor) -> Tensor:
        if not isinstance(chunk, Tensor):
            raise BenchError(f"{self.name}: expected batches of tensors, got {type(chunk).__name__}")
        if self.masks:
            if chunk.ndim != 4 or chunk.shape[1] != 1:
                raise BenchError(f"{self.name}: expected masks of shape (N, 1, H, W), got {tuple(chunk.shape)}")
            return to_hole(chunk, self.name)
        self._observe(chunk)
        return to_uint8(chunk, self.name, self.value_range or SIGNED)

    def _observe(self, images: Tensor) -> None:
        """Follow the range of floats; BenchError where it is another than was said."""
        if not images.is_floating_point() or not images.numel() or not images.isfinite().all():
            return
        self.extent.add(images)
        least, most = self.extent.least, self.extent.most
        low, high = self.value_range or SIGNED
        beyond = (high - low) * (OVERSHOOT if self.value_range else BEYOND)
        if least < low - beyond or most > high + beyond:
            raise BenchError(
                f"{self.name}: values of {least:g} to {most:g}; float images are expected in "
                f"[{low:g}, {high:g}]: say value_range=(0, 255), for example, if theirs is another one"
            )

    def _check_range(self) -> None:
        """After the last image: the same numbers mean other colours in another range."""
        least, most = self.extent.least, self.extent.most
        if most < least:
            return
        low, high = self.value_range or SIGNED
        if self.value_range is None and (self.extent.unit or 0 <= least < most):
            raise BenchError(
                f"{self.name}: hardly any float is below 0 (they are {least:g} to {most:g}), so they hardly lie in "
                "[-1, 1]: say value_range=(0, 1), or value_range=(-1, 1) if they do"
            )
        if self.value_range and high - low > 2 and most - low <= (high - low) / 255:
            raise BenchError(
                f"{self.name}: floats of {least:g} to {most:g} hardly lie in [{low:g}, {high:g}]: say "
                "another value_range"
            )

    def _chunks(self, size: int) -> Iterator[Tensor]:
        if self.files:
            for start in range(0, len(self.files), size):
                with self.about():
                    decoded = self._decode(start, start + size)
                yield decoded
        elif isinstance(self.source, Tensor):
            yield from self.source.split(size)
        else:
            yield from cast(Iterable[Tensor], self.source() if callable(self.source) else self.source)

    def _decode(self, start: int, stop: int) -> Tensor:
        decoded: list[Tensor] = []
        for number, file in enumerate(self.files[start:stop], start):
            data = pictures.read(file)
            if self.masks:
                hole = pictures.decode_mask(data, file, self.threshold, self.inverted)
                array = pictures.check_hole(hole, str(file))[None]
            else:
                array = np.array(pictures.decode(data, file)).transpose(2, 0, 1)
            image = torch.from_numpy(array)
            self._check_size(image, number)
            decoded.append(image)
        return torch.stack(decoded)


def opened(source: Source, name: str, **options: Any) -> Images:
    """The source itself where it is opened, else `Images` of it. BenchError where it has other names than `ids`."""
    if not isinstance(source, Images):
        return Images(source, name, **options)
    ids = options.get("ids")
    if ids is not None and source.ids is not None and list(ids) != source.ids:
        raise BenchError(f"{name}: its names are not those that are expected: open it with ids")
    return source


def frozen(path: Path, images: Images) -> Images:
    """The masks of a frozen set that belong to these images, by name; those without files take them in order."""
    chosen = MaskSet.of(path, images.ids) if images.ids else MaskSet.load(path)
    return Images(lambda: (torch.from_numpy(mask)[None, None] for mask in chosen), "masks", masks=True)


def _checked_range(given: Any) -> Range:
    """Two finite numbers, the lower one first."""
    try:
        low, high = (math.nan, math.nan) if isinstance(given, str) else map(float, given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise BenchError(f"value_range: {given!r} is no range: give two numbers, the lower one first, such as (0, 1)")
    return low, high


def _tensor(array: np.ndarray, name: str) -> Tensor:
    """An array of any byte order and strides; it is copied only where torch cannot take it as it lies."""
    if min(array.strides, default=0) < 0 or not array.dtype.isnative:
        array = np.array(array, array.dtype.newbyteorder("="))
    try:
        with warnings.catch_warnings(action="ignore"):  # a read-only one may be used, for nothing is written to it
            return torch.from_numpy(array)
    except TypeError as error:
        raise BenchError(f"{name}: arrays of {array.dtype} are not read: give uint8 or floats") from error


def _files(
    folder: Path, name: str, ids: Sequence[str] | None, exact: bool, match: str, called: Mapping[str, str] | None
) -> dict[str, Path]:
    if not folder.is_dir():
        raise BenchError(f"{name}: {folder} is not a folder of images")
    try:
        found, unread = matching.listed(folder, match)
    except BenchError as error:
        raise BenchError(f"{name}: {error}") from error
    left_out = ", ".join(f"{count} files {suffix}" for suffix, count in unread.items())
    if not found:
        more = f" that can be read, only {left_out}: save them as PNG" if left_out else ""
        pattern = f" called {match}" if match != matching.PLAIN else ""
        raise BenchError(f"{name}: no images{pattern} in {folder}{more}")
    if left_out:
        say(f"left out of {folder}: {left_out} (not read: save them as PNG)")
    if called is not None:
        found = {called.get(stem, stem): path for stem, path in found.items()}
    if ids is None:
        return found
    missing = [i for i in ids if i not in found]
    extra = sorted(set(found) - set(ids)) if exact else []
    if missing or extra:
        parts = [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        parts += [f"{len(extra)} not expected ({', '.join(extra[:3])})"] if extra else []
        raise BenchError(f"{name}: file names in {folder} do not match: {' and '.join(parts)}")
    return {i: found[i] for i in ids}


def composites(
    completed: Source, truth: Source, masks: Source, size: int = 32, threshold: int | None = None
) -> Iterator[Tensor]:
    """`composite` of whole sources, in batches. Folders must hold files of the same names."""
    images = opened(completed, "completed")
    originals = opened(truth, "truth", ids=images.ids)
    holes = opened(masks, "masks", masks=True, ids=images.ids, threshold=threshold)
    return (composite(*cast(list[Tensor], batch)) for batch in zip_batches([images, originals, holes], size))


def _size(images: Tensor) -> str:
    return f"{images.shape[-1]}x{images.shape[-2]}"


def zip_batches(sources: Sequence[Images | None], size: int) -> Iterator[Batch]:
    """Batches of several sources side by side; their lengths and picture sizes must agree."""
    streams = [source.batches(size) if source else None for source in sources]
    named = [source for source in sources if source]
    done = 0
    while True:
        batch = [next(stream, None) if stream else None for stream in streams]
        lengths = [len(part) if part is not None else 0 for part, stream in zip(batch, streams, strict=True) if stream]
        if not any(lengths):
            return
        if len(set(lengths)) > 1:
            few, many = named[lengths.index(min(lengths))].name, named[lengths.index(max(lengths))].name
            raise BenchError(f"{few} has fewer images than {many}: every image needs its counterpart")
        shapes = {_size(part) for part in batch if part is not None}
        if len(shapes) > 1:
            parts = [part for part in batch if part is not None]
            what = ", ".join(
                f"{source.label(done)} ({source.name}) is {_size(part)}"
                for source, part in zip(named, parts, strict=True)
            )
            with named[0].about():
                raise BenchError(
                    f"sizes differ: {what}; completed images, originals and masks must have one size: "
                    "crop what was padded, or resize"
                )
        done += max(lengths)
        yield batch


def prefetch(batches: Iterator[Batch], depth: int = 4) -> Generator[Batch, None, None]:
    """Run `batches` in a thread, `depth` ahead, so that decoding overlaps with the networks."""
    waiting: queue.Queue[object] = queue.Queue(depth)
    stop, end = threading.Event(), object()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(end)
        except BaseException as error:  # raised again by the reader
            put(error)

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield cast(Batch, item)
    finally:
        stop.set()
        thread.join()


def prefetched(sources: Sequence[Images | None], size: int) -> closing[Generator[Batch, None, None]]:
    """`zip_batches` read ahead in a thread; a context manager that ends the thread."""
    return closing(prefetch(zip_batches(sources, size)))
