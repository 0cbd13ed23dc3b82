"""Class of every pixel, by CelebAMask-HQ's classes in face-parsing's order: (N, H, W) uint8."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from bench import pictures
from bench.card import Card
from bench.data import cache, preparing, sources
from bench.data import folder as files
from bench.data import labels as label_maps
from bench.data.cache import Batch
from bench.data.dataset import ImageData, Indices
from bench.data.guides.guide import Asked, Files, Frame, Guide, Maker, Sides, known
from bench.errors import BenchError, about
from bench.framing import extent, framed, plain
from bench.given import Given, called, label_map
from bench.store import digest
from masks.generators.semantic import LABELS

CLASSES = len(LABELS)
"""Labels; the next one stands for pixels without a label."""
PALETTE = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 0, 85), (255, 0, 170), (0, 255, 0), (85, 255, 0), (170, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 0, 255), (85, 0, 255), (170, 0, 255), (0, 85, 255), (0, 170, 255), (255, 255, 0),
    (255, 255, 85), (255, 255, 170), (255, 0, 255), (255, 85, 255), (255, 170, 255), (0, 255, 255), (85, 255, 255),
    (170, 255, 255),
)  # fmt: skip
"""Display colours of label maps (face-parsing.PyTorch)."""
OTHER = {name: name.replace("l_", "r_", 1) for name in LABELS if name.startswith("l_") and name != "l_lip"}
"""Parts on the left of the picture -> those on its right."""
SWAPPED = [LABELS.index({**OTHER, **{right: left for left, right in OTHER.items()}}.get(name, name)) for name in LABELS]


class Semantics(Guide):
    told = "label maps: the number of the class, from 0"
    by_hand = "the label map of the picture"
    remedy = "give label maps with --labels"
    companion, files = "labels", "label maps"

    def of(self, asked: Asked) -> Maker:
        return lambda indices: maps(asked.images, indices)

    def handed(self, given: Given, frame: Frame) -> Tensor:
        stored, name = label_map(given, self.name, CLASSES), called(given, self.name)
        frame.check(stored.shape[::-1], name)
        order = frame.order or label_maps.OWN
        other = label_maps.likely(label_maps.rows(stored[None]), order)
        if frame.order is None and other != order:
            raise BenchError(
                f"{name}: in the order {order} its hair lies below mouth and neck, in {other} above them: say "
                f"labels_order={other!r} (--labels-order {other}), or that it is {order}"
            )
        found = framed(Image.fromarray(stored).convert("RGB"), frame.size, frame.framing, labels=True)[..., 0]
        return torch.from_numpy(label_maps.RENUMBER[order][found])[None]

    def learned(self, card: Card) -> bool:
        return True  # masks of training may be cut out of them

    def mirrored(self, value: Tensor, width: int) -> Tensor:
        return torch.tensor(SWAPPED, dtype=value.dtype, device=value.device)[value.flip(-1).long()]

    def masked(self, value: Tensor, mask: Tensor) -> Tensor:
        return value.masked_fill(mask[:, 0] == 0, CLASSES)

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return F.interpolate(value[:, None].float(), after, mode="nearest-exact")[:, 0].to(value.dtype)

    def drawn(self, value: Tensor, inside: Tensor) -> Tensor:
        return palette(value)

    def exported(self, value: Tensor) -> list[Tensor]:
        return list(value[:, None])

    def prepared(self, files: Files) -> ImageData:
        return prepare_labels(files)


def maps(images: ImageData, indices: Indices) -> Tensor | None:
    """The label maps of these images, of their own files or as they were drawn; None where there are none."""
    own = images.companions.get(GUIDE.companion)
    if own is not None:
        return own.images(images.namesakes(own, indices))[:, 0].contiguous()
    return known(images, "semantics", indices)


def prepare_labels(given: Files) -> ImageData:
    """Decode a place of label maps, or of CelebAMask-HQ's part files, once into the cache, or reuse what stands there.

    `given.order`: of the numbers in the files, one of `bench.data.labels.ORDERS`, default the project's own; the cache
    holds our numbers. The names of part files tell their classes. Raises BenchError for a folder without images, for
    maps that contradict the order as a whole (see `bench.data.labels.check_order`), and names the first file that
    cannot be read.
    """
    folder, size, progress, framing = given.folder, given.size, given.progress, given.framing
    preparing.check_size(size)
    with sources.opened(folder, max(extent(size)), labels=True) as source:
        fingerprint, read = preparing.hashed(source, given.cache, progress)
        with about(folder):
            parts = label_maps.parts(source.place, source.names)
        ids = list(parts) or source.names
        maps = {name: next(iter(one.values())) for name, one in parts.items()}
        given.check_shapes(fingerprint, maps or {files.stem(name): name for name in ids}, "label maps", labels=True)
        stored = label_maps.CELEBAMASK if parts else given.order or label_maps.OWN
        if stored != label_maps.OWN:  # equal files mean other classes
            fingerprint = digest([fingerprint, stored])
        facts = {"fingerprint": fingerprint, "filter": files.NEAREST, "size": plain(size), "ids": ids}

        def decode(name: str) -> np.ndarray:
            if parts:
                classes = label_maps.joined(source.place, parts[name], read)
            else:
                classes = pictures.decode_labels(read(name), source.place / name, CLASSES)
            return framed(Image.fromarray(classes).convert("RGB"), size, framing, labels=True)

        def batches() -> Iterator[Batch]:
            rows = np.zeros((CLASSES, extent(size)[0]), np.int64)
            with about(folder):
                for chunk in cache.in_parallel(decode, ids, "decoding", progress):
                    found = np.stack(chunk)
                    rows += label_maps.rows(found[..., 0])
                    yield {"images": label_maps.RENUMBER[stored][found]}
                if not parts:  # the last step of building: an entry that stands was checked
                    label_maps.check_order(rows, stored, folder, given.order is not None)

        key = preparing.key([cache.VERSION, fingerprint, files.NEAREST, stored, size], framing)
        needed = len(ids) * 3 * prod(extent(size))
        entry, _ = preparing.entry(preparing.place(given.cache, size, key), facts, batches(), needed)
    return ImageData(sources.title(folder), size, fingerprint, ids, files.NEAREST, entry, framing=framing)


def renumbered(labels: Tensor, order: str) -> Tensor:
    """Labels of our numbers in those of an order of `bench.data.labels`; pixels without a label keep the next one."""
    theirs = np.append(np.argsort(label_maps.RENUMBER[order]), CLASSES).astype(np.uint8)
    return torch.from_numpy(theirs)[labels.long()]


def palette(labels: Tensor) -> Tensor:
    """Display colours of label maps: (N, H, W) uint8, labels below 24, to (N, 3, H, W) uint8."""
    colours = torch.tensor(PALETTE, dtype=torch.uint8, device=labels.device)
    return colours[labels.long()].permute(0, 3, 1, 2).contiguous()


def one_hot(labels: Tensor, classes: int = CLASSES) -> Tensor:
    """One plane a class: labels (N, H, W) uint8, below `classes`, to (N, classes, H, W) float, 0 or 1."""
    n, height, width = labels.shape
    planes = torch.zeros(n, classes, height, width, device=labels.device)
    return planes.scatter_(1, labels[:, None].long(), 1)


GUIDE = Semantics()
