"""Images as the metrics take them: uint8 batches of one fixed size, from folders, tensors or streams."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.data.folder import converted, read
from bench.errors import BenchError

Source = str | os.PathLike[str] | Tensor | np.ndarray | Iterable[Tensor] | Callable[[], Iterable[Tensor]]
Batch = list[Tensor | None]  # one part for each source
BEYOND = 16.0  # a network may overshoot [-1, 1]; larger values are another range, such as [0, 255]
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}


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


def to_uint8(images: Tensor, name: str = "images") -> Tensor:
    """Float images in [-1, 1] to uint8: clamp, round. uint8 stays. NaN and infinity are errors that name `name`."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise BenchError(f"{name}: expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise BenchError(f"{name}: expected uint8 or float images in [-1, 1], got {images.dtype}")
    bad = ~images.isfinite().flatten(1).all(dim=1)
    if bad.any():
        which = ", ".join(str(int(i)) for i in bad.nonzero()[:5])
        raise BenchError(f"{name}: NaN or infinity in image {which} of its batch; the method diverged")
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_hole(masks: Tensor) -> Tensor:
    """Masks (N, 1, H, W) to bool, True = hole: float from 0.5, uint8 either 0/1 or from 128."""
    if masks.dtype == torch.bool:
        return masks
    if masks.is_floating_point():
        return masks >= 0.5
    return masks >= (128 if masks.numel() and int(masks.max()) > 1 else 1)


class Images:
    """A source of images (or masks) that is read once, in batches of uint8 (bool for masks).

    `ids`: the names that a folder's files must have, in order; None takes what is there. `exact`: a folder with other
    files than `ids` is an error (scored images must equal the manifest).
    """

    def __init__(
        self, source: Source, name: str, *, masks: bool = False, ids: Sequence[str] | None = None, exact: bool = True
    ) -> None:
        self.source, self.name, self.masks = source, name, masks
        self.ids: list[str] | None = None
        self.files: list[Path] = []
        if isinstance(source, str | os.PathLike):
            self.files = _files(Path(source), name, ids, exact)
            self.ids = [file.stem for file in self.files]
        elif isinstance(source, np.ndarray):
            self.source = torch.from_numpy(source)
        if isinstance(self.source, Tensor) and ids is not None and len(self.source) != len(ids):
            raise BenchError(f"{name} has {len(self.source)} images, expected {len(ids)}: one for each id")

    def batches(self, size: int) -> Iterator[Tensor]:
        """Batches of exactly `size` images; the last one may be smaller."""
        rest: Tensor | None = None
        for chunk in self._chunks(size):
            chunk = self._check(chunk)
            if rest is not None and rest.shape[1:] != chunk.shape[1:]:
                raise BenchError(f"{self.name}: images of different sizes: {_size(rest)} and {_size(chunk)}")
            chunk = chunk if rest is None else torch.cat([rest, chunk])
            whole = len(chunk) // size * size
            yield from chunk[:whole].split(size) if whole else ()
            rest = chunk[whole:]
        if rest is not None and len(rest):
            yield rest

    def _check(self, chunk: Tensor) -> Tensor:
        if not isinstance(chunk, Tensor):
            raise BenchError(f"{self.name}: expected batches of tensors, got {type(chunk).__name__}")
        if not self.masks:
            if chunk.is_floating_point() and (chunk.abs() > BEYOND).any() and chunk.isfinite().all():
                most = float(chunk.abs().max())
                raise BenchError(f"{self.name}: values up to {most:g}; float images are expected in [-1, 1]")
            return to_uint8(chunk, self.name)
        if chunk.ndim != 4 or chunk.shape[1] != 1:
            raise BenchError(f"{self.name}: expected masks of shape (N, 1, H, W), got {tuple(chunk.shape)}")
        return to_hole(chunk)

    def _chunks(self, size: int) -> Iterator[Tensor]:
        if self.files:
            for start in range(0, len(self.files), size):
                yield self._decode(self.files[start : start + size])
        elif isinstance(self.source, Tensor):
            yield from self.source.split(size)
        else:
            yield from cast(Iterable[Tensor], self.source() if callable(self.source) else self.source)

    def _decode(self, files: list[Path]) -> Tensor:
        arrays: list[np.ndarray] = []
        for file in files:
            kind = "L" if self.masks else "RGB"
            array = np.asarray(converted(read(file), file, partial(Image.Image.convert, mode=kind), FORMATS))
            if arrays and array.shape != arrays[0].shape:
                height, width = array.shape[:2]
                first = f"{arrays[0].shape[1]}x{arrays[0].shape[0]}"
                raise BenchError(f"{file} is {width}x{height} but {files[0].name} is {first}: resize them to one size")
            arrays.append(array)
        stacked = torch.from_numpy(np.stack(arrays))
        return stacked[:, None] >= 128 if self.masks else stacked.permute(0, 3, 1, 2).contiguous()


def _files(folder: Path, name: str, ids: Sequence[str] | None, exact: bool) -> list[Path]:
    if not folder.is_dir():
        raise BenchError(f"{name}: {folder} is not a folder of images")
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            other = found.setdefault(file.stem, file)
            if other != file:
                raise BenchError(f"{name}: {other} and {file.name} have one name: remove one of them")
    if not found:
        raise BenchError(f"{name}: no images in {folder}")
    if ids is None:
        return list(found.values())
    missing = [i for i in ids if i not in found]
    extra = sorted(set(found) - set(ids)) if exact else []
    if missing or extra:
        parts = [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        parts += [f"{len(extra)} not expected ({', '.join(extra[:3])})"] if extra else []
        raise BenchError(f"{name}: file names in {folder} do not match: {' and '.join(parts)}")
    return [found[i] for i in ids]


def composites(completed: Source, truth: Source, masks: Source, size: int = 32) -> Iterator[Tensor]:
    """`composite` of whole sources, in batches. Folders must hold files of the same names."""
    images = Images(completed, "completed")
    others = [Images(truth, "truth", ids=images.ids), Images(masks, "masks", masks=True, ids=images.ids)]
    return (composite(*cast(list[Tensor], batch)) for batch in zip_batches([images, *others], size))


def _size(images: Tensor) -> str:
    return f"{images.shape[-1]}x{images.shape[-2]}"


def zip_batches(sources: Sequence[Images | None], size: int) -> Iterator[Batch]:
    """Batches of several sources side by side; their lengths and picture sizes must agree."""
    streams = [source.batches(size) if source else None for source in sources]
    named = [source for source in sources if source]
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
            what = ", ".join(f"{source.name} {_size(part)}" for source, part in zip(named, parts, strict=True))
            raise BenchError(f"sizes differ: {what}; completed images, originals and masks must have one size")
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
