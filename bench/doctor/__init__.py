"""What a folder of pictures, masks or label maps holds, in plain words, and which commands take it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from bench import pictures
from bench.data import labels
from bench.data.cache import Progress, in_parallel
from bench.doctor.advice import advise, several
from bench.doctor.look import MAPS, MASK, PARTS, PICTURE, SIDE, SOFT, Seen, look
from bench.doctor.names import Group, groups
from bench.errors import BenchError
from bench.store import MARK
from masks.generators.semantic import LABELS

SHOWN = 4  # of a list that is named
MODES = {"1": "black and white", "L": "grey", "P": "palette", "RGB": "colour", "F": "floats", "I": "long integers"}
MODES |= {"LA": "grey with alpha", "PA": "palette with alpha", "RGBA": "colour with alpha"}
CONTAINERS = {
    ".mdb": "LMDB", ".parquet": "Parquet", ".zip": "an archive", ".tar": "an archive", ".tfrecord": "TFRecord",
    ".h5": "HDF5", ".npy": "arrays", ".npz": "arrays", ".mp4": "a film", ".pt": "tensors",
}  # fmt: skip
"""Files that may hold pictures, and are not read."""


@dataclass(frozen=True)
class Findings:
    """What `examine` found in a folder."""

    folder: str
    pictures: int
    """Files with a suffix that is read, below sub-folders too."""
    unread: Mapping[str, int]
    """Suffix -> files, of pictures that are not read, such as HEIC."""
    other: Mapping[str, int]
    """Suffix -> files, of all that are no pictures."""
    left_out: tuple[str, ...]
    """Sub-folders that were not looked at, with the reason."""
    kinds: Mapping[str, int]
    """What the pictures most likely are -> how many of them."""
    groups: tuple[Group, ...]
    """Files of one kind that are called in one way."""
    sizes: Mapping[str, int]
    """"WIDTH x HEIGHT" -> pictures, the most frequent first."""
    odd_sizes: tuple[str, ...]
    """Pictures that have another size than most."""
    stored: Mapping[str, int]
    """Such as "8-bit colour" -> pictures."""
    turned: int
    """Pictures that their EXIF data turn or mirror."""
    transparent: int
    """Pictures with transparent parts: they are seen over white."""
    white: tuple[float, float, float] | None
    """Of masks of two values: the mean, the least and the largest share of white."""
    dark: int
    """Masks of 0 and 1, which look black."""
    classes: tuple[int, ...]
    """The numbers in label maps."""
    order: str
    """The one order of `bench.data.labels.ORDERS` that the label maps do not contradict, "" where both may be."""
    copies: tuple[tuple[str, ...], ...]
    """Photographs or results with the same pixels."""
    do: tuple[str, ...]
    """Commands that take the folder, with a remark behind `#`."""
    refused: tuple[str, ...]
    """What commands would refuse, in their own words."""

    def __str__(self) -> str:
        rows = {
            "files": self._files(),
            "left out": "; ".join(self.left_out),
            "kind": _counted(self.kinds),
            "names": self._names(),
            "size": _counted(self.sizes, of=" of ") + (f"; not like most: {_some(self.odd_sizes)}" if self.odd_sizes else ""),
            "stored as": _counted(self.stored, of=" of "),
            "EXIF": f"{self.turned:,} pictures are stored turned or mirrored, and are turned upright" * bool(self.turned),
            "alpha": f"{self.transparent:,} pictures have transparent parts, seen over white" * bool(self.transparent),
            "holes": self._holes(),
            "classes": self._classes(),
            "copies": self._copies(),
        }
        lines = [self.folder, *(f"  {name + ':':<10} {text}" for name, text in rows.items() if text)]
        lines += ["what to do", *(f"  {line}" for line in self.do)] if self.do else []
        lines += ["what is refused", *(f"  {line}" for line in self.refused)] if self.refused else []
        return "\n".join(lines)

    def _files(self) -> str:
        parts = [f"{self.pictures:,} pictures"]
        if self.unread:
            parts.append(f"{_counted(self.unread, numbers=True)} (not read: save them as PNG)")
        if self.other:
            inside = {suffix: what for suffix, what in CONTAINERS.items() if suffix in self.other}
            hint = "; ".join(f"{what} ({suffix}) is not read: write its pictures out" for suffix, what in inside.items())
            parts.append(f"other files: {_counted(self.other, numbers=True)}" + (f" ({hint})" if hint else ""))
        return ", ".join(parts)

    def _names(self) -> str:
        """Every group; what all have in common is said once."""
        tools = {group.tool for group in self.groups}
        one = len(tools) == 1 and "" not in tools
        text = _some([group.named(Path(self.folder), len(self.kinds) > 1, not one) for group in self.groups])
        text += f", as {tools.pop()} writes them" if one else ""
        return text + ("; several files of each image: say which with --match" * several(self.groups))

    def _holes(self) -> str:
        if self.white is None:
            return ""
        mean, least, most = (100 * share for share in self.white)
        likely = "most likely" if mean < 50 else "which is rare: perhaps black is the hole"
        dark = f"; {self.dark:,} hold 0 and 1, so they look black" if self.dark else ""
        return (
            f"if white is the hole ({likely}), it covers {mean:.1f} % of a picture on average, {least:.1f} to "
            f"{most:.1f} %; if black is, {100 - mean:.1f} %, {100 - most:.1f} to {100 - least:.1f} %{dark}"
        )

    def _copies(self) -> str:
        if not self.copies:
            return ""
        return f"{_some([' = '.join(group) for group in self.copies])}; `facebench data check` looks for near copies, too"

    def _classes(self) -> str:
        if not self.classes:
            return ""
        order = self.order or labels.OWN
        named = ", ".join(f"{number} {labels.ORDERS[order][number]}" for number in self.classes)
        doubt = "" if self.order else f"; if they are numbered as {labels.CELEBAMASK}, other classes: the maps fit both"
        return f"{named} (in the order {order}{doubt})"


def examine(folder: str | Path, progress: Progress | None = None) -> Findings:
    """Look at all pictures in a folder and below it; each is decoded by every reader that could take it.

    Damaged and odd files are findings, not errors. Raises BenchError where the folder is missing or no folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BenchError(f"{folder} {'is a file' if folder.exists() else 'does not exist'}: give a folder")
    names, unread, other, left_out = _walk(folder)
    seen: list[Seen] = []
    rows = np.zeros((len(LABELS), SIDE), np.int64)
    for chunk in in_parallel(lambda name: look(folder, name), names, "looking", progress):
        for one, places in chunk:
            seen.append(one)
            rows += 0 if places is None else places
    _settle(seen)
    by_kind: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        by_kind[one.kind].append(one)
    found = [group for kind, same in by_kind.items() for group in groups(kind, folder, [one.name for one in same])]
    holes = [one.hole for one in by_kind[MASK] if one.hole is not None]
    classes = sorted(set().union(*(one.classes or () for one in by_kind[MAPS])))
    order = _order(rows, folder) if classes else ""
    facts = [one.facts for one in seen if one.facts]
    sizes = Counter(f"{fact.size[0]} x {fact.size[1]}" for fact in facts)
    usual = max(sizes, key=sizes.__getitem__, default="")
    do, refused = advise(folder, found, seen, rows if classes else None, order)
    return Findings(
        folder=str(folder),
        pictures=len(names),
        unread=unread,
        other=other,
        left_out=tuple(left_out),
        kinds={kind: len(same) for kind, same in by_kind.items() if same},
        groups=tuple(found),
        sizes=dict(sizes.most_common()),
        odd_sizes=tuple(one.name for one in seen if one.facts and "{} x {}".format(*one.facts.size) != usual),
        stored=dict(Counter(_stored(fact) for fact in facts).most_common()),
        turned=sum(fact.turned for fact in facts),
        transparent=sum(fact.transparent for fact in facts),
        white=(float(np.mean(holes)), min(holes), max(holes)) if holes else None,
        dark=sum(one.dark for one in by_kind[MASK]),
        classes=tuple(classes),
        order=order,
        copies=_copies(by_kind[PICTURE]),
        do=tuple(do),
        refused=tuple(refused),
    )


