"""Label maps of faces: the two orders in which the field numbers the same 19 classes, and CelebAMask-HQ's part files.

A map does not tell its order: where CelebAMask-HQ's own script has the neck, face-parsing has the hair.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from bench import pictures
from bench.errors import BenchError
from masks.generators.semantic import LABELS

CELEBAMASK, FACE_PARSING = "celebamask-hq", "face-parsing"
ORDERS = {
    FACE_PARSING: LABELS,  # face-parsing.PyTorch (BiSeNet), and everything in this project
    CELEBAMASK: (  # CelebAMask-HQ's g_mask.py
        "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
        "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
    ),
}  # fmt: skip
OWN = FACE_PARSING
"""The order of `LABELS`: all maps are renumbered to it when they are decoded."""
RENUMBER = {order: np.array([LABELS.index(name) for name in names], np.uint8) for order, names in ORDERS.items()}
"""For each order, our number of each of its numbers: (19,) uint8."""

HIGH = ("hair", "hat")
LOW = ("mouth", "u_lip", "l_lip", "neck", "cloth")
DOUBT = 0.05
"""Of the height of a picture: less says nothing. In synthfaces HIGH is 0.56 above LOW, and 0.33 below it when the maps
are read in the other order."""

PARTS = {name: number for number, name in enumerate(ORDERS[CELEBAMASK]) if number}
PART = re.compile(r"(\d{5})_(\w+)")


def rows(maps: np.ndarray) -> np.ndarray:
    """How many pixels of each number lie in each row of the maps (N, H, W): (19, H)."""
    height = maps.shape[1]
    places = maps.astype(np.intp) * height + np.arange(height)[:, None]
    return np.bincount(places.ravel(), minlength=len(LABELS) * height).reshape(len(LABELS), height)


def check_order(counts: np.ndarray, order: str, folder: Path, said: bool) -> None:
    """Raise BenchError when the maps of a folder contradict their order: as a whole, the other one fits faces better.

    `counts`: of `rows`, of all maps together, by the numbers that the files hold. `said`: whether the user said the
    order. Maps with nothing to compare, without hair and neck, contradict nothing.
    """
    if (other := likely(counts, order)) != order:
        read = "are said to have" if said else "would be read in"
        raise BenchError(
            f"{folder}: its label maps {read} the order {order}, but then most hair lies below mouth and neck, and in "
            f"the order {other} above them: say `labels_order: {other}` (or --labels-order NAME={other})"
        )


def likely(counts: np.ndarray, order: str) -> str:
    """The order that maps are in: the other one where faces fit it better as a whole. `counts`: see `check_order`."""
    (other,) = ORDERS.keys() - {order}
    return other if _gap(counts, other) > _gap(counts, order) + DOUBT else order


def _gap(counts: np.ndarray, order: str) -> float:
    """How far HIGH lies above LOW in an order, of the height of a picture; 0 where one of them is absent.

    Every class counts once, by the mean row of its pixels, so that a large one does not hide the others.
    """
    height = counts.shape[1]
    means = {
        name: (row @ np.arange(height)) / row.sum() / height
        for name, row in zip(ORDERS[order], counts, strict=True)
        if row.any()
    }
    high, low = ([means[name] for name in names if name in means] for names in (HIGH, LOW))
    return float(np.mean(low) - np.mean(high)) if high and low else 0.0


def parts(folder: Path, files: Sequence[str]) -> dict[str, dict[int, str]]:
    """CelebAMask-HQ's part files, NNNNN_PART.png: for each N, the picture's name, the parts' numbers in order -> files.

    Empty for a folder of label maps, which has no such name. BenchError names what is no part beside parts, and two
    files of one part.
    """
    found: dict[str, dict[int, str]] = defaultdict(dict)
    odd = []
    for file in files:
        match = PART.fullmatch(PurePosixPath(file).stem)
        if not match or match[2] not in PARTS:
            odd.append(file)
        elif (same := found[str(int(match[1]))].setdefault(PARTS[match[2]], file)) != file:
            raise BenchError(f"{folder / same} and {folder / file} are one part of one picture: remove one of them")
    if found and odd:
        raise BenchError(
            f"{folder / odd[0]} lies beside part files of CelebAMask-HQ, and is none: they are called NNNNN_PART.png, "
            f"where PART is one of {', '.join(PARTS)}; rename or remove it"
        )
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def joined(folder: Path, files: Mapping[int, str], read: Callable[[str], bytes]) -> np.ndarray:
    """The label map of a picture's part files (see `parts`), in CelebAMask-HQ's order: (H, W) uint8.

    All but 0 is the part, and later parts overwrite earlier ones, as in g_mask.py. BenchError names a file of another
    size than the first.
    """
    found = {number: pictures.decode_labels(read(file), folder / file, 256) > 0 for number, file in files.items()}
    first = next(iter(found))
    classes = np.zeros_like(found[first], np.uint8)
    for number, part in found.items():
        if part.shape != classes.shape:
            one, other = (f"{values.shape[1]} x {values.shape[0]}" for values in (part, classes))
            raise BenchError(
                f"{folder / files[number]} has {one} pixels and {files[first]} {other}: the parts of a picture must "
                "have one size"
            )
        classes[part] = number
    return classes
