"""A prepared data set at one size: what training, evaluation and the metrics read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench import pictures
from bench.data import cache, captions, catalogue, degradation, lists, modalities, sources, splits, synthfaces
from bench.data import folder as files
from bench.data import labels as label_maps
from bench.data.cache import Batch, Progress
from bench.errors import BenchError, about
from bench.framing import CROP, Framing, Size, extent, framed, plain, told
from bench.isolation import one_thread
from bench.store import digest
from masks.generators.semantic import LABELS

Indices = Sequence[int] | np.ndarray | torch.Tensor
PICTURES = 2  # raised when entries of pictures hold more, or are checked for more, than those before
DIGEST = 16  # bytes that tell decoded pictures apart
RENDER_BATCH = 32
RENDERED = "rendered"
"""What stands in place of a filter's name for images that were drawn at their size."""
CAPTIONS = "captions"
"""Stands in its place for texts."""
GUIDES = ("semantics", "landmarks", "identity", "attributes")
REMEDIES = {"semantics": "give label maps with --labels", "text": "give text files with --captions"}


def floats(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


@dataclass(frozen=True)
class ImageData:
    """Images of one data set, decoded once to uint8 pictures of one `size` and read from a memory map.

    `ids` are relative POSIX paths in sorted order (of rendered faces: their numbers); an index counts in this order.
    `fingerprint` identifies the content (SHA-256). The object is small: it can be sent to worker processes.
    """

    name: str
    size: Size
    fingerprint: str
    ids: list[str] = field(repr=False)
    filter: str
    entry: Path
    """The cache entry that holds the arrays."""
    published: catalogue.Dataset | None = None
    """The published data set that this is a copy of, if its name is in the catalogue."""
    labels: ImageData | None = None
    """Label maps of a folder of images, as a folder of their own: the first channel holds the classes."""
    copies: ImageData | None = None
    """Degraded copies of the images, as a folder of their own."""
    texts: ImageData | None = None
    """Captions of the images, as a folder of their own, without images."""
    framing: Framing = CROP
    """How files became pictures of that size."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def beside(self) -> dict[str, str]:
        """Content of the label maps, degraded copies and captions, as far as there are any."""
        return {name: images.fingerprint for name, images in self.companions.items()}

    @property
    def companions(self) -> dict[str, ImageData]:
        """The label maps, degraded copies and captions, as far as there are any."""
        every = {"labels": self.labels, "copies": self.copies, "texts": self.texts}
        return {name: images for name, images in every.items() if images is not None}

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_arrays", "_position", "_stems")}

    def stored(self, indices: Indices) -> torch.Tensor:
        """The images at these indices: (N, 3, H, W) uint8, RGB, in the file's order: channels last in memory."""
        return torch.from_numpy(self._arrays["images"][np.asarray(indices, dtype=np.int64)]).permute(0, 3, 1, 2)

    def images(self, indices: Indices) -> torch.Tensor:
        """The images at these indices: (N, 3, H, W) uint8, RGB."""
        return self.stored(indices).contiguous()

    def floats(self, indices: Indices) -> torch.Tensor:
        """The images at these indices: (N, 3, H, W) float32 in [-1, 1]."""
        return floats(self.images(indices))

    def degraded(self, indices: Indices, recipe: str, seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The images at these indices, degraded by a recipe of `bench.data.degradation`, and as they should be.

        Both are (N, 3, H, W) uint8, channels last in memory; each image has its seed.
        """
        stored = self.stored(indices).permute(0, 2, 3, 1).numpy()
        rngs = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        pairs = [degradation.degrade(one, recipe, rng) for one, rng in zip(stored, rngs, strict=True)]
        copies, clean = (torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) for side in zip(*pairs, strict=True))
        return copies, clean

    def copy_of(self, indices: Indices) -> torch.Tensor:
        """The degraded copies of these images: (N, 3, H, W) float32 in [-1, 1]."""
        if self.copies is None:
            raise BenchError(f"{self.name} has no degraded copies: give their folder with --degraded {self.name}=DIR")
        return self.copies.floats(self.namesakes(self.copies, indices))

    def semantics(self, indices: Indices) -> torch.Tensor | None:
        """Class of every pixel, in the order of `LABELS`: (N, H, W) uint8; None when the data set has none."""
        return self._guide("semantics", indices)

    def landmarks(self, indices: Indices) -> torch.Tensor | None:
        """68 landmarks in iBUG's order, (x, y) in pixels: (N, 68, 2) float32; None when the data set has none."""
        return self._guide("landmarks", indices)

    def identity(self, indices: Indices) -> torch.Tensor | None:
        """Number of the person in every image: (N,) int64; None when the data set has none."""
        return self._guide("identity", indices)

    def attributes(self, indices: Indices) -> torch.Tensor | None:
        """Attributes in the order of `synthfaces.ATTRIBUTES`: (N, K) float32 in [0, 1]; None when there are none."""
        return self._guide("attributes", indices)

    def indices(self, ids: Sequence[str]) -> list[int]:
        """Where these ids stand; BenchError names one that the data set has not."""
        try:
            return [self._position[name] for name in ids]
        except KeyError as error:
            raise BenchError(f"{self.name} has no image {error}: draw the split of this data set again") from error

    def split(
        self,
        seed: int,
        train: int | None = None,
        test: int | None = None,
        given: Mapping[str, Path] = MappingProxyType({}),
    ) -> splits.Split:
        """Draw the split of this data set, or read it from the files that are `given` (see `bench.data.lists`).

        In this order: people are kept apart where the data set knows them; `train/` and `test/` folders are honoured;
        a data set of the catalogue has its published sizes; any other has `splits.default_test` test images.
        `train` and `test` overrule the sizes. Where the split is drawn by seed, what equals a test image does not
        train. Raises BenchError when there are too few images.
        """
        split = self._divided(seed, train, test, given)
        if split.rule == "seed" and (same := self.leaks(split)):
            return split.without(same)
        return split

    def leaks(self, split: splits.Split) -> dict[str, str]:
        """Training and validation images that equal a test image once they are decoded: id -> id of the test image."""
        digests = self._arrays.get("digests")
        if digests is None:
            return {}
        learned = (*split.train, *split.validation)
        tested = dict(zip(map(bytes, digests[self.indices(split.test)]), split.test, strict=True))
        keys = map(bytes, digests[self.indices(learned)])
        return {name: tested[key] for name, key in zip(learned, keys, strict=True) if key in tested}

    def _divided(self, seed: int, train: int | None, test: int | None, given: Mapping[str, Path]) -> splits.Split:
        if given:
            return lists.by_lists(self.name, self.fingerprint, self.ids, seed, given)
        identity = self._arrays.get("identity")
        if identity is not None:
            return splits.by_identity(self.name, self.fingerprint, self.ids, identity.tolist(), seed, train, test)
        if train is None and test is None:
            by_folder = splits.by_folder(self.name, self.fingerprint, self.ids, seed)
            if by_folder:
                return by_folder
            if self.published:
                return self.published.split(self.fingerprint, self.ids, seed)
        return splits.draw(self.name, self.fingerprint, self.ids, seed, train=train, test=test)

    def captions(self, indices: Indices) -> tuple[str, ...] | None:
        """What is said of each image; None when the data set has no captions."""
        if self.texts is not None:
            found = self.texts._arrays["text"][self.namesakes(self.texts, indices)]
            return tuple(text.decode() for text in found.tolist())
        known = self.attributes(indices)
        return None if known is None else tuple(captions.describe(values) for values in known.tolist())

    def guide(self, name: str, indices: Indices, user: str) -> torch.Tensor | tuple[str, ...]:
        """What guides a completion: one of `GUIDES`, a sketch, colours or text; BenchError tells `user` what lacks."""
        if name == "sketch":
            return modalities.sketch(self.images(indices))
        if name == "colour":
            labels = self.guide("semantics", indices, user)
            assert isinstance(labels, torch.Tensor)
            return modalities.colour_map(self.images(indices), labels)
        found = self.captions(indices) if name == "text" else self._guide(name, indices)
        if found is None:
            remedy = REMEDIES.get(name, "take another")
            raise BenchError(f"{user} needs {name}, and the data set {self.name} has none: {remedy}, or synthfaces")
        return found

    def _guide(self, name: str, indices: Indices) -> torch.Tensor | None:
        if name == "semantics" and self.labels is not None:
            return self.labels.images(self.namesakes(self.labels, indices))[:, 0].contiguous()
        array = self._arrays.get(name)
        return None if array is None else torch.from_numpy(array[np.asarray(indices, dtype=np.int64)])

    def namesakes(self, other: ImageData, indices: Indices) -> list[int]:
        """Where `other` has the files of the same names, whatever their suffixes."""
        names = [files.stem(self.ids[i]) for i in np.asarray(indices, dtype=np.int64)]
        try:
            return [other._stems[name] for name in names]
        except KeyError as error:
            raise BenchError(
                f"{other.name} has no image {error}: its files must be called like those of {self.name}"
            ) from error

    @cached_property
    def _stems(self) -> dict[str, int]:
        return {files.stem(name): index for index, name in enumerate(self.ids)}

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        loaded = cache.load(self.entry)
        if loaded is None:
            raise BenchError(
                f"the image cache {self.entry} is damaged or gone: run the same command again to rebuild it"
            )
        return loaded[1]

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.ids)}


