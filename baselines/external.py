"""External: finished images of any other program, measured like every other method."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench import matching, ordered, pictures
from bench.data import folder as files
from bench.errors import BenchError, about
from bench.method import Batch, Card, Config, Method, Noise
from bench.samples import image_file
from bench.store import file_slug

SHOWN = 5  # images in a message

CARD = Card(
    slug="external",
    name="External",
    title="Finished images made by any other program",
    authors="-",
    year=None,
    venue="-",
    url="",
    takes=("degraded",),
    finished=True,
    notes="option `folder`: FOLDER/<condition>/<image name>.png (or another suffix that is read), or "
    "FOLDER/<image name>.png for all conditions; in <condition> every `/` and `:` is `_`, for example irregular_40-50; "
    "option `match`: how the files are called, if otherwise: '{name}_pred', '{name}/0'; '{name}_{k}' for as many "
    "completions of each image as the suite's `completions`, counted from 0 or 1; option `order`: a list of the "
    "images, one name a line, in the order in which the files are numbered",
)


class ExternalConfig(Config):
    """Where the images are."""

    folder: Path | None = None  # finished images, matched by the names of the test images
    match: str = matching.PLAIN  # how they are called, without suffix; {k}: which completion of the image

    order: Path | None = None  # list by whose lines the images are numbered

    def files(self) -> list[Path]:
        return [path for path in (self.folder, self.order) if path]


class External(Method):
    """Reads the image of the same name; sizes must be equal."""

    card = CARD
    Config = ExternalConfig
    config: ExternalConfig
    presets = {"paper": ExternalConfig()}

    def __init__(self, config: ExternalConfig):
        super().__init__(config)
        self.listed: dict[tuple[Path, str], Mapping[str, Path]] = {}
        self.read = 0
        self.odd: dict[str, str] = {}  # what is no picture
        self.taken: dict[Path, str] = {}  # a file -> the image that it was taken for
        self.asked: set[str] = set()  # images whose results were looked for

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        assert batch.ids is not None
        with about(self.config.folder):
            self._check_folder()
            self.asked.update(batch.ids)
            found = {name: self._find(name, batch) for name in batch.ids}
            if missing := [name for name, path in found.items() if path is None]:
                raise BenchError(f"external: {self._lacking(missing, batch)}")
            images = [torch.from_numpy(self._read(path, batch)) for path in found.values() if path]
            if len(self.odd) > self.read / 2:
                raise BenchError(f"external: {files.no_pictures(self.odd, self.read)}")
        return torch.stack(images).to(batch.image).permute(0, 3, 1, 2) / 127.5 - 1

    def _check_folder(self) -> None:
        folder = self.config.folder
        if folder is None:
            raise BenchError("external: say where the images are: {method: external, options: {folder: DIR}}")
        if folder.is_file():
            raise BenchError(f"external: folder: {folder} is a file: unpack it, and name the folder of the images")

    def _read(self, path: Path, batch: Batch) -> np.ndarray:
        try:
            picture = pictures.decode(pictures.read(path), path)
        except BenchError as error:
            raise BenchError(f"external: {error}") from error
        self.read += 1
        if what := files.annotation(picture):
            self.odd[str(path)] = what
        image = np.array(picture)
        height, width = batch.image.shape[2:]
        if image.shape[:2] != (height, width):
            raise BenchError(
                f"external: {path} has {image.shape[1]} x {image.shape[0]} pixels, the test images {width} x {height}: "
                "write the finished images at the suite's size"
            )
        return image

    def _folders(self, batch: Batch) -> tuple[Path, Path]:
        """Where the images of a condition are looked for: in its own folder, then in that of all conditions."""
        assert self.config.folder is not None
        return self.config.folder / file_slug(batch.condition), self.config.folder

    def _find(self, name: str, batch: Batch) -> Path | None:
        """The finished image of that id: of its name, whatever its suffix and, where no other image has it, folder."""
        wanted = _plain(name)
        flat = _plain(image_file(name))  # as `facebench export images` writes it
        for folder in self._folders(batch):
            pattern = self._pattern(folder / wanted.parent, batch.number)
            for sought in (wanted, flat, Path(wanted.name)):
                if path := self._listed(folder / sought.parent, pattern).get(sought.name):
                    if (other := self.taken.setdefault(path, name)) != name:
                        raise BenchError(
                            f"external: {path} could belong to {other} and to {name}: call it {flat.name}{path.suffix}"
                        )
                    return path
        return None

    def _lacking(self, missing: list[str], batch: Batch) -> str:
        """Which images have no result, where it was looked for, and what would help."""
        own, root = self._folders(batch)
        pattern = self._pattern(own / _plain(missing[0]).parent, batch.number)
        called = "" if pattern == matching.PLAIN else f", called {pattern},"
        names = ", ".join(_plain(name).as_posix() for name in missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
        places = str(own) if own.is_dir() else f"{own} (there is no such folder) or {root}"
        verb = "has" if len(missing) == 1 else "have"
        told = f"{len(missing)} of {len(self.asked)} images {verb} no result{called} in {places}"
        return f"{told}: {names}{self._advice(_plain(missing[0]), own, root, batch)}"

    def _advice(self, wanted: Path, own: Path, root: Path, batch: Batch) -> str:
        """Which `match` finds the images, or that those in folders of other conditions are not taken; or nothing."""
        beside = [other.name for other in map(_plain, batch.ids or ()) if other.parent == wanted.parent]
        place = (own if own.is_dir() else root) / wanted.parent
        if not own.is_dir():
            heads = [pattern.partition(matching.PLAIN)[0] for pattern in matching.patterns(root, beside, plain=True)]
            inner = [head.removeprefix(f"{wanted.parent}/") for head in heads]
            if others := sorted({head.partition("/")[0] for head in inner if "/" in head}):
                return f"; {wanted} lies in {', '.join(others)}: put those of this condition into {own.name}"
        if not place.is_dir() or self._listed(place, self._pattern(place, batch.number)).keys() & set(beside):
            return ""
        return matching.advice(place, "the option match: {}", beside, several=True)

    def _pattern(self, folder: Path, number: int) -> str:
        """How the files of this completion are called."""
        match = self.config.match
        if matching.NUMBER in match:
            return match.replace(matching.NUMBER, str(matching.first(folder, match) + number))
        return match

    def _listed(self, folder: Path, pattern: str) -> Mapping[str, Path]:
        """The pictures in a folder by their names; it is looked at once."""
        if (folder, pattern) not in self.listed:
            try:
                found = matching.listed(folder, pattern)[0] if folder.is_dir() else {}
                if self.config.order and found:
                    told = ordered.lines(list(found), self.config.order)[0]
                    named = {_plain(Path(line).name).name: found[number] for number, line in told.items()}
                    if len(named) < len(found):
                        raise BenchError(
                            f"{self.config.order}: lines that differ in their folders alone: write a__b.png"
                        )
                    found = named
                self.listed[folder, pattern] = found
            except BenchError as error:
                raise BenchError(f"external: {error}") from error
        return self.listed[folder, pattern]


def _plain(name: str) -> Path:
    """The path of an image without suffix, with accents as `matching.listed` writes them."""
    return Path(unicodedata.normalize("NFC", name)).with_suffix("")
