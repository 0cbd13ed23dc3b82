"""A prepared data set at one size: what training, evaluation and the metrics read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from bench import pictures
from bench.data import cache, catalogue, lists, preparing, sources, splits, synthfaces
from bench.data import folder as files
from bench.data.cache import Batch, Progress
from bench.errors import BenchError, about
from bench.framing import CROP, Framing, Size, extent, framed, plain
from bench.isolation import one_thread
from bench.store import digest

Indices = Sequence[int] | np.ndarray | torch.Tensor
PICTURES = 2  # raised when entries of pictures hold more, or are checked for more, than those before
DIGEST = 16  # bytes that tell decoded pictures apart
RENDER_BATCH = 32
RENDERED = "rendered"
"""What stands in place of a filter's name for images that were drawn at their size."""
KNOWN = ("semantics", "landmarks", "identity", "attributes")
"""What is kept of synthetic faces beside their pixels (see `bench.data.synthfaces.Faces`)."""
PEOPLE = "identities"
"""The companion that tells whom each image shows."""
UNKNOWN = -1
"""Of an image of which it does not."""


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
    companions: Mapping[str, ImageData] = field(default_factory=dict)
    """Files that guide beside the images, each kind as a data set of its own (see `bench.data.guides`)."""
    framing: Framing = CROP
    """How files became pictures of that size."""
    place: Path | None = None
    """Where the files are."""
    named: bool = True
    """Whether the ids are names that the makers gave (see `bench.data.sources.Source`)."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def beside(self) -> dict[str, str]:
        """Content of the companions."""
        return {name: images.fingerprint for name, images in self.companions.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_loaded", "_position", "_stems")}

    def stored(self, indices: Indices) -> torch.Tensor:
        """The images at these indices: (N, 3, H, W) uint8, RGB, in the file's order: channels last in memory."""
        return torch.from_numpy(self._arrays["images"][np.asarray(indices, dtype=np.int64)]).permute(0, 3, 1, 2)

    def images(self, indices: Indices) -> torch.Tensor:
        """The images at these indices: (N, 3, H, W) uint8, RGB."""
        return self.stored(indices).contiguous()

    def floats(self, indices: Indices) -> torch.Tensor:
        """The images at these indices: (N, 3, H, W) float32 in [-1, 1]."""
        return floats(self.images(indices))

    def known(self, name: str, indices: Indices) -> np.ndarray | None:
        """What the entry holds of these images beside pixels, such as `KNOWN`: (N, ...); None where it lacks it."""
        array = self._arrays.get(name)
        return None if array is None else array[np.asarray(indices, dtype=np.int64)]

    def people(self, indices: Indices) -> np.ndarray | None:
        """The number of the person whom each of these images shows: (N,) int64; None where people are not known.

        Raises BenchError where their list lacks one of these images.
        """
        listed = self.companions.get(PEOPLE)
        if listed is None:
            return self.known("identity", indices)
        found = listed._arrays["identity"][self.namesakes(listed, indices)]
        if lacking := [self.ids[i] for i in np.asarray(indices)[found == UNKNOWN]]:
            raise BenchError(
                f"{listed.place or listed.name} does not say whom {len(lacking):,} of {len(indices):,} images of "
                f"{self.name} show ({lists.some(lacking)}): add their lines, `NAME PERSON`"
            )
        return found

    @property
    def seed(self) -> int | None:
        """That of rendered faces, with which their scenes are drawn again; None for files."""
        return self._loaded[0].get("seed")

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

        In this order: synthetic people are kept apart; `train/` and `test/` folders are honoured; a data set of the
        catalogue has its published sizes; any other has `splits.default_test` test images, of other people than train
        where a list tells them. `train` and `test` overrule the sizes. Where the split is drawn, what equals a test
        image does not train. Raises BenchError when there are too few images.
        """
        split = self._divided(seed, train, test, given)
        if split.rule in ("seed", "identity") and (same := self.leaks(split)):
            return split.without(same)
        return split

    def leaks(self, split: splits.Split, trained: ImageData | None = None) -> dict[str, str]:
        """Training and validation images that equal a test image once they are decoded: id -> id of the test image.

        `trained`: the data set of which all images train in place of the split's.
        """
        learned = trained.ids if trained else (*split.train, *split.validation)
        tested = dict(zip(self._digests(split.test), split.test, strict=False))
        keys = (trained or self)._digests(learned)
        return {name: tested[key] for name, key in zip(learned, keys, strict=False) if key in tested}

    def _digests(self, ids: Sequence[str]) -> list[bytes]:
        """Of these decoded images; none of rendered faces."""
        digests = self._arrays.get("digests")
        return [] if digests is None else [bytes(one) for one in digests[self.indices(ids)]]

    def _divided(self, seed: int, train: int | None, test: int | None, given: Mapping[str, Path]) -> splits.Split:
        if given:
            return lists.by_lists(self.name, self.fingerprint, self.ids, seed, given, self.named)
        identity = self._arrays.get("identity")
        if identity is not None:
            return splits.by_identity(self.name, self.fingerprint, self.ids, identity.tolist(), seed, train, test)
        if train is None and test is None:
            by_folder = splits.by_folder(self.name, self.fingerprint, self.ids, seed)
            if by_folder:
                return by_folder
            if self.published:
                return self.published.split(self.fingerprint, self.ids, seed)
        people = self.people(range(len(self))) if PEOPLE in self.companions and train != 0 else None
        if people is not None:
            return splits.draw_people(self.name, self.fingerprint, self.ids, people.tolist(), seed, train, test)
        return splits.draw(self.name, self.fingerprint, self.ids, seed, train=train, test=test)

    def namesakes(self, other: ImageData, indices: Indices) -> list[int]:
        """Where `other` has the files of the same names, whatever their suffixes."""
        names = [files.stem(self.ids[i]) for i in np.asarray(indices, dtype=np.int64)]
        if lacking := list(dict.fromkeys(name for name in names if name not in other._stems)):
            raise BenchError(
                f"{other.place or other.name} lacks {len(lacking):,} of {len({*names}):,} images of {self.name} "
                f"({lists.some(lacking)}): {_remedy(lacking[0], [*other._stems])}"
            )
        return [other._stems[name] for name in names]

    @cached_property
    def _stems(self) -> dict[str, int]:
        return {files.stem(name): index for index, name in enumerate(self.ids)}

    @property
    def _arrays(self) -> Mapping[str, np.ndarray]:
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[Mapping[str, Any], Mapping[str, np.ndarray]]:
        """Manifest and arrays of the entry."""
        loaded = cache.load(self.entry)
        if loaded is None:
            raise BenchError(
                f"the image cache {self.entry} is damaged or gone: run the same command again to rebuild it"
            )
        return loaded

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
    preparing.check_size(size)
    published = catalogue.known(name) if name else None
    with sources.opened(folder, max(extent(size)), without, within=published.pictures if published else ()) as source:
        ids, named, place = source.names, source.named, source.place
        fingerprint, read = preparing.hashed(source, cache_dir, progress)
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

        key = preparing.key([cache.VERSION, fingerprint, files.FILTER, size, PICTURES], framing)
        needed = len(ids) * (3 * prod(extent(size)) + DIGEST)
        entry, _ = preparing.entry(preparing.place(cache_dir, size, key), facts, batches(), needed)
    called = name or sources.title(folder)
    return ImageData(
        called, size, fingerprint, ids, files.FILTER, entry, published, framing=framing, place=place, named=named
    )


def prepare_synthfaces(
    count: int, size: int, seed: int, cache_dir: str | Path, progress: Progress | None = None
) -> ImageData:
    """Render the first `count` synthetic faces of this seed once into the cache, with all that is known about them.

    The entry is keyed by the renderer's source code, the count, the seed and the size.
    """
    preparing.check_size(size)
    if count < 1:
        raise BenchError(f"synthfaces: {count} images were asked for: choose at least 1")
    code = [path.read_text("utf-8") for path in sorted(Path(synthfaces.__file__).parent.glob("*.py"))]
    ids = [f"{index:06d}" for index in range(count)]
    facts = {"filter": RENDERED, "size": size, "seed": seed, "ids": ids}

    def render(start: int) -> Batch:
        faces = synthfaces.render(range(start, min(start + RENDER_BATCH, count)), size, seed)
        images = faces.images.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
        guides = {name: getattr(faces, name).numpy() for name in KNOWN}
        return {"images": images.contiguous().numpy(), **guides}

    def batches() -> Iterator[Batch]:
        with one_thread(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # a batch a core is faster
            for done, batch in enumerate(pool.map(render, range(0, count, RENDER_BATCH)), 1):
                yield batch
                if progress is not None:
                    progress("rendering", min(done * RENDER_BATCH, count), count)

    key = digest([cache.VERSION, code, count, seed, size])
    entry, manifest = preparing.entry(
        Path(cache_dir) / f"synthfaces-{size}px-{key[:16]}", facts, batches(), count * size**2 * 4
    )
    return ImageData("synthfaces", size, digest(manifest["arrays"]), ids, RENDERED, entry)


def _remedy(name: str, others: Sequence[str]) -> str:
    """What to do where none of the files that belong to images, without suffixes, is called like this one."""
    above, _, last = name.rpartition("/")
    if above and last in others:
        return f"their files have the same names without {above}/: give the folder {above}/ as that of the images"
    if below := next((other.removesuffix(name) for other in others if other.endswith(f"/{name}")), ""):
        return f"files of these names lie in its {below}: give that folder"
    return f"add files of these names (those here are called {lists.some(sorted(others))})"


def _digest(picture: np.ndarray) -> np.ndarray:
    """(DIGEST,) uint8 of a decoded picture: equal pictures have equal ones."""
    return np.frombuffer(hashlib.sha256(np.ascontiguousarray(picture).data).digest()[:DIGEST], np.uint8)
