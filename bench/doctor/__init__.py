"""What a folder of pictures, masks or label maps holds, in plain words, and which commands take it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from bench import pictures
from bench.data import labels, sources
from bench.data.cache import Progress, in_parallel
from bench.doctor.advice import advise, as_data
from bench.doctor.findings import Findings
from bench.doctor.look import MAPS, MASK, PARTS, PICTURE, SIDE, SOFT, Seen, look
from bench.doctor.names import groups
from bench.errors import BenchError
from bench.store import MARK
from masks.generators.semantic import LABELS

MODES = {"1": "black and white", "L": "grey", "P": "palette", "RGB": "colour", "F": "floats", "I": "long integers"}
MODES |= {"LA": "grey with alpha", "PA": "palette with alpha", "RGBA": "colour with alpha"}


def examine(folder: str | Path, progress: Progress | None = None) -> Findings:
    """Look at all pictures in a folder and below it, or in an archive; every reader that could take it decodes each.

    Damaged and odd files are findings, not errors. Raises BenchError where the place is missing, or a file of another
    kind, and where an archive is damaged.
    """
    folder = Path(folder)
    unread: dict[str, int] = {}
    other: dict[str, int] = {}
    left_out: list[str] = []
    source: sources.Source
    if archived := sources.is_archive(folder):
        source = sources.opened(folder, labels=True)
    elif folder.is_dir():
        names, unread, other, left_out = _walk(folder)
        source = sources.Folder(folder, names)
    else:
        what = "is a file" if folder.exists() else "does not exist"
        raise BenchError(f"{folder} {what}: give a folder, or a .zip, .tar or .parquet file of pictures")
    seen: list[Seen] = []
    rows = np.zeros((len(LABELS), SIDE), np.int64)
    with source:
        names = source.names
        for chunk in in_parallel(lambda name: look(source, name), names, "looking", progress):
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
    if archived:
        do, refused = as_data(folder, seen)
    else:
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
