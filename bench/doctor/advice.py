"""Which commands take a folder, and what they would refuse: the readers are asked, so the words are theirs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

import masks
from bench import pictures
from bench.data import folder as files
from bench.data import labels, sources
from bench.doctor.look import MAPS, MASK, PARTS, PICTURE, SOFT, Seen
from bench.doctor.names import Group
from bench.errors import BenchError
from bench.matching import PLAIN

SHOWN, FILES = 5, 3  # groups and files that are named
TRAINED_ON = ("", "StyleGAN2-ADA's dataset_tool.py", "FFHQ", "Paris StreetView")
"""Writers of names whose pictures are no results."""
SIZE = 256


def advise(
    root: Path, groups: Sequence[Group], seen: Sequence[Seen], rows: np.ndarray | None, order: str
) -> tuple[list[str], list[str]]:
    """(commands that take the folder, what would be refused).

    `rows`: of the label maps, see `bench.data.labels.rows`; `order`: the only one that they fit, or "".
    """
    by_kind = {kind: [group for group in groups if group.kind == kind] for kind in (PICTURE, MASK, SOFT, MAPS, PARTS)}
    holes = [*by_kind[MASK], *by_kind[SOFT]]
    do: list[str] = []
    refused = list(_files(root, seen))
    if not seen:
        refused += _asked("as pictures", files.find_images, root)
    do += _evaluated(by_kind[PICTURE], holes)
    said_of_masks = len(holes) == 1 and bool(do)
    for group in by_kind[PICTURE][:SHOWN]:
        refused += _asked("evaluate", _opened, root, group, seen)
    data = [group.folder for group in by_kind[PICTURE] if group.tool in TRAINED_ON]
    if data and not several(groups):
        why = _asked("run --data", _pictures, _common(data), root, seen)
        refused += why
        do += [] if why else [f"facebench run folder --data {_path(_common(data))}  # train and measure on them"]
    for group in holes[:SHOWN]:
        why = _asked("run --masks", _square, group)
        refused += why
        do += _masked(group, evaluated=not said_of_masks, run=not why)
    for kind in (MAPS, PARTS):
        if by_kind[kind]:
            place = _common(group.folder for group in by_kind[kind])
            counts = rows if kind == MAPS else None
            said = f" --labels-order {labels.CELEBAMASK}" if counts is not None and order == labels.CELEBAMASK else ""
            do.append(f"facebench run folder --data PICTURES --labels {_path(place)}{said}  # regions and guides")
            if counts is not None and not order:
                do[-1] += f"; add --labels-order {labels.CELEBAMASK} if CelebAMask-HQ's own script made them"
            refused += _asked("run --labels" + " without --labels-order" * bool(said), _labels, place, counts)
    return do, list(dict.fromkeys(refused))


def as_data(place: Path, seen: Sequence[Seen]) -> tuple[list[str], list[str]]:
    """The same of an archive: it is taken as a data set, and as nothing else."""
    why = _asked("run --data", _pictures, place, place, seen)
    do = [] if why else [f"facebench run folder --data {_path(place)}  # train and measure on them"]
    return do, list(dict.fromkeys([*_files(place, seen), *why]))


def _evaluated(groups: Sequence[Group], holes: Sequence[Group]) -> Iterator[str]:
    originals = next((group for group in groups if group.role == "original"), None)
    results = [group for group in groups if group.role == "result" and not group.below]
    truth = f"{_path(originals.folder)}" if originals else "ORIGINALS"
    beside = _match("--match-truth", originals) if originals else ""
    masked = f" --masks {_path(holes[0].folder)}{_match('--match-masks', holes[0])}" if len(holes) == 1 else ""
    own = len(results) == 1 and not results[0].tool and not originals
    for group in results[:SHOWN]:
        mixed = any(other.folder == group.folder for other in (*groups, *holes) if other is not group)
        command = f"facebench evaluate {_path(group.folder)} {truth}"
        if own and group.pattern != PLAIN:
            yield f"{command}{masked}  # if these are results, and the originals have the same names"
        why = f"and the originals are called {PLAIN}" if group.pattern != PLAIN else "with originals of the same names"
        remark = "" if originals else f"  # if these are results, {why}"
        yield f"{command}{_match('--match', group, mixed)}{beside}{masked}{remark}"
        if own:
            called = _match("--match-truth", group, mixed) if group.pattern == PLAIN else ""
            yield f"facebench evaluate RESULTS {_path(group.folder)}{called}{masked}  # if these are the originals"
    for group in results[:1]:
        match = {} if group.pattern == PLAIN else {"match": group.pattern}
        options = json.dumps({"folder": str(group.folder)} | match, ensure_ascii=False)
        yield f"{{method: external, options: {options}}}  # as a row of a suite"


def _masked(group: Group, evaluated: bool, run: bool) -> Iterator[str]:
    threshold, option = (" --mask-threshold 127", "/>127") if group.kind == SOFT else ("", "")
    command = f"facebench evaluate RESULTS ORIGINALS --masks {_path(group.folder)}{_match('--match-masks', group)}"
    if evaluated:
        yield f"{command}{threshold}  # add --invert-masks if black is the hole"
    where = f"folder:{group.folder}{option}"
    if run:
        yield f"facebench run folder --data PICTURES --masks {_path(group.folder)}{threshold}  # or drawn at random"
        yield f"{where}  # the same as a condition of a suite; {where}/inverted if black is the hole"


def _files(root: Path, seen: Sequence[Seen]) -> Iterator[str]:
    """Single files, by what they are taken for."""
    reasons: dict[str, list[str]] = {"as pictures": [], "as masks": []}
    for one in seen:
        if PICTURE in one.refused and one.kind not in (MASK, MAPS, PARTS):
            reasons["as pictures"].append(one.refused[PICTURE])
        elif one.kind == SOFT:
            reasons["as masks"].append(one.refused[MASK])
        elif one.kind == MASK and one.hole in (0, 1):
            hole = np.full((1, 1), one.hole == 1)
            reasons["as masks"] += _said(pictures.check_hole, hole, str(root / one.name))
    for what, found in reasons.items():
        yield from (f"{what}: {reason}" for reason in found[:FILES])
        if len(found) > FILES:
            yield f"{what}: {len(found) - FILES:,} more files, for such reasons"


def _opened(root: Path, group: Group, seen: Sequence[Seen]) -> None:
    """BenchError where `facebench evaluate` refuses a group: it has folders below, or two sizes."""
    inside = [one for one in seen if one.kind == PICTURE and one.facts and (root / one.name).parent == group.folder]
    usual = inside[0].facts.size if inside and inside[0].facts else None
    odd = next((one for one in inside if one.facts and one.facts.size != usual), None)
    stems = [Path(one.name).stem for one in inside]
    if not group.below and odd is None and len(stems) == len(set(stems)):
        return  # nothing to ask
    from bench.metrics.images import Images  # imports torch

    images = Images(group.folder, "completed", match=group.pattern)
    if odd:
        names = {file: name for name, file in zip(images.ids or [], images.files, strict=True)}
        both = [names[root / one.name] for one in (inside[0], odd) if root / one.name in names]
        for _ in Images(group.folder, "completed", match=group.pattern, ids=both, exact=False).batches(2):
            pass


def _pictures(place: Path, root: Path, seen: Sequence[Seen]) -> None:
    """BenchError where a run refuses the folder as data."""
    with sources.opened(place) as source:
        found = set(source.names)
    names = {(root / one.name).relative_to(place).as_posix(): one for one in seen if place in (root / one.name).parents}
    if odd := {name: one.annotation for name, one in names.items() if one.annotation and name in found}:
        raise BenchError(files.no_photographs(place, odd, len(found)))
    if bad := [one.refused[PICTURE] for name, one in names.items() if PICTURE in one.refused and name in found]:
        raise BenchError(bad[0])


def _square(group: Group) -> None:
    """MaskError where a run refuses masks that cannot become square, or a folder that holds none itself."""
    folder = masks.MaskFolder(group.folder, 127 if group.kind == SOFT else None)
    folder.mask(0, SIZE)


def _labels(place: Path, rows: np.ndarray | None) -> None:
    labels.parts(place, files.find_images(place, labels=True))
    if rows is not None:
        labels.check_order(rows, labels.OWN, place, said=False)


def several(groups: Sequence[Group]) -> bool:
    """Whether there are several pictures of each image."""
    folders = [group.folder for group in groups if group.kind == PICTURE]
    return len(set(folders)) < len(folders)


def _asked(what: str, reader: Callable[..., object], *arguments: object) -> list[str]:
    return [f"{what}: {reason}" for reason in _said(reader, *arguments)]


def _said(reader: Callable[..., object], *arguments: object) -> list[str]:
    """The message of the BenchError that a reader raises, if it does."""
    try:
        reader(*arguments)
    except BenchError as error:
        return [str(error)]
    return []


def _common(folders: Iterable[Path]) -> Path:
    return Path(os.path.commonpath(list(folders)))


def _match(option: str, group: Group, mixed: bool = False) -> str:
    """How the files of a group are called, where that must be said; `mixed`: files of other names lie beside them."""
    return f' {option} "{group.pattern}"' if mixed or group.pattern != PLAIN else ""


def _path(folder: Path) -> str:
    return shlex.quote(str(folder))
