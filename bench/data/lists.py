"""Splits as lists: files that name the images of each part, as data sets are published with them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bench import pictures
from bench.data.folder import stem
from bench.data.numbering import counted, numbered
from bench.data.splits import Split
from bench.errors import BenchError
from bench.progress import say

PARTS = ("train", "val", "test")
CUTS = (162_771, 182_638)
"""Where CelebAMask-HQ's g_partition.py cuts `orig_idx`: below the first trains, from the second on tests."""
HELD_OUT = {"lama": Path(__file__).parent / "published" / "lama.txt"}
"""Published tests by name: 2,000 pictures of CelebA-HQ, by their numbers from 0, that LaMa's list for training lacks
(fetch_data/val_shuffled.flist of its repository)."""
CELEBA_HQ = 30_000
"""Its pictures."""
SHOWN = 3
MAX_BYTES = 1 << 28  # of a list
_GIVEN = "those here have numbers that a tool gave them, in the order of their paths or rows"
_KEEP = "give the folder of the pictures, or an archive that keeps their names"


def by_lists(
    name: str, fingerprint: str, ids: Sequence[str], seed: int, lists: Mapping[str, Path], named: bool = True
) -> Split:
    """The split that files say: one each for "train", "val" and "test", or one "partition" or "mapping" for all.

    A list has one name or path a line, with or without suffix, or with a number of its class behind (Places365). A
    partition has lines `NAME 0|1|2` (CelebA's list_eval_partition.txt: training, validation, test). A mapping is
    CelebA-HQ-to-CelebA-mapping.txt. Images that no list names are not used; of one "held_out" list they train.
    `named`: see `images`. Raises BenchError for lines that name no image, or several, or one that has a part already.
    """
    known = _Known(ids)
    parts: dict[str, tuple[str, ...]] = dict.fromkeys(PARTS, ())
    taken: dict[str, str] = {}  # id -> the list that has it
    for part, path, listed in _parts(lists):
        numbers = "mapping" in lists or path in HELD_OUT.values()
        found = _by_number(listed, path, name, ids, named) if numbers else known.find(listed, path, name)
        if twice := [image for image in found if image in taken]:
            raise BenchError(
                f"{name}: {len(twice):,} images have a place in two parts of the split ({some(twice)}; "
                f"{taken[twice[0]]} and {path}): each image must stand in one list alone"
            )
        taken |= dict.fromkeys(found, str(path))
        parts[part] = tuple(sorted(found))
    if not named:
        say(f"{name}: the lists of the split count pictures, and {_GIVEN}: these are meant")
    if not parts["test"]:
        raise BenchError(f"{name}: the split names no image for the test: {', '.join(map(str, lists.values()))}")
    if "held_out" in lists:
        parts["train"] = tuple(image for image in ids if image not in taken)
    train, validation, test = (parts[part] for part in PARTS)
    return Split(
        name=name, fingerprint=fingerprint, seed=seed, rule="list", train=train, validation=validation, test=test
    )


def among(path: Path, ids: Sequence[str], name: str, named: bool = True) -> set[str]:
    """The images that are among those of a list, most of which may not be here, as of a list for training.

    Where the list and the copy of CelebA-HQ count from 0 and from 1, the numbers count. Raises BenchError where the
    list names no image at all, for then it is of another data set, or names them otherwise.
    """
    listed = _without_classes(lines(path), _Known(ids))
    found = {*images(listed, ids, path, named).values()}
    if not found:
        raise BenchError(
            f"{path}: none of its {len(listed):,} lines names an image of {name} ({some(listed)}): give a list that "
            "names images as their files are called here"
        )
    return found


def images(listed: Sequence[str], ids: Sequence[str] | None, path: Path, named: bool = True) -> dict[str, str]:
    """The image that each line names, of those that name one: by the longest ending of a path; by number where a list
    and a copy of CelebA-HQ differ in how they count alone, from 0 or from 1, with or without leading zeros.

    `ids`: None where each line is an image. `path`: of the list. `named`: whether the ids are the makers' own names.
    BenchError where they are numbers that a tool gave, and lines have others; or where a list counts as CelebA's do,
    and the images as those of CelebA-HQ.
    """
    if ids is None:
        return {line: line for line in listed}
    known = _Known(ids)
    plain = {line.replace("\\", "/"): line for line in listed}
    here, there = counted(ids), counted([*plain])
    alike = here and there and here[0] == there[0]  # `bob_0` is not `anna_0`
    if alike and not named:
        if unknown := [line for line in listed if not known.image(line)[1]]:
            raise BenchError(f"{path} counts pictures ({some(unknown)}), and {_GIVEN} ({some(ids)}): {_KEEP}")
        say(f"{path} counts pictures, and {_GIVEN}: these are meant")
    elif alike and (mine := numbered(ids, CELEBA_HQ)) and (theirs := numbered([*plain], CELEBA_HQ)):
        return {plain[theirs[number]]: mine[number] for number in mine.keys() & theirs.keys()}
    found = {line: image for line in listed if (image := known.image(line)[1])}
    beyond = alike and here and there and max(here[1]) <= CELEBA_HQ < max(there[1]) and 0 not in there[1]
    if beyond and here and there and (0 in here[1] or not found):
        raise BenchError(
            f"{path} counts from {min(there[1])} to {max(there[1]):,}, as lists of CelebA do, and the images as "
            f"those of CelebA-HQ ({some(ids)}): there the same number is another person; give the list of "
            "CelebA-HQ, such as CelebAMask-HQ-attribute-anno.txt, or write the names of these images"
        )
    return found


