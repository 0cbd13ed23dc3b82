"""The data sets of the documented papers, known by name, and the check whether a user's folder can serve as one.

Nothing is downloaded: users bring their own copies. Sizes are those of the papers.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench import pictures
from bench.data import folder as files
from bench.data import near, sources, splits
from bench.data.cache import Progress, in_parallel
from bench.errors import BenchError

OWN = "folder"
"""The name under which `check` takes a folder of the user's own images."""
SHORT_SIDE = 256
"""The smallest size that the papers' presets train at."""
MOST_ALIKE = 10_000
"""Pairs of near-copies after which `check` looks for no more: frames of a video are near-copies of each other."""


@dataclass(frozen=True)
class Dataset:
    """A published data set: its split sizes and where users get it."""

    title: str
    train: int
    test: int
    source: str
    licence: str
    papers: tuple[str, ...]
    """The documented methods that use it with this split."""
    validation: int = 0
    in_order: bool = False
    """The makers' split is the order of the file names; otherwise it is drawn by seed."""
    note: str = ""
    pictures: tuple[str, ...] = ()
    """Sub-folders that the makers keep the pictures in, beside annotations and other sizes."""

    @property
    def needed(self) -> int:
        """Images that the split needs in all."""
        return self.train + self.validation + self.test

    def split(self, fingerprint: str, ids: Sequence[str], seed: int) -> splits.Split:
        """Draw the published split; BenchError when there are too few images."""
        return splits.draw(
            self.title,
            fingerprint,
            ids,
            seed,
            train=self.train,
            validation=self.validation,
            test=self.test,
            in_order=self.in_order,
        )


_CELEBA = ("https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html", "non-commercial research only")
_ALIGNED = ("img_align_celeba",)
_FASTGAN = ("https://github.com/odegeasslbc/FastGAN-pytorch", "for research; rights stay with the pictures' owners")
_ANIMALFACE = ("https://github.com/mit-han-lab/data-efficient-gans", _FASTGAN[1])
_REAL = ("https://github.com/TencentARC/GFPGAN", _FASTGAN[1])
_RESTORATION = ("VSPBFR",)
_FEW_SHOT = ("GRIG",)

DATASETS: dict[str, Dataset] = {
    "celeba": Dataset(
        "CelebA", 162_770, 19_962, *_CELEBA, ("ISFRNet", "APFI"), validation=19_867, in_order=True, pictures=_ALIGNED,
        note="the makers' split; the papers drew their own: celeba-isfrnet, celeba-apfi",
    ),
    "celeba-isfrnet": Dataset(
        "CelebA (ISFRNet's split)", 182_339, 20_260, *_CELEBA, ("ISFRNet",), pictures=_ALIGNED
    ),
    "celeba-apfi": Dataset("CelebA (APFI's split)", 201_599, 1_000, *_CELEBA, ("APFI",), pictures=_ALIGNED),
    "celeba-hq": Dataset(
        "CelebA-HQ", 28_000, 2_000, "https://github.com/switchablenorms/CelebAMask-HQ", "non-commercial research only",
        ("GRIG", "EXE-GAN", "FACEMUG", "Semantic-Guided Two-Stage GAN"), pictures=("CelebA-HQ-img",),
    ),
    "ffhq": Dataset(
        "FFHQ", 60_000, 10_000, "https://github.com/NVlabs/ffhq-dataset",
        "CC BY-NC-SA 4.0; each picture has its own licence",
        ("GRIG", "EXE-GAN", "FACEMUG", "HierInv", "Semantic-Guided Two-Stage GAN"), in_order=True,
        note="VSPBFR trains on all 70,000", pictures=("images1024x1024",),
    ),
    "psv": Dataset(
        "Paris Street View", 14_900, 100, "https://github.com/pathak22/context-encoder",
        "research only, from the authors on request", ("GRIG",),
        note="put the makers' training and evaluation pictures into train/ and test/",
    ),
    "places365": Dataset(
        "Places365", 1_803_460, 36_500, "http://places2.csail.mit.edu/download.html", "research and education only",
        ("GRIG",), note="Places365-Standard; put the validation pictures into test/",
    ),
    "chase": Dataset(
        "CHASE", 18, 10, "https://researchdata.kingston.ac.uk/96/", "research, see the source's page", _FEW_SHOT,
        note="CHASE_DB1: the 28 photographs of the retina, without the drawings",
    ),
    "shell": Dataset("Shell", 48, 16, *_FASTGAN, _FEW_SHOT),
    "skull": Dataset("Skull", 72, 25, *_FASTGAN, _FEW_SHOT),
    "anime": Dataset("Anime", 90, 30, *_FASTGAN, _FEW_SHOT),
    "fauvism": Dataset("Fauvism", 94, 30, *_FASTGAN, _FEW_SHOT),
    "moongate": Dataset("Moongate", 106, 30, *_FASTGAN, _FEW_SHOT),
    "cat": Dataset("Cat", 120, 40, *_ANIMALFACE, _FEW_SHOT, note="AnimalFace"),
    "dog": Dataset("Dog", 309, 80, *_ANIMALFACE, _FEW_SHOT, note="AnimalFace"),
    "pokemon": Dataset("Pokemon", 633, 200, *_FASTGAN, _FEW_SHOT),
    "art": Dataset("Art", 750, 250, *_FASTGAN, _FEW_SHOT),
    "celeba-test": Dataset("CelebA-Test", 0, 3_000, *_REAL, _RESTORATION, note="3,000 pairs: check each side"),
    "lfw-test": Dataset("LFW-Test", 0, 1_711, *_REAL, _RESTORATION),
    "celebchild-test": Dataset("CelebChild-Test", 0, 180, *_REAL, _RESTORATION),
    "webphoto-test": Dataset("WebPhoto-Test", 0, 407, *_REAL, _RESTORATION, note="one readme says 469"),
}  # fmt: skip


