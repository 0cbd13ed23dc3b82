"""What every guide says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench import pictures
from bench.card import Card
from bench.data import cache, preparing, sources
from bench.data import folder as files
from bench.data.cache import Progress, in_parallel
from bench.data.dataset import ImageData, Indices, floats
from bench.errors import BenchError
from bench.framing import CROP, Framing, Size, alike, extent, framed
from bench.given import Given, called, picture
from bench.metrics.images import to_uint8
from bench.store import digest, write_json

Value = Any
"""What guides the images of a batch: a tensor (N, ...), or a tuple of N texts."""
Sides = tuple[int, int]
"""Height and width in pixels."""
SHOWN = 3
"""Maps that are named one by one."""
MAX_BYTES = 1 << 28  # of a file that tells something of each picture
Maker = Callable[[Indices], Value]
"""Gives the guide of the images at these indices."""
Table = Callable[[Path, Sequence[str] | None, bool], tuple[list[str], np.ndarray]]
"""Reads such a file: names, of these pictures or else the file's own, and the value of each."""


@dataclass(frozen=True)
class Asked:
    """Who asks for a guide of which images, and what fixes its random draws."""

    images: ImageData
    user: str
    """Who needs it, for messages: a condition, or a method and its stage."""
    positions: Sequence[int] = ()
    """Of all images that are completed."""
    condition: str = ""
    source: str = ""
    """Of degraded pictures in this condition, see `bench.condition.Condition`."""
    seed: int = 0


@dataclass(frozen=True)
class Files:
    """Files of a guide that lie beside the images, and how they are read."""

    folder: Path
    size: Size
    cache: Path
    """The folder of the cache."""
    progress: Progress | None = None
    framing: Framing = CROP
    order: str | None = None
    """How label maps are numbered."""
    pictures: Path | None = None
    """The pictures that they belong to, where the data set has files."""
    content: str = ""
    """The fingerprint of these."""

    def check_shapes(self, fingerprint: str, named: Mapping[str, str], what: str, labels: bool = False) -> None:
        """BenchError where maps have another shape than their pictures: they would be framed to other places.

        `named`: a file of the map of each picture, by its name without suffix; `what` they are called. A map of another
        size is framed alike. What was found right is remembered by the content of both.
        """
        right = self.cache / "listings" / f"alike-{digest([self.content, fingerprint])[:16]}.json"
        if self.pictures is None or right.exists():
            return
        side = max(extent(self.size))
        with sources.opened(self.pictures, side) as shown, sources.opened(self.folder, side, labels=labels) as own:
            of = {files.stem(name): name for name in shown.names}

            def wrong(name: str) -> str:
                """What is wrong with the map of a picture, or nothing."""
                (width, height), (wide, tall) = (
                    pictures.size(source.read(file), source.place / file)
                    for source, file in ((own, named[name]), (shown, of[name]))
                )
                if alike((width, height), (wide, tall)):
                    return ""
                return f"{named[name]} has {width} x {height} pixels, its picture {of[name]} {wide} x {tall}"

            both = sorted(named.keys() & of.keys())
            found = [one for chunk in in_parallel(wrong, both, "checking", self.progress) for one in chunk if one]
        if found:
            raise BenchError(
                f"{self.folder}: {len(found):,} of {len(both):,} {what} have another shape than their pictures "
                f"({'; '.join(found[:SHOWN])}{'; ...' * (len(found) > SHOWN)}): cut them as the pictures were"
            )
        write_json(right, len(both))


@dataclass(frozen=True)
class Frame:
    """The picture for which a caller hands over a guide, and how label maps are numbered."""

    before: Sides
    """Of the picture as it was given."""
    size: Sides
    """Of the picture as it is completed."""
    framing: Framing = CROP
    """How it came into that size."""
    order: str | None = None

    def pixels(self, given: Given, name: str, alike: bool = True) -> Tensor:
        """A picture, brought into this frame: (1, 3, H, W) in [-1, 1]. `alike`: it belongs to it pixel by pixel."""
        shown = picture(given, name)
        if alike:
            self.check(shown.size, called(given, name))
        pixels = np.array(framed(shown, self.size, self.framing))
        return floats(torch.from_numpy(pixels).permute(2, 0, 1)[None])

    def check(self, size: tuple[int, int], name: str) -> None:
        """BenchError where a map, so wide and high, has another shape than its picture."""
        (width, height), (tall, wide) = size, self.before
        if not alike(size, (wide, tall)):
            raise BenchError(
                f"{name} has {width} x {height} pixels and its picture {wide} x {tall}: they must have one shape; cut "
                "it as the picture was"
            )