def prepare_folder(
    folder: str | Path,
    size: Size,
    cache_dir: str | Path,
    name: str | None = None,
    progress: Progress | None = None,
    without: Mapping[Path, str] = MappingProxyType({}),
    framing: Framing = CROP,
) -> ImageData:
    """Decode a folder of images, or an archive of them, once into the cache, or reuse what stands there.

    Folders `without` are no part of it (see `bench.data.folder.find`). A second run compares the files' sizes and time
    stamps only. Without `name`, the data set is called like its folder and is not looked up in the catalogue. Raises
    BenchError for a folder without images and names the first file that cannot be read.
    """
    folder, cache_dir = Path(folder), Path(cache_dir)
    _check_size(size)
    published = catalogue.known(name) if name else None
    if published:
        folder = published.pictures_of(folder)
    with sources.opened(folder, max(extent(size)), without) as source:
        ids = source.names
        fingerprint, read = _hashed(source, cache_dir, progress)
        facts = {"fingerprint": fingerprint, "filter": files.FILTER, "size": plain(size), "ids": ids}
        odd: dict[str, str] = {}  # what is no photograph

        def decode(name: str) -> np.ndarray:
            image = pictures.decode(read(name), source.place / name)
            if what := files.annotation(image):
                odd[name] = what
            return framed(image, size, framing)

        def batches() -> Iterator[Batch]:
            with about(folder):
                for chunk in cache.in_parallel(decode, ids, "decoding", progress):
                    yield {"images": np.stack(chunk), "digests": np.stack([_digest(one) for one in chunk])}
                if odd:
                    raise BenchError(files.no_photographs(source.place, dict(sorted(odd.items())), len(ids)))

        key = _key([cache.VERSION, fingerprint, files.FILTER, size, PICTURES], framing)
        needed = len(ids) * (3 * prod(extent(size)) + DIGEST)
        entry, _ = _prepare(_entry(cache_dir, size, key), facts, batches(), needed)
    called = name or sources.title(folder)
    return ImageData(called, size, fingerprint, ids, files.FILTER, entry, published, framing=framing)


