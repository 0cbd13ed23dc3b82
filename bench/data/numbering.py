"""Pictures that one maker counts from 0 and another from 1, as those of CelebA-HQ: told apart by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.data.folder import stem


def counted(names: Sequence[str]) -> tuple[str, dict[int, str]] | None:
    """What stands before the last digits of all names, folders aside, and the names by the number that these are.

    None where a name ends in no number, has another text before it than the others, or shares its number.
    """
    found = [re.fullmatch(r"(?:.*/)?([^/]*?)(\d+)", stem(name)) for name in names]
    numbers = {int(match[2]): name for match, name in zip(found, names, strict=True) if match}
    texts = {match[1] for match in found if match}
    return (texts.pop(), numbers) if len(numbers) == len(names) and len(texts) == 1 else None


def numbered(ids: Sequence[str], count: int) -> dict[int, str] | None:
    """The images of a copy of a data set of `count` pictures, by their numbers from 0.

    The first is called 0 (`0.jpg`, CelebAMask-HQ) or 1 (`00001.jpg`, copies at 256 px); a name's last digits are its
    number. None where names are not `counted`, count further, or do not tell which it is: neither 0 nor `count` is
    there.
    """
    found = counted(ids)
    if found is None or max(found[1]) > count or (0 in found[1]) == (count in found[1]):
        return None
    first = 0 if 0 in found[1] else 1
    return {number - first: name for number, name in found[1].items()}
