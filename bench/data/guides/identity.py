"""Number of the person in each image: (N,) int64. Trains networks that tell people apart; no condition shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.data import lists
from bench.data.dataset import PEOPLE, UNKNOWN, ImageData
from bench.data.guides.guide import Asked, Files, Guide, Maker, Sides, listed
from bench.errors import BenchError


class Identity(Guide):
    told = "the number of the person"
    remedy = "train on synthfaces or a data set with `identities`, or give the prior its official `weights`"
    shown = False
    companion, files = PEOPLE, "people"

    def of(self, asked: Asked) -> Maker:
        people = asked.images.people
        return lambda indices: None if (found := people(indices)) is None else torch.from_numpy(found)

    def mirrored(self, value: Tensor, width: int) -> Tensor:
        return value

    def resized(self, value: Tensor, before: Sides, after: Sides) -> Tensor:
        return value

    def masked(self, value: Tensor, mask: Tensor) -> Tensor:
        return value

    def exported(self, value: Tensor) -> list[str]:
        return [str(number) for number in value.tolist()]

    def prepared(self, files: Files) -> ImageData:
        return listed(files, "identity", table)


def table(file: Path, pictures: Sequence[str] | None, named: bool = True) -> tuple[list[str], np.ndarray]:
    """Names, and the number of the person whom each shows (N,) int64, `UNKNOWN` where the file says none.

    A line is `NAME PERSON`, as in CelebA's identity_CelebA.txt, or `NAME,PERSON`; those of no picture, such as a head,
    are passed over. `pictures`: the names of those that it may tell of; without, the file's own. Raises BenchError for
    another line, and for a picture of two people.
    """
    lines = [line.strip() for line in lists.text(file).splitlines() if line.strip()]
    rows = [re.fullmatch(r"(.*\S)\s*[\s,]\s*([^\s,]+)", line) for line in lines]
    wrong = [line for line, row in zip(lines, rows, strict=True) if row is None]
    if wrong or not lines:
        said = f": its line {wrong[0][:60]!r} is not `NAME PERSON`" if wrong else ""
        raise BenchError(f"{file} is no list of people{said}: give lines as in CelebA's identity_CelebA.txt")
    told = [(row[1].rstrip(","), row[2]) for row in rows if row]
    found = lists.images([name for name, _ in told], pictures, file, named)
    people: dict[str, str] = {}
    for name, person in told:
        if name in found and people.setdefault(found[name], person) != person:
            raise BenchError(
                f"{file} says of {found[name]} that it shows {people[found[name]]} and {person}: leave one"
            )
    names = sorted(pictures or people)
    numbers = {person: number for number, person in enumerate(sorted({*people.values()}))}
    values = [numbers[people[name]] if name in people else UNKNOWN for name in names]
    return names, np.array(values, np.int64)


GUIDE = Identity()
