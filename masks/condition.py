"""Names of conditions: which generator, which bucket, which further choice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from masks.buckets import Bucket
from masks.errors import MaskError
from masks.frozen import SUFFIX
from masks.generators.plain import Request
from masks.generators.semantic import REGIONS
from masks.registry import OneOf, generator
from masks.streams import Stream

_FOLDER_OPTION = re.compile(r"border|inside|inverted|paired|>\d{1,3}")


@dataclass(frozen=True)
class Condition:
    """What is done to a test image: the masks of one generator, in one bucket or of one kind.

    generator: a name in `masks.GENERATORS`.
    bucket: the interval (a, b] of hole percentages, or None for the generator's own ratios.
    argument: what else the name holds: "25" in center/25, "left" in half/left, the path of a folder or file.
    options: of a folder: "border" or "inside" (with or without border contact), ">127" (threshold), "inverted" (black
        is the hole), "paired" (each image has the mask of its own name).

    `str(condition)` is its name and `masks.parse` reads it.
    Raises MaskError for an unknown generator, an argument without meaning, and a bucket that the generator cannot
    reach (it is tried at 256 pixels; folders, files and label maps are looked at only when masks are drawn).
    """

    generator: str
    bucket: Bucket | None = None
    argument: str | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        source = generator(self.generator)
        if self.generator == "folder":
            if not self.argument:
                raise MaskError("it names no folder: write folder:<DIR> or folder:<DIR>/<a>-<b>")
            if "paired" in self.options and (self.bucket or {"border", "inside"} & set(self.options)):
                raise MaskError(
                    "an image has the mask of its own name, or one of a bucket: leave out /paired or the other"
                )
        elif self.generator == "frozen":
            if not (self.argument or "").endswith(SUFFIX) or self.bucket or self.options:
                raise MaskError(f"it names no frozen set: write frozen:<FILE{SUFFIX}>")
        elif self.labelled:
            meaningless = self.bucket if isinstance(source, OneOf) and self.bucket else self.argument
            if meaningless is not None:
                raise MaskError(f"'{meaningless}' means nothing here: write {self.generator}")
        else:
            counts = self.bucket.counts(256 * 256) if self.bucket else None
            source.draw(Request(self.generator, 256, 256, 1.0, self.bucket, counts, self.argument), Stream("check"))

    @property
    def labelled(self) -> bool:
        """Whether its masks are regions of label maps."""
        return self.generator in REGIONS or isinstance(generator(self.generator), OneOf)

    def __str__(self) -> str:
        parts = [self.generator]
        if self.generator in ("folder", "frozen"):
            parts = [f"{self.generator}:{self.argument}"]
        elif self.argument is not None:
            parts.append(self.argument)
        return "/".join([*parts, *([str(self.bucket)] if self.bucket else []), *self.options])


def parse(name: str) -> Condition:
    """The condition of that name.

    Names: "<generator>", "<generator>/<a>-<b>", "center/25", "outpaint/25", "half/left", "hair", "folder:<DIR>",
    "folder:<DIR>/<a>-<b>", and for folders further "/border", "/inside", "/>127", "/inverted" or "/paired". A path that
    is a folder is that folder, whatever its last name looks like; one that is not here yet ends with a slash. A frozen
    set is "frozen:<FILE.npz>".

    Raises MaskError that says what is wrong with the name.
    """
    if not isinstance(name, str) or not name.strip():
        raise MaskError(f"{name!r} is no name of a condition: write for example irregular/10-20")
    try:
        if name.startswith("folder:"):
            return _parse_folder(name.removeprefix("folder:"))
        if name.startswith("frozen:"):
            return Condition("frozen", None, name.removeprefix("frozen:"))
        return _parse_generator(name)
    except MaskError as error:
        raise MaskError(f"condition '{name}': {error}") from None


@lru_cache(maxsize=4096)
def _parse_generator(name: str) -> Condition:
    head, *rest = name.split("/")
    generator(head)
    if len(rest) > 1:
        raise MaskError(f"too many slashes: write {head}/<a>-<b>")
    bucket = Bucket.parse(rest[0]) if rest else None
    return Condition(head, bucket, None if bucket or not rest else rest[0])


def _parse_folder(path: str) -> Condition:
    options: list[str] = []
    bucket = None
    while "/" in path and not Path(path).is_dir():
        head, _, last = path.rpartition("/")
        if bucket is None and (found := Bucket.parse(last)):
            bucket = found
        elif _FOLDER_OPTION.fullmatch(last):
            options.insert(0, last)
        else:
            break
        path = head
    if not path.endswith("/") and (Bucket.parse(Path(path).name) or _FOLDER_OPTION.fullmatch(Path(path).name)):
        path += "/"  # so that the name says the same where the folder is not
    return Condition("folder", bucket, path, tuple(options))
