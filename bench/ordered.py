"""Results that a program has numbered in the order of a list: which image each of them belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from bench.data import lists
from bench.data.numbering import numbered
from bench.errors import BenchError


def lines(names: Sequence[str], path: Path) -> tuple[dict[str, str], int]:
    """The line of each result in a list, in the order of the list; and how many lines it has.

    `names`: of the results, without suffix; their last digits, behind one text, count the lines of `path` from 0, or
    from 1 where the last one has the number of lines. Raises BenchError where the numbers do not tell the lines.
    """
    listed = list(filter(None, map(str.strip, lists.text(path).splitlines())))
    line, times = max(Counter(listed).items(), key=itemgetter(1), default=("", 0))
    if times > 1:
        raise BenchError(f"{path} names {line} {times} times: each line is one image")
    numbers = numbered([f"{name}.png" for name in names], len(listed))
    if numbers is None or not all(0 <= number < len(listed) for number in numbers):
        raise BenchError(
            f"the names of the results, such as {min(names)}, do not tell their lines in {path}: they must be alike "
            f"and end in numbers, from 0 (0 is there) to {len(listed) - 1} or from 1 to {len(listed)} (that is there); "
            "say what stands behind the numbers by a pattern, such as {name}_inpaint"
        )
    return {numbers[number].removesuffix(".png"): listed[number] for number in sorted(numbers)}, len(listed)


def named(names: Sequence[str], path: Path, images: Sequence[str]) -> tuple[dict[str, str], int]:
    """The image of each result, as `lines`. `images`: without suffix; a line names one by the end of its path.

    Raises BenchError as `lines`, and for lines of results that name no image, or one again.
    """
    told, total = lines(names, path)
    found = lists.images([*told.values()], [f"{image}.png" for image in images], path)
    if missing := next((line for line in told.values() if line not in found), None):
        raise BenchError(f"the line {missing} of {path} names none of the originals, or several")
    called = {name: found[line].removesuffix(".png") for name, line in told.items()}
    if len(set(called.values())) < len(called):
        raise BenchError(f"two lines of {path} name one original: write more of their paths")
    return called, total
