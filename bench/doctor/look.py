"""One file, as each of the readers of pictures, masks and label maps takes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from bench import pictures
from bench.data import folder as files
from bench.data import labels
from bench.data.sources import Source
from bench.errors import BenchError
from bench.framing import framed
from masks.generators.semantic import LABELS

PICTURE, MASK, SOFT, MAPS, PARTS, REFUSED = (
    "photographs or results", "masks", "masks with grey values", "label maps", "part files of CelebAMask-HQ",
    "files that are refused",
)  # fmt: skip
FEW = 256  # colours: all grey pictures of 8 bits have as many or fewer
NEAR, MOST = 32, 0.9  # levels from black or white within which most pixels of a soft mask lie
SIDE = 64  # at which the places of classes are compared


@dataclass(slots=True)
class Seen:
    """What the readers say of one file."""

    name: str
    sha256: bytes = b""
    pixels: bytes = b""
    """Digest of what `pictures.decode` gives; empty where it refuses the file."""
    facts: pictures.Facts | None = None
    refused: dict[str, str] = field(default_factory=dict)
    """Reader (`PICTURE`, `MASK`, `MAPS`) -> why it does not take the file."""
    hole: float | None = None
    """Share of white, of what can be a mask."""
    dark: bool = False
    """No value is above 1, so that it looks black."""
    classes: frozenset[int] | None = None
    """The numbers of what can be a label map."""
    annotation: str | None = None
    """What `bench.data.folder.annotation` calls it: such files are no pictures to train on."""
    kind: str = REFUSED


def look(source: Source, name: str) -> tuple[Seen, np.ndarray | None]:
    """What the readers say of a file; and of a label map where its classes lie (see `bench.data.labels.rows`)."""
    seen, path = Seen(name), source.place / name
    try:
        data = source.read(name)
        seen.sha256 = hashlib.sha256(data).digest()[:16]
        seen.facts = pictures.facts(data, path)
    except BenchError as error:
        seen.refused[PICTURE] = str(error)
        return seen, None
    soft = False
    try:
        picture = pictures.decode(data, path)
        seen.pixels = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).digest()[:16]
        seen.kind = PICTURE
        if picture.getcolors(FEW) is None:
            return seen, None
        seen.annotation, soft = files.annotation(picture), _soft(picture)
        seen.dark = np.asarray(picture).max() == 1
    except BenchError as error:
        seen.refused[PICTURE] = str(error)
    try:
        hole = pictures.decode_mask(data, path)
        seen.hole, seen.kind = float(hole.mean()), MASK
    except BenchError as error:
        seen.refused[MASK] = str(error)
        seen.kind = SOFT if soft else seen.kind
    try:
        maps = pictures.decode_labels(data, path, len(LABELS))
    except BenchError as error:
        seen.refused[MAPS] = str(error)
        return seen, None
    seen.classes = frozenset(np.unique(maps).tolist())
    if seen.hole is None:
        seen.kind = MAPS
    return seen, labels.rows(framed(Image.fromarray(maps).convert("RGB"), SIDE, labels=True)[None, ..., 0])


def _soft(picture: Image.Image) -> bool:
    """Whether a picture is grey and most of it nearly black or nearly white, and both are there."""
    values = np.asarray(picture)
    if (values != values[..., :1]).any():
        return False
    dark, light = float((values < NEAR).mean()), float((values > 255 - NEAR).mean())
    return min(dark, light) > 0 and dark + light >= MOST
