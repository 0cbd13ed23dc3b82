"""Groups of test images, for results by group: a file of attributes, or what synthetic faces know of themselves."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.data import lists
from bench.data.dataset import ImageData
from bench.data.synthfaces import ATTRIBUTES
from bench.errors import BenchError

Groups = dict[str, list[str]]
"""Attribute -> the group of each image, in order; "" for an image of no group."""

SIGNS = {"1": "yes", "-1": "no"}  # as CelebA writes attributes
SCALES = {"age": ("young", "middle", "old"), "skin_tone": ("light", "middle", "dark")}  # thirds of synthfaces' scales
MOST = 12  # groups of an attribute


def of(images: ImageData, tested: Sequence[str], file: Path | None) -> Groups:
    """The groups of these images: of a file of attributes, else of synthetic faces; {} where nothing tells any.

    A file is CelebA's `list_attr_celeba.txt` (a count, a line of attributes, then a name and -1 or 1 for each), also
    that of CelebAMask-HQ, or a CSV file with a head: a column of names, then a column an attribute, whose values are
    the groups; an empty one is none. Rows of images that are not here are passed over, so that one list serves every
    part of a data set. BenchError names a file that is none of these, a test image without a row, one with two, and an
    attribute of more than `MOST` groups.
    """
    if file is not None:
        return _of_file(file, images, tested)
    known = images.known("attributes", images.indices(tested))
    if known is None:
        return {}
    columns = zip(ATTRIBUTES, known.T.tolist(), strict=True)
    return {name: [_third(name, value) if name in SCALES else _sign(value) for value in of] for name, of in columns}


def _sign(value: float) -> str:
    return SIGNS["1"] if value >= 0.5 else SIGNS["-1"]


def _third(name: str, value: float) -> str:
    return SCALES[name][min(int(value * 3), 2)]


def _of_file(file: Path, images: ImageData, tested: Sequence[str]) -> Groups:
    names, rows = table(file)
    found = lists.images([row[0] for row in rows], images.ids, file, images.named)
    twice = [image for image, count in Counter(found.values()).items() if count > 1 and image in tested]
    if repeated := [name for name, count in Counter(row[0] for row in rows).items() if count > 1] or twice:
        raise BenchError(
            f"{file}: {len(repeated):,} images have several rows ({lists.some(repeated)}): leave one of each"
        )
    values = {found[row[0]]: row[1:] for row in rows if row[0] in found}
    if missing := [image for image in tested if image not in values]:
        raise BenchError(
            f"{file}: {len(missing):,} of {len(tested):,} test images of {images.name} have no row "
            f"({lists.some(missing)}; the file has {lists.some([row[0] for row in rows])}): add their rows, empty ones "
            "for images of no group, or give the file that belongs to these images"
        )
    groups = {}
    for column, name in enumerate(names):
        group = [values[image][column] for image in tested]
        groups[name] = [SIGNS[one] if one else "" for one in group] if {*group} <= {*SIGNS, ""} else group
    return groups


def table(file: Path) -> tuple[list[str], list[list[str]]]:
    """The attributes of a file, and its rows: a name, then a text an attribute. BenchError for a file that is none."""
    text = [line for line in lists.text(file).splitlines() if line.strip()]
    if len(text) > 1 and text[0].strip().isdecimal():
        names, rows = text[1].split(), [line.split() for line in text[2:]]
    else:
        (_, *names), *rows = ([cell.strip() for cell in row] for row in csv.reader(text)) if text else [[""]]
    wrong = next((row for row in rows if len(row) != len(names) + 1), None)
    if not names or not rows or wrong or len({*names, ""}) <= len(names):
        said = f"`{' '.join(wrong)[:60]}` has {len(wrong) - 1} values for {len(names)} attributes" if wrong else ""
        raise BenchError(
            f"{file} is no table of attributes{said and f': {said}'}: give CelebA's list_attr_celeba.txt, or CSV with "
            "the head `name,ATTRIBUTE,...` and a line an image"
        )
    return names, rows


def chosen(found: Mapping[str, Groups], wanted: Sequence[str]) -> dict[str, Groups]:
    """Of each data set, the groups of the attributes that a report shows.

    `found`: of each data set. BenchError names an attribute that no data set has, and one with too many groups.
    """
    known = {name: None for groups in found.values() for name in groups}
    for name in wanted:
        if name not in known:
            has = f"they have {', '.join(known)}" if known else "give a data set `attributes: FILE`, or take synthfaces"
            raise BenchError(f"report.groups: no data set has the attribute {name!r}: {has}")
        for dataset, groups in found.items():
            if (count := len({*groups.get(name, ())} - {""})) > MOST:
                raise BenchError(
                    f"report.groups: {name} has {count} different values in {dataset}, more than {MOST} groups: write "
                    "ranges or kinds into the file of attributes"
                )
    return {dataset: {name: groups[name] for name in wanted if name in groups} for dataset, groups in found.items()}