def known(name: str) -> Dataset | None:
    """The data set of this name or title, in any spelling ("CelebA HQ", "Paris Street View"); None if there is none."""
    found = key(name)
    return None if found is None else DATASETS[found]


def key(name: str) -> str | None:
    """The name in `DATASETS` of what `known` finds."""
    wanted = _plain(name)
    return next((key for key, one in DATASETS.items() if wanted in (_plain(key), _plain(one.title))), None)


def find(name: str) -> Dataset:
    """The data set of this name; BenchError with the nearest name when it is not known."""
    dataset = known(name)
    if dataset is None:
        near = difflib.get_close_matches(name.lower(), DATASETS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        choice = ", ".join(DATASETS)
        raise BenchError(
            f"the data set {name!r} is not known: {hint}choose {OWN!r} (your own images) or one of {choice}"
        )
    return dataset


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass(frozen=True)
class Report:
    """What `check` found in a folder."""

    name: str
    folder: str
    count: int
    """Readable images."""
    smallest: tuple[int, int] | None
    """(width, height) of the image with the shortest side; None when no image is readable."""
    largest: tuple[int, int] | None
    """(width, height) of the image with the longest side."""
    unreadable: tuple[tuple[str, str], ...]
    """(image id, what is wrong) of each file that cannot be used."""
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of ids whose files hold the same bytes."""
    alike: tuple[tuple[str, str, bool], ...]
    """Near-copies: two ids, and whether one is mirrored."""
    train: int
    """Training images of the split that this folder would get."""
    validation: int
    test: int
    problems: tuple[str, ...]
    """What must be mended before the folder can serve; empty when it can."""
    notes: tuple[str, ...]
    """What is worth knowing, and does not stand in the way."""
    source: str
    licence: str

    @property
    def ok(self) -> bool:
        """Whether the folder can serve."""
        return not self.problems

    def __str__(self) -> str:
        sizes = f", from {_by(self.smallest)} to {_by(self.largest)} pixels" if self.smallest and self.largest else ""
        parts = ((self.train, "to train"), (self.validation, "to validate"), (self.test, "to test"))
        lines = [
            f"{self.folder} {'can' if self.ok else 'cannot'} serve as {self.name}",
            f"  images: {self.count:,}{sizes}",
            "  split: " + ", ".join(f"{count:,} {what}" for count, what in parts if count),
            *(f"  problem: {problem}" for problem in self.problems),
            *_some([f"  unusable: {error}" for _, error in self.unreadable]),
            *_some([f"  copies: {' = '.join(group)}" for group in self.duplicates]),
            *_some([f"  near copies: {a} ~ {b}{' (mirrored)' * flipped}" for a, b, flipped in self.alike]),
            *(f"  note: {note}" for note in self.notes),
        ]
        if self.source:
            lines += [f"  source: {self.source}", f"  licence: {self.licence}"]
        return "\n".join(lines)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _some(lines: list[str], most: int = 20) -> list[str]:
    """The first lines of a long list, and how many are left."""
    return lines if len(lines) <= most else [*lines[:most], f"  and {len(lines) - most:,} more"]


@dataclass(frozen=True)
class _File:
    """One inspected file."""

    sha256: str
    size: tuple[int, int] | None = None
    error: str = ""
    annotation: str | None = None
    signature: near.Signature | None = None


def check(name: str, folder: str | Path, progress: Progress | None = None) -> Report:
    """Say whether a folder or archive can serve as the data set `name`, or, for "folder", as one of the user's own.

    Every file is decoded. Bad files are listed, not raised. Raises BenchError for an unknown name and for a folder that
    is missing or has no images.
    """
    dataset = None if name == OWN else find(name)
    folder = Path(folder)
    with sources.opened(folder, within=dataset.pictures if dataset else ()) as source:
        ids, place = source.names, source.place

        def inspect(image: str) -> _File:
            path = source.place / image
            sha256 = ""
            try:
                data = source.read(image)
                sha256 = hashlib.sha256(data).hexdigest()
                picture = pictures.decode(data, path)
                return _File(sha256, picture.size, "", files.annotation(picture), near.signature(picture))
            except BenchError as error:
                return _File(sha256, error=str(error))

        found = [one for chunk in in_parallel(inspect, ids, "checking", progress) for one in chunk]
    sizes = [one.size for one in found if one.size]
    readable = [image for image, one in zip(ids, found, strict=True) if one.size]
    odd = {image: one.annotation for image, one in zip(ids, found, strict=True) if one.annotation}
    unreadable = tuple((image, one.error) for image, one in zip(ids, found, strict=True) if one.error)
    same: dict[str, list[str]] = {}
    for image, one in zip(ids, found, strict=True):
        if one.sha256:
            same.setdefault(one.sha256, []).append(image)
    duplicates = tuple(tuple(group) for group in same.values() if len(group) > 1)

    title = dataset.title if dataset else sources.title(folder)
    problems, notes = [], []
    if unreadable:
        problems.append(f"{len(unreadable)} of {len(ids)} files cannot be used: replace or remove them")
    if odd:
        problems.append(files.no_photographs(place, odd, len(ids)))
    split = None
    try:
        split = splits.by_folder(title, "", readable, 0)
        if split is None:
            split = dataset.split("", readable, 0) if dataset else splits.draw(title, "", readable, 0)
    except BenchError as error:
        problems.append(str(error))
    if split and dataset and split.rule == "folder":
        counts, published = (len(split.train), len(split.test)), (dataset.train, dataset.test)
        if counts != published:
            problems.append(
                f"the folders for training and test hold {counts[0]:,} and {counts[1]:,} images, published are "
                f"{published[0]:,} and {published[1]:,}: make them agree, or use these images under another name"
            )
    elif dataset and len(readable) > dataset.needed:
        notes.append(
            f"{len(readable) - dataset.needed:,} of {len(readable):,} images are not used by the published split"
        )
    if duplicates:
        notes.append(
            f"{len(duplicates)} pictures stand there more than once and may fall into both training and test: "
            "remove the copies"
        )
    if split and split.rule == "folder" and (leak := _leak(split, duplicates)):
        problems.append(f"{leak[0]} and {leak[1]} are the same picture, in training and in test: remove one")
    signed = [(image, one) for image, one in zip(ids, found, strict=True) if one.signature and not one.annotation]
    pairs = (
        (signed[i][0], signed[j][0], flipped)
        for i, j, flipped in near.pairs([one.signature for _, one in signed if one.signature], progress)
        if signed[i][1].sha256 != signed[j][1].sha256
    )
    alike = tuple(islice(pairs, MOST_ALIKE))
    if alike:
        more = " or more (the search ended there)" if len(alike) == MOST_ALIKE else ""
        notes.append(
            f"{len(alike):,} pairs{more} of pictures differ in compression or size alone, or are mirrored, and may "
            "fall into both training and test: look at them, and remove one of each"
        )
    small = sum(min(size) < SHORT_SIDE for size in sizes)
    if small:
        notes.append(f"{small:,} images are smaller than {SHORT_SIDE} pixels and would be enlarged at that size")
    if dataset and dataset.note:
        notes.append(dataset.note)
    return Report(
        name=title,
        folder=str(place),
        count=len(readable),
        smallest=min(sizes, key=min, default=None),
        largest=max(sizes, key=max, default=None),
        unreadable=unreadable,
        duplicates=duplicates,
        alike=alike,
        train=dataset.train if dataset else len(split.train) if split else 0,
        validation=dataset.validation if dataset else len(split.validation) if split else 0,
        test=dataset.test if dataset else len(split.test) if split else splits.default_test(len(readable)),
        problems=tuple(problems),
        notes=tuple(notes),
        source=dataset.source if dataset else "",
        licence=dataset.licence if dataset else "",
    )


def _leak(split: splits.Split, duplicates: Sequence[Sequence[str]]) -> tuple[str, str] | None:
    """A training and a test image with the same bytes."""
    train, test = set(split.train), set(split.test)
    for group in duplicates:
        left, right = train.intersection(group), test.intersection(group)
        if left and right:
            return min(left), min(right)
    return None
