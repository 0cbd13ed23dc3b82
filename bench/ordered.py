"""Results that a program has numbered in the order of a list: which image each of them belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from bench.data import lists
from bench.data.numbering import numbered
from bench.errors import BenchError


def named(names: Sequence[str], path: Path, images: Sequence[str]) -> tuple[dict[str, str], int]:
    """The image of each result, in the order of the list, and how many images the list names.

    `names`: of the results, without suffix; their last digits count the lines of `path` from 0, or from 1 where the
    last one has the number of lines. `images`: the originals, without suffix; a line names one by the end of its path.
    Raises BenchError where the numbers do not tell the lines, and for lines of results that name no original.
    """
    listed = list(filter(None, map(str.strip, lists.text(path).splitlines())))
    line, times = max(Counter(listed).items(), key=itemgetter(1), default=("", 0))
    if times > 1:
        raise BenchError(f"--order: {path} names {line} {times} times: each line is one image")
    numbers = numbered([f"{name}.png" for name in names], len(listed))
    if numbers is None or not all(0 <= number < len(listed) for number in numbers):
        raise BenchError(
            f"--order: the names of the results, such as {min(names)}, do not tell their lines in {path}: they must "
            f"end in numbers, from 0 (0 is there) to {len(listed) - 1} or from 1 to {len(listed)} (that is there); "
            'say what stands behind the numbers, for example --match "{name}_inpaint"'
        )
    found = lists.images(listed, [f"{image}.png" for image in images])
    called: dict[str, str] = {}
    for number in sorted(numbers):
        image = found.get(listed[number])
        if image is None:
            raise BenchError(f"--order: the line {listed[number]} of {path} names none of the originals, or several")
        called[numbers[number].removesuffix(".png")] = image.removesuffix(".png")
    if len(set(called.values())) < len(called):
        raise BenchError(f"--order: two lines of {path} name one original: write more of their paths")
    return called, len(listed)
