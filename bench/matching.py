"""Which file belongs to which image: by name, or by the pattern that another program writes names in."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import pictures
from bench.errors import BenchError

PLAIN = "{name}"
BELOW = "**/"  # before a pattern: files of these names in any folder below
NUMBER = "{k}"  # in a pattern for several completions of each image
ALL = 'the method external with match: "{}", in a suite with completions: {}'  # measures several of an image
ORDER = "order.txt"  # in a folder of pictures or beside it: names, one a line
MOST = 1 << 26  # bytes of it
DEPTH = 3  # folders below one another in which patterns are looked for
HALF = 0.5  # share of the images for which a pattern must have files to be named


def listed(folder: Path, match: str = PLAIN) -> tuple[dict[str, Path], Counter[str]]:
    """The pictures in a folder by the names of their images, in order; and how many files of which suffix are not read.

    The order is that of order.txt in the folder or beside it, else of names: intervals and scores of sets depend on it.

    `match` says how files are called, without their suffix: `{name}_pred`, or `{name}/0` in a folder an image, or
    `**/{name}` in any folder below. Files of other names are passed over. Names are compared as people read them
    (Unicode's NFC), suffixes in either case.
    Raises BenchError where two have one name, the folder cannot be read, or the pattern holds no `{name}`.
    """
    before, after = parted(match)
    if before.startswith(BELOW):
        return _found_below(folder, before.removeprefix(BELOW), after)
    *folders, last = before.split("/")
    start = folder.joinpath(*folders)
    if "/" not in after:
        found, unread = pictures.listed(start)
        wanted = {stem: path for stem, path in found.items() if _inside(stem, last, after)}
        return _sorted(
            folder, {stem[len(last) : len(stem) - len(after)]: path for stem, path in wanted.items()}
        ), unread
    first, rest = after.split("/", 1)
    names: dict[str, Path] = {}
    for below in pictures.entries(start):
        place = Path(below, rest).parent
        path = pictures.listed(place)[0].get(Path(rest).name) if place.is_dir() else None
        if path and _inside(stem := unicodedata.normalize("NFC", below.name), last, first):
            pictures.check_name(below.name, start)
            names[stem[len(last) : len(stem) - len(first)]] = path
    return _sorted(folder, names), Counter()


def _found_below(folder: Path, before: str, after: str) -> tuple[dict[str, Path], Counter[str]]:
    """`listed` of all folders below: each file must have a name of its own."""
    names: dict[str, Path] = {}
    left: Counter[str] = Counter()
    for place, folders, _ in os.walk(folder, onerror=pictures.closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found, unread = pictures.listed(Path(place))
        left += unread
        for stem, path in found.items():
            if _inside(stem, before, after):
                name = stem[len(before) : len(stem) - len(after)]
                if (other := names.setdefault(name, path)) != path:
                    raise BenchError(f"{other} and {path} have one name: rename one, or take each folder by itself")
    return _sorted(folder, names), left


def _sorted(folder: Path, found: dict[str, Path]) -> dict[str, Path]:
    """As order.txt says; names that it lacks follow in the order of plain files: `1.png` stands before `10.png`."""
    rank = {name: i for i, name in enumerate(_order(folder))}
    return {name: found[name] for name in sorted(found, key=lambda name: (rank.get(name, len(rank)), f"{name}."))}


def _order(folder: Path) -> list[str]:
    """The names in order.txt; none where there is no such file."""
    path = next((path for path in (folder / ORDER, folder.resolve().parent / ORDER) if path.exists()), None)
    if path is None:
        return []
    try:
        return unicodedata.normalize("NFC", pictures.read(path, MOST).decode()).splitlines()
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is no text: it must list the names of pictures, one a line; or rename it") from error


def parted(match: str) -> tuple[str, str]:
    """What stands before and after the name in a pattern."""
    before, name, after = unicodedata.normalize("NFC", match).partition(PLAIN)
    if NUMBER in match:
        raise BenchError(
            f"the pattern {match!r} is for several completions of each image, and here there is one: say which, for "
            f"example {match.replace(NUMBER, '0')}; or measure all with {ALL.format(match, 5)}"
        )
    if not name or PLAIN in after or ".." in match or before.startswith("/"):
        raise BenchError(f"the pattern {match!r} must hold {PLAIN} once, for example {PLAIN}_pred or {PLAIN}/0")
    if before.startswith(BELOW) and "/" in before.removeprefix(BELOW) + after:
        raise BenchError(f"the pattern {match!r} names more folders: write {BELOW}{PLAIN} or {BELOW}{PLAIN}_pred")
    return before, after


def _inside(stem: str, before: str, after: str) -> bool:
    return stem.startswith(before) and stem.endswith(after) and len(stem) > len(before) + len(after)


def patterns(folder: Path, names: Iterable[str], plain: bool = False) -> list[str]:
    """The patterns by which files below a folder belong to most images of these names; `{name}` only if `plain`."""
    wanted, there = list(names), _below(folder)
    candidates = {
        (stem[:at], stem[at + len(name) :])
        for name in wanted[:2]
        for stem in there
        for at in (found.start() for found in re.finditer(f"(?={re.escape(name)})", stem))
    }
    counts = {pair: sum(f"{pair[0]}{name}{pair[1]}" in there for name in wanted) for pair in candidates}
    if not plain or there <= set(wanted):  # there is no other file to leave out
        counts.pop(("", ""), None)
    most = max(counts.values(), default=0)
    best = [pair for pair, count in counts.items() if count == most and count > max(1, HALF * len(wanted))]
    return [f"{before}{PLAIN}{after}" for before, after in sorted(best)]


def first(folder: Path, match: str) -> int:
    """What `{k}` in a pattern counts from: 1 where files of this number lie in the folder, and none of 0; else 0."""
    there, ends = _below(folder), [parted(match.replace(NUMBER, number)) for number in "01"]
    from_zero, from_one = (any(_inside(stem, *around) for stem in there) for around in ends)
    return int(from_one and not from_zero)


def advice(
    folder: Path, option: str, names: Iterable[str], other: str = "", several: bool = False, plain: bool = False
) -> str:
    """The end of a message about names that do not match: which pattern would; "" where none is found.

    `option`: how the pattern of this folder is said, as in `--match {}`. `other`: what must be said beside it.
    `several`: they may be several completions of each image.
    `plain`: saying `{name}` helps, since it leaves out all other files.
    """
    wanted = list(names)
    found = patterns(folder, wanted, plain)
    if not found:
        low = {name.casefold(): name for name in _below(folder)}
        pairs = [(low[name.casefold()], name) for name in wanted if low.get(name.casefold(), name) != name]
        return f"; {pairs[0][0]} and {pairs[0][1]} differ in the case of letters: rename one of them" if pairs else ""
    said = [option.format(f'"{pattern}"') for pattern in found]
    if len(said) == 1:
        return f"; they match with {said[0]}{other}"
    more = f" (or {', '.join(said[1:6])}{', ...' if len(said) > 6 else ''})"
    if several and (every := numbered(found)):
        more += f"; or measure all with {ALL.format(every, len(found))}"
    return f"; there are several files of each image: say which one with {said[0]}{other}{more}"


def numbered(found: Sequence[str]) -> str:
    """The pattern with `{k}` of patterns, sorted, that differ in one number, from 0 or 1 on; "" where there is none."""
    for digits in re.finditer(r"\d+", found[0]):
        pattern = f"{found[0][: digits.start()]}{NUMBER}{found[0][digits.end() :]}"
        start = int(digits.group())
        if start < 2 and {pattern.replace(NUMBER, str(start + i)) for i in range(len(found))} == {*found}:
            return pattern
    return ""


def cores(names: Iterable[str]) -> tuple[list[str], str] | None:
    """Names without what all have in common before or after a mark such as `_`, and the pattern; None if nothing."""
    known = list(names)
    head, tail = _shared(known), _shared([name[::-1] for name in known])[::-1]
    if len(known) < 2 or not (head or tail):
        return None
    return [name[len(head) : len(name) - len(tail)] for name in known], f"{head}{PLAIN}{tail}"


def _shared(names: list[str]) -> str:
    """The beginning that names share, up to its last mark."""
    least, most = min(names, default=""), max(names, default="")  # in between they share no less
    length = next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))
    return re.sub(r"[^_\-. ]*$", "", least[:length])


def _below(folder: Path) -> set[str]:
    """The pictures in a folder and below it, by their paths without suffix."""
    found: set[str] = set()
    for place, folders, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = [name for name in folders if not name.startswith(".")] if depth < DEPTH else []
        for file in files:
            path = Path(place, file)
            if path.suffix.lower() in pictures.SUFFIXES and not file.startswith("."):
                found.add(unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix()))
    return found
