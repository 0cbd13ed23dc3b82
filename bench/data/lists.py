"""Splits as lists: files that name the images of each part, as data sets are published with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench import pictures
from bench.data.folder import stem
from bench.data.splits import Split
from bench.errors import BenchError

PARTS = ("train", "val", "test")
CUTS = (162_771, 182_638)
"""Where CelebAMask-HQ's g_partition.py cuts `orig_idx`: below the first trains, from the second on tests."""
SHOWN = 3
MAX_BYTES = 1 << 28  # of a list


def by_lists(name: str, fingerprint: str, ids: Sequence[str], seed: int, lists: Mapping[str, Path]) -> Split:
    """The split that files say: one each for "train", "val" and "test", or one "partition" or "mapping" for all.

    A list has one name or path a line, with or without suffix. A partition has lines `NAME 0|1|2` (CelebA's
    list_eval_partition.txt: training, validation, test). A mapping is CelebA-HQ-to-CelebA-mapping.txt. Images that no
    list names are not used. Raises BenchError for lines that name no image, or several, or one that has a part already.
    """
    known = _Known(ids)
    parts: dict[str, tuple[str, ...]] = dict.fromkeys(PARTS, ())
    named: dict[str, str] = {}  # id -> the list that has it
    for part, path, lines in _parts(lists):
        found = known.find(lines, path, name)
        if twice := [image for image in found if image in named]:
            raise BenchError(
                f"{name}: {len(twice):,} images have a place in two parts of the split ({_some(twice)}; "
                f"{named[twice[0]]} and {path}): each image must stand in one list alone"
            )
        named |= dict.fromkeys(found, str(path))
        parts[part] = tuple(sorted(found))
    if not parts["test"]:
        raise BenchError(f"{name}: the split names no image for the test: {', '.join(map(str, lists.values()))}")
    train, validation, test = (parts[part] for part in PARTS)
    return Split(
        name=name, fingerprint=fingerprint, seed=seed, rule="list", train=train, validation=validation, test=test
    )


def _parts(lists: Mapping[str, Path]) -> Iterator[tuple[str, Path, list[str]]]:
    """(part, file, names) of each list."""
    for kind, path in lists.items():
        lines = _lines(path)
        if kind in PARTS:
            yield kind, path, lines
            continue
        parts = _partition(path, lines) if kind == "partition" else _mapping(path, lines)
        for part in PARTS:
            yield part, path, [name for name, of in parts if of == part]


def _lines(path: Path) -> list[str]:
    """The lines of a list that are not blank, each once."""
    try:
        text = pictures.read(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is no UTF-8 text: a split is a list of names, one a line") from error
    lines = list(dict.fromkeys(line for whole in text.splitlines() if (line := whole.strip())))
    if not lines:
        raise BenchError(f"{path} is empty: a split is a list of names, one a line")
    return lines


def _partition(path: Path, lines: Sequence[str]) -> list[tuple[str, str]]:
    """(name, part) of the lines `NAME 0|1|2`; a head of column names, as in copies in CSV, is passed over."""
    read = [re.fullmatch(r"(.*\S)\s*[\s,]\s*([012])", line) for line in lines]
    first = 1 if read[0] is None and len(read) > 1 else 0
    for line, match in zip(lines[first:], read[first:], strict=True):
        if match is None:
            raise BenchError(
                f"{path} is no partition: its line {line!r} is not `NAME 0`, `NAME 1` or `NAME 2` (training, "
                "validation, test); files that list one part each are given as {train: FILE, test: FILE}"
            )
    return [(match[1].rstrip(","), PARTS[int(match[2])]) for match in read[first:] if match]


def _mapping(path: Path, lines: Sequence[str]) -> list[tuple[str, str]]:
    """(name, part) of CelebA-HQ's images, `idx.jpg`, by the place of their originals in CelebA, `orig_idx`.

    The cuts are g_partition.py's own, so that its sets are met.
    """
    read = [re.fullmatch(r"(\d+)\s+(\d+)\s+\S+", line) for line in lines]
    first = 1 if read[0] is None and len(read) > 1 else 0  # the head
    for line, match in zip(lines[first:], read[first:], strict=True):
        if match is None:
            raise BenchError(
                f"{path} is no mapping of CelebA-HQ to CelebA: its line {line!r} is not `idx orig_idx orig_file`: give "
                "CelebAMask-HQ's CelebA-HQ-to-CelebA-mapping.txt"
            )
    return [(f"{match[1]}.jpg", PARTS[sum(int(match[2]) >= cut for cut in CUTS)]) for match in read[first:] if match]


class _Known:
    """The images of a data set, found by the longest ending of a path that any of them has."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ends: dict[str, str | None] = {}  # an ending, without suffix -> its image, None where there are several
        for image in ids:
            for end in _endings(stem(image)):
                self.ends[end] = None if end in self.ends else image

    def find(self, lines: Sequence[str], path: Path, name: str) -> list[str]:
        """The image of each line; BenchError names `path` and the lines that name none, several, or one again."""
        found: dict[str, str] = {}
        missing, unclear = [], []
        for line in lines:
            plain = line.replace("\\", "/")
            suffix = Path(plain).suffix
            without = plain[: -len(suffix)] if suffix.lower() in pictures.SUFFIXES else plain
            end = next((end for text in (without, plain) for end in _endings(text) if end in self.ends), None)
            image = None if end is None else self.ends[end]
            if end is None:
                missing.append(line)
            elif image is None or image in found:
                unclear.append(line)
            else:
                found[image] = line
        if missing:
            raise BenchError(
                f"{path}: {len(missing):,} of {len(lines):,} lines name no image of {name} ({_some(missing)}): give "
                "the folder that the list belongs to, or a list of its images"
            )
        if unclear:
            raise BenchError(
                f"{path}: {len(unclear):,} of {len(lines):,} lines could name several images of {name}, or name one "
                f"that another line names ({_some(unclear)}): write more of their paths"
            )
        return list(found)


def _endings(path: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
