"""Pictures that one maker counts from 0 and another from 1, as those of CelebA-HQ: told apart by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.data.folder import stem


def numbered(ids: Sequence[str], count: int) -> dict[int, str] | None:
    """The images of a copy of a data set of `count` pictures, by their numbers from 0.

    The first is called 0 (`0.jpg`, CelebAMask-HQ) or 1 (`00001.jpg`, copies at 256 px); a name's last digits are its
    number. None where names have no numbers or share them, or do not tell which it is: neither 0 nor `count` is there.
    """
    found = [re.search(r"\d+$", stem(name)) for name in ids]
    numbers = {int(match[0]): name for match, name in zip(found, ids, strict=True) if match}
    if len(numbers) < len(ids) or (0 in numbers) == (count in numbers):
        return None
    first = 0 if 0 in numbers else 1
    return {number - first: name for number, name in numbers.items()}