def prepare_labels(
    folder: str | Path,
    size: Size,
    cache_dir: str | Path,
    order: str | None = None,
    progress: Progress | None = None,
    framing: Framing = CROP,
) -> ImageData:
    """Decode a place of label maps, or of CelebAMask-HQ's part files, once into the cache, or reuse what stands there.

    `order`: of the numbers in the files, one of `bench.data.labels.ORDERS`, default the project's own; the cache holds
    our numbers. The names of part files tell their classes. Raises BenchError for a folder without images, for maps
    that contradict the order as a whole (see `bench.data.labels.check_order`), and names the first file that cannot be
    read.
    """
    folder, cache_dir = Path(folder), Path(cache_dir)
    _check_size(size)
    with sources.opened(folder, max(extent(size)), labels=True) as source:
        fingerprint, read = _hashed(source, cache_dir, progress)
        with about(folder):
            parts = label_maps.parts(source.place, source.names)
        ids = list(parts) or source.names
        stored = label_maps.CELEBAMASK if parts else order or label_maps.OWN
        if stored != label_maps.OWN:  # equal files mean other classes
            fingerprint = digest([fingerprint, stored])
        facts = {"fingerprint": fingerprint, "filter": files.NEAREST, "size": plain(size), "ids": ids}

        def decode(name: str) -> np.ndarray:
            if parts:
                classes = label_maps.joined(source.place, parts[name], read)
            else:
                classes = pictures.decode_labels(read(name), source.place / name, len(LABELS))
            return framed(Image.fromarray(classes).convert("RGB"), size, framing, labels=True)

        def batches() -> Iterator[Batch]:
            rows = np.zeros((len(LABELS), extent(size)[0]), np.int64)
            with about(folder):
                for chunk in cache.in_parallel(decode, ids, "decoding", progress):
                    maps = np.stack(chunk)
                    rows += label_maps.rows(maps[..., 0])
                    yield {"images": label_maps.RENUMBER[stored][maps]}
                if not parts:  # the last step of building: an entry that stands was checked
                    label_maps.check_order(rows, stored, folder, order is not None)

        key = _key([cache.VERSION, fingerprint, files.NEAREST, stored, size], framing)
        needed = len(ids) * 3 * prod(extent(size))
        entry, _ = _prepare(_entry(cache_dir, size, key), facts, batches(), needed)
    return ImageData(sources.title(folder), size, fingerprint, ids, files.NEAREST, entry, framing=framing)