def _walk(folder: Path) -> tuple[list[str], dict[str, int], dict[str, int], list[str]]:
    """All pictures below a folder; of other files how many of which suffix; and sub-folders that are left out."""
    names: list[str] = []
    unread: Counter[str] = Counter()
    other: Counter[str] = Counter()
    left_out: list[str] = []
    known: set[str] = set()

    def closed(error: OSError) -> None:
        left_out.append(f"{error.filename} ({error.strerror})")

    for where, folders, files in os.walk(folder, followlinks=True, onerror=closed):
        place = Path(where).relative_to(folder)
        real = os.path.realpath(where)
        if real in known or MARK in files:
            if real not in known:
                left_out.append(f"{place.as_posix()}/ (runs of facebench)")
            folders.clear()
            continue
        known.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(file for file in files if not file.startswith(".")):
            suffix = Path(name).suffix.lower()
            if suffix in pictures.SUFFIXES:
                names.append((place / name).as_posix())
            else:
                (unread if suffix in pictures.UNREAD else other)[suffix or "without suffix"] += 1
    return names, dict(unread), dict(other), left_out


def _settle(seen: Sequence[Seen]) -> None:
    """What one file leaves open, its neighbours tell: a blank picture is what most of its folder is."""
    folders: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        folders[str(PurePosixPath(one.name).parent)].append(one)
    for inside in folders.values():
        counts = Counter(one.kind for one in inside if one.hole not in (0, 1))
        usual = max(counts, key=counts.__getitem__, default=MASK)
        for one in inside:
            part = labels.PART.fullmatch(PurePosixPath(one.name).stem)
            if one.kind == MASK and part and part[2] in labels.PARTS:
                one.kind = PARTS
            elif one.kind == MASK and one.dark and counts[MAPS]:
                one.kind = MAPS
            elif (one.kind == MASK and one.hole in (0, 1)) or (one.kind == SOFT and usual == PICTURE):
                one.kind = usual


def _order(rows: np.ndarray, folder: Path) -> str:
    """The one order that label maps do not contradict; "" where both may be."""
    fitting = []
    for order in labels.ORDERS:
        try:
            labels.check_order(rows, order, folder, said=False)
            fitting.append(order)
        except BenchError:
            continue
    return fitting[0] if len(fitting) == 1 else ""


def _copies(seen: Sequence[Seen]) -> tuple[tuple[str, ...], ...]:
    same: dict[bytes, list[str]] = defaultdict(list)
    for one in seen:
        if one.pixels:
            same[one.pixels].append(one.name)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)


def _stored(facts: pictures.Facts) -> str:
    mode = "grey" if facts.mode.startswith("I;16") else MODES.get(facts.mode, facts.mode)
    return f"{facts.bits}-bit {mode}"


def _counted(counts: Mapping[str, int], of: str = " ", numbers: bool = False) -> str:
    """How many of what; of what all are, the number only where it is asked for."""
    if len(counts) == 1 and not numbers:
        return next(iter(counts))
    return _some([f"{count:,}{of}{what}" for what, count in counts.items()])


def _some(parts: Sequence[str]) -> str:
    """The first of a long list, and how many are left."""
    more = f", and {len(parts) - SHOWN:,} more" if len(parts) > SHOWN else ""
    return ", ".join(parts[:SHOWN]) + more
