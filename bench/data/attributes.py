"""Numbers that describe a face: what they are called, those of synthetic faces, and a user's table of them.

    yaw, pitch, roll           degrees; positive to the right of the picture, upwards, clockwise
    jaw                        how far the mouth is open
    expression1 ...            the coefficients of a 3D face model, the first twelve
    light1 ...                 spherical harmonics of the light up to the second order, x to the right, y to the viewer,
                               z upwards: 1, y, z, x, xy, yz, 3z² - 1, xz, x² - y²
    gender, glasses, baldness, beard, age, expression
                               what a classifier says: probabilities, age in years, expression = smile

Methods compare and change numbers of one origin, so other units and signs serve as well, where all files have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from bench.data import groups, lists
from bench.errors import BenchError

POSE = "yaw", "pitch", "roll"
EXPRESSIONS = tuple(f"expression{i}" for i in range(1, 13))
LIGHT = tuple(f"light{i}" for i in range(1, 10))
CLASSIFIED = "gender", "glasses", "baldness", "beard", "age", "expression"
NAMES = (*POSE, "jaw", *EXPRESSIONS, *LIGHT, *CLASSIFIED)
"""In the order of the tensors."""
OPPOSITE = {"yaw", "roll", "light4", "light5", "light8"}
"""Those that a mirrored picture has with the other sign."""
OPTION = "the CSV file of --attributes (a column of names, then yaw, pitch, ...)"


def chosen(values: Tensor, names: Sequence[str], user: str) -> Tensor:
    """Columns (N, K) of attributes (N, len(NAMES)), by their names. Raises BenchError for one that is not known."""
    found = values[:, [NAMES.index(name) for name in names]]
    unknown = found.isnan().any(dim=0).tolist()
    if lacking := [name for name, absent in zip(names, unknown, strict=True) if absent]:
        raise BenchError(f"{user} needs {', '.join(lacking)} of every face: add these columns to {OPTION}")
    return found


def of_scenes(p: SimpleNamespace) -> np.ndarray:
    """Those of synthetic faces (N, len(NAMES)) float32, of what `bench.data.synthfaces.scene.sample` drew.

    The coefficients of expression are smile, surprise, anger, lids, lift of the brows and gaze; the others are 0.
    """
    zero = torch.zeros_like(p.yaw)
    expression = [p.smile, p.surprise, p.anger, p.lids, p.brow_lift, p.gaze_x, p.gaze_y]
    values = [
        *(p.yaw.rad2deg(), p.r21.asin().rad2deg(), torch.atan2(-p.r01, p.r11).rad2deg(), p.open),
        *(*expression, *[zero] * (len(EXPRESSIONS) - len(expression))),
        *harmonics(p),
        *(p.male, p.glasses, p.bald, p.beard, 20 + 50 * p.age, p.smile.clamp(0, 1)),
    ]
    return torch.cat(values, dim=1)[:, :, 0, 0].numpy()


def harmonics(p: SimpleNamespace) -> list[Tensor]:
    """Of the light of these scenes: from one side, and an even one."""
    key, fill = p.key.mean(1, keepdim=True), p.fill.mean(1, keepdim=True)
    x, y, z = p.light_x, p.light_z, -p.light_y
    first, second = 3**0.5, 15**0.5
    even = 5**0.5 / 2 * (3 * z * z - 1)
    of = (first * y, first * z, first * x, second * x * y, second * y * z, even, second * x * z,
          second / 2 * (x * x - y * y))  # fmt: skip
    return [key + fill, *(key * value for value in of)]


def table(file: Path, pictures: Sequence[str] | None, named: bool = True) -> tuple[list[str], np.ndarray]:
    """Names, and the numbers of each (N, len(NAMES)) float32, NaN where the file says none.

    `pictures`: the names of those that it may tell of, which are returned, and whether they are `named` by their makers
    (see `lists.images`); without, the file's own. Columns that are not called like one of `NAMES`, in large or small
    letters, or that hold no numbers, tell groups of faces and are passed over. Raises BenchError for a column that
    holds numbers and other texts.
    """
    columns, rows = groups.table(file)
    listed = [row[0] for row in rows]
    found = lists.images(listed, pictures, file, named)
    names = sorted(pictures or found.values())
    place = {name: number for number, name in enumerate(names)}
    values = np.full((len(names), len(NAMES)), np.nan, np.float32)
    for column, called in enumerate(columns, start=1):
        if called.lower() not in NAMES:
            continue
        numbers = {row[0]: _number(row[column]) for row in rows}
        wrong = [row for row in rows if row[column] and numbers[row[0]] is None]
        if len(wrong) == len([row for row in rows if row[column]]):
            continue
        if wrong:
            raise BenchError(
                f"{file}: the column {called} holds numbers, and of {wrong[0][0]} {wrong[0][column]!r}: write a number "
                "there, or nothing where none is known"
            )
        for row in rows:
            if row[0] in found and (number := numbers[row[0]]) is not None:
                values[place[found[row[0]]], NAMES.index(called.lower())] = number
    return names, values


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