def prepare_captions(
    folder: str | Path, size: Size, cache_dir: str | Path, progress: Progress | None = None
) -> ImageData:
    """Read a folder of captions (NAME.txt, see `bench.data.captions`) once into the cache, or reuse what stands there.

    Raises BenchError for a folder without text files and names the first file that cannot be read.
    """
    folder, cache_dir = Path(folder), Path(cache_dir)
    ids = files.find(folder, captions.SUFFIXES, "captions", "text files, NAME.txt")
    fingerprint, read = _hashed(sources.Folder(folder, ids), cache_dir, progress, CAPTIONS, captions.MAX_BYTES)

    def decode(name: str) -> bytes:
        return captions.decode(read(name), folder / name).encode()

    def batches() -> Iterator[Batch]:
        for chunk in cache.in_parallel(decode, ids, "reading", progress):
            yield {"text": np.array(chunk, dtype=f"S{captions.LONGEST}")}

    facts = {"fingerprint": fingerprint, "filter": CAPTIONS, "ids": ids}
    key = digest([cache.VERSION, fingerprint, CAPTIONS])
    entry, _ = _prepare(cache_dir / f"{CAPTIONS}-{key[:16]}", facts, batches(), len(ids) * captions.LONGEST)
    return ImageData(folder.resolve().name, size, fingerprint, ids, CAPTIONS, entry)


def prepare_synthfaces(
    count: int, size: int, seed: int, cache_dir: str | Path, progress: Progress | None = None
) -> ImageData:
    """Render the first `count` synthetic faces of this seed once into the cache, with all that is known about them.

    The entry is keyed by the renderer's source code, the count, the seed and the size.
    """
    _check_size(size)
    if count < 1:
        raise BenchError(f"synthfaces: {count} images were asked for: choose at least 1")
    code = [path.read_text("utf-8") for path in sorted(Path(synthfaces.__file__).parent.glob("*.py"))]
    ids = [f"{index:06d}" for index in range(count)]
    facts = {"filter": RENDERED, "size": size, "seed": seed, "ids": ids}

    def render(start: int) -> Batch:
        faces = synthfaces.render(range(start, min(start + RENDER_BATCH, count)), size, seed)
        images = faces.images.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
        guides = {name: getattr(faces, name).numpy() for name in GUIDES}
        return {"images": images.contiguous().numpy(), **guides}

    def batches() -> Iterator[Batch]:
        with one_thread(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # a batch a core is faster
            for done, batch in enumerate(pool.map(render, range(0, count, RENDER_BATCH)), 1):
                yield batch
                if progress is not None:
                    progress("rendering", min(done * RENDER_BATCH, count), count)

    key = digest([cache.VERSION, code, count, seed, size])
    entry, manifest = _prepare(
        Path(cache_dir) / f"synthfaces-{size}px-{key[:16]}", facts, batches(), count * size**2 * 4
    )
    return ImageData("synthfaces", size, digest(manifest["arrays"]), ids, RENDERED, entry)


def _hashed(
    source: sources.Source,
    cache_dir: Path,
    progress: Progress | None,
    kind: str | None = None,
    most: int = files.MAX_BYTES,
) -> tuple[str, Callable[[str], bytes]]:
    """The fingerprint of the files in a place, and what reads one of them as it was hashed.

    `kind` tells the files of one place apart from others of it; each has at most `most` bytes.
    """
    place = str(source.place.resolve())
    listing = cache_dir / "listings" / f"{digest([place, kind] if kind else place)[:16]}.json"
    hashes = files.hash_files(source, listing, progress, most)

    def read(name: str) -> bytes:
        data = source.read(name, most)
        if hashlib.sha256(data).hexdigest() != hashes[name]:
            raise BenchError(
                f"{source.place / name} changed while the data set was prepared: run the same command again"
            )
        return data

    return files.fingerprint(hashes), read


def _digest(picture: np.ndarray) -> np.ndarray:
    """(DIGEST,) uint8 of a decoded picture: equal pictures have equal ones."""
    return np.frombuffer(hashlib.sha256(np.ascontiguousarray(picture).data).digest()[:DIGEST], np.uint8)


def _key(parts: list[Any], framing: Framing) -> str:
    return digest([*parts, framing.decides] if framing.decides else parts)


def _entry(cache_dir: Path, size: Size, key: str) -> Path:
    return cache_dir / f"{told(size).replace(' ', '')}px-{key[:16]}"


def _check_size(size: Size) -> None:
    if min(extent(size)) < 1:
        raise BenchError(f"the image size is {told(size)}: choose at least 1 pixel, for instance 256")


def _prepare(
    entry: Path, facts: Mapping[str, Any], batches: Iterator[Batch], needed_bytes: int
) -> tuple[Path, Mapping[str, Any]]:
    """The entry and its manifest, built now unless it stands already."""
    loaded = cache.load(entry)
    if loaded is None:
        with cache.locked(entry):
            loaded = cache.load(entry)  # another process may have built it while this one waited
            if loaded is None:
                cache.build(entry, facts, len(facts["ids"]), batches, needed_bytes)
                loaded = cache.load(entry)
    if loaded is None:
        raise BenchError(f"the image cache {entry} was written and cannot be read back: check the disk")
    return entry, loaded[0]