def known(images: ImageData, name: str, indices: Indices) -> Tensor | None:
    """What the data set knows of these images beside their pixels: (N, ...); None where it knows nothing."""
    found = images.known(name, indices)
    return None if found is None else torch.from_numpy(found)


def listed(given: Files, name: str, read: Table, *decides: Any) -> ImageData:
    """A file that tells something of each picture, read once into the cache as `name`, or what stands there.

    `decides`: what else than the file and the pictures decides the values.
    """
    file = given.folder
    source = sources.Folder(file.parent, [file.name])
    fingerprint, unchanged = preparing.hashed(source, given.cache, given.progress, f"{name} {file.name}", MAX_BYTES)
    unchanged(file.name)
    shown, named = None, True
    if given.pictures is not None:
        with sources.opened(given.pictures) as found:
            shown, named = list(found.names), found.named
    names, values = read(file, shown, named)
    facts = {"fingerprint": fingerprint, "filter": name, "ids": names}
    key = digest([cache.VERSION, fingerprint, name, *decides, names])
    entry, _ = preparing.entry(given.cache / f"{name}-{key[:16]}", facts, iter([{name: values}]), values.nbytes)
    return ImageData(file.name, given.size, fingerprint, names, name, entry)


class Guide(ABC):
    """What guides a completion beside the known pixels: where it comes from, and what becomes of it.

    A file of this package holds one, as `GUIDE`; its name is that of the file. A map has the picture's height and
    width last; what has none says what is done with it.
    """

    told: ClassVar[str]
    """What lies in its folder, for users of `facebench export inputs`."""
    remedy: ClassVar[str] = "take another data set"
    """What to do where a data set has none."""
    shown: ClassVar[bool] = True
    """Whether a condition may show it: `center/25+NAME`."""
    apart: ClassVar[bool] = False
    """Whether reports show it beside the input, as a picture of its own."""
    by_hand: ClassVar[str] = ""
    """What a caller hands over for one picture; none where only the images of a suite have it."""
    layer: ClassVar[int] = 0
    """Guides are drawn in this order, one over the other."""
    companion: ClassVar[str] = ""
    """What its own files are called among those beside the images (`ImageData.companions`)."""
    files: ClassVar[str] = ""
    """The same for people."""

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def of(self, asked: Asked) -> Maker:
        """What makes it; it gives None where the data set has none."""

    def prepared(self, files: Files) -> ImageData:
        """Its own files, read once into the cache."""
        raise BenchError(f"the guide {self.name} is read from no files: leave {files.folder} out")

    def handed(self, given: Any, frame: Frame) -> Value:
        """What a caller hands over for one picture, as that of a batch of one. BenchError where it is no such thing."""
        raise BenchError(f"{self.name}: only the images of a suite have it; leave it out")

    def check(self, images: ImageData, indices: Indices) -> None:
        """BenchError where its own files, if there are any, lack one of these images."""
        for name in self.reads("") & images.companions.keys():
            images.namesakes(images.companions[name], indices)

    def reads(self, source: str) -> Set[str]:
        """The companions of the images that decide it in a condition whose degraded pictures have this source."""
        return {self.companion} - {""}

    def learned(self, card: Card) -> bool:
        """Whether a method of that card may train on its own files, which then decide what is trained."""
        return self.name in (*card.needs, *card.takes, *card.learns)

    def mirrored(self, value: Value, width: int) -> Value:
        """That of the picture, so wide, mirrored left to right."""
        return value.flip(-1)

    def masked(self, value: Value, mask: Tensor) -> Value:
        """Where the mask (N, 1, H, W) is 1; elsewhere it says nothing."""
        return value * mask

    def resized(self, value: Value, before: Sides, after: Sides) -> Value:
        """That of the picture at another size: of a map in [0, 1], the largest value of what a pixel covers."""
        return F.adaptive_max_pool2d(value, after)

    def drawn(self, value: Value, inside: Tensor) -> Tensor:
        """The picture of holes, uint8 (N, 3, H, W), with the guide in it."""
        return inside

    def exported(self, value: Value) -> Sequence[Tensor | str]:
        """For each image, the picture (uint8, colours or grey) or the text that other programs are given."""
        return list(to_uint8(value))