def _parts(lists: Mapping[str, Path]) -> Iterator[tuple[str, Path, list[str]]]:
    """(part, file, names) of each list."""
    for kind, path in lists.items():
        listed = lines(path)
        if kind in (*PARTS, "held_out"):
            yield "test" if kind == "held_out" else kind, path, listed
            continue
        parts = _partition(path, listed) if kind == "partition" else _mapping(path, listed)
        for part in PARTS:
            yield part, path, [name for name, of in parts if of == part]


def lines(path: Path) -> list[str]:
    """The lines of a list that are not blank, each once."""
    found = list(dict.fromkeys(line for whole in text(path).splitlines() if (line := whole.strip())))
    if not found:
        raise BenchError(f"{path} is empty: a split is a list of names, one a line")
    return found


def text(path: Path) -> str:
    """What a list or table of images says; BenchError names a file that is no text."""
    try:
        return pictures.read(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is no UTF-8 text: it must name images, one a line") from error


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
    """(number, part) of CelebA-HQ's images, `idx`, by the place of their originals in CelebA, `orig_idx`.

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
    return [(match[1], PARTS[sum(int(match[2]) >= cut for cut in CUTS)]) for match in read[first:] if match]


def _by_number(lines: Sequence[str], path: Path, name: str, ids: Sequence[str], named: bool) -> list[str]:
    """The images of CelebA-HQ with these numbers, counted from 0; BenchError where the copy's names do not tell them.

    `path` and `name`: what to call the list and the data set.
    """
    if not named:
        raise BenchError(f"{name}: {path} counts pictures as CelebA-HQ does, and {_GIVEN} ({some(ids)}): {_KEEP}")
    images = numbered(ids, CELEBA_HQ)
    if images is None:
        raise BenchError(
            f"{name}: its names do not tell whether its pictures are counted from 0 or from 1, and {path} counts from "
            f"0: give the whole folder of CelebA-HQ, as 0.jpg to {CELEBA_HQ - 1}.jpg or 00001.jpg to {CELEBA_HQ}.jpg"
        )
    if missing := [line for line in lines if int(line) not in images]:
        raise BenchError(
            f"{path}: {len(missing):,} of {len(lines):,} numbers are those of no image of {name} ({some(missing)}): "
            "give the whole folder of CelebA-HQ"
        )
    return [images[int(line)] for line in lines]


class _Known:
    """The images of a data set, found by the longest ending of a path that any of them has."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ends: dict[str, str | None] = {}  # an ending, without suffix -> its image, None where there are several
        for image in ids:
            for end in _endings(stem(image)):
                self.ends[end] = None if end in self.ends else image

    def image(self, line: str) -> tuple[str | None, str | None]:
        """The ending by which a line names an image, and the image; None for either where there is none."""
        plain = unicodedata.normalize("NFC", line).replace("\\", "/")
        suffix = Path(plain).suffix
        without = plain[: -len(suffix)] if suffix.lower() in pictures.SUFFIXES else plain
        end = next((end for text in (without, plain) for end in _endings(text) if end in self.ends), None)
        return end, None if end is None else self.ends[end]

    def find(self, lines: Sequence[str], path: Path, name: str) -> list[str]:
        """The image of each line; BenchError names `path` and the lines that name none, several, or one again."""
        found: dict[str, str] = {}
        missing, unclear = [], []
        for line in _without_classes(lines, self):
            end, image = self.image(line)
            if end is None:
                missing.append(line)
            elif image is None or image in found:
                unclear.append(line)
            else:
                found[image] = line
        if missing:
            parts = all(re.search(r"\s[012]$", line) for line in missing)
            partition = "; if lines end in their part, 0, 1 or 2, give it as `split: FILE`" if parts else ""
            raise BenchError(
                f"{path}: {len(missing):,} of {len(lines):,} lines name no image of {name} ({some(missing)}): give "
                f"the folder that the list belongs to, or a list of its images{partition}"
            )
        if unclear:
            raise BenchError(
                f"{path}: {len(unclear):,} of {len(lines):,} lines could name several images of {name}, or name one "
                f"that another line names ({some(unclear)}): write more of their paths"
            )
        return list(found)


def _without_classes(lines: Sequence[str], known: _Known) -> Sequence[str]:
    """The names of a list whose lines all end in the number of a class, none of which names an image with it.

    Numbers of 0, 1 and 2 alone stay: they are those of a partition.
    """
    read = [re.fullmatch(r"(.*\S)\s+(\d+)", line) for line in lines]
    found = [(match[1], int(match[2])) for match in read if match]
    classes = len(found) == len(lines) and any(number > 2 for _, number in found)
    return [name for name, _ in found] if classes and not any(known.image(line)[0] for line in lines) else lines


def _endings(path: str) -> Iterator[str]:
    """`a/b/c`, `b/c`, `c`."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def some(names: Sequence[str]) -> str:
    """The first names of many, for a message."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
