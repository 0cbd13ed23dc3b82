"""Completed pictures as PNG files, in folders that other tools read, with their masks and originals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from bench import matching
from bench.archive import Archive
from bench.errors import BenchError
from bench.samples import save_png
from bench.score import pictures
from bench.store import file_slug, image_file, write_text
from bench.task import Task

ORIGINALS, HOLES = "originals", "masks"  # folders beside those of methods


def place(root: Path, row: dict[str, Any], trained: bool = False) -> Path:
    """The folder of a row: DATASET/CONDITION/METHOD; what is trained adds its shots and seed, unless all and 0.

    BenchError where the row is called like a folder beside it.
    """
    parts = [file_slug(row["title"])]
    parts += [f"{row['shots']}-shots"] if trained and row["shots"] != "all" else []
    parts += [f"seed-{row['seed']}"] if trained and row["seed"] else []
    name = "-".join(parts)
    if name.lower() in (ORIGINALS, HOLES):
        raise BenchError(
            f"the row {row['title']!r} would lie in the folder of the {name.lower()}: give it another title"
        )
    return root / row["dataset"] / file_slug(row["condition"]) / name


def export(archive: Archive, task: Task, folder: Path, names: str = matching.PLAIN) -> None:
    """Write the pictures of one condition as they were scored: `folder`/NAME.png; of several completions NAME_0.png ...

    `names`: how the files are called, without suffix: `{name}_pred`, `{name}/{k}`. Raises BenchError where the folder
    holds pictures of other images, which would be measured with these.
    """
    if archive.completions > 1 and matching.NUMBER not in names:
        names = f"{names}_{matching.NUMBER}"
    for number in range(archive.completions):
        called = names.replace(matching.NUMBER, str(number))
        _write(folder, stems(task), pictures(archive, task, number), called)


def export_first(archive: Archive, task: Task, count: int, folder: Path) -> None:
    """Write the first pictures of a condition, of which people look at some, beside what lies there."""
    found = (image for batch in pictures(archive, replace(task, positions=task.positions[:count])) for image in batch)
    for name, image in zip(archive.ids, found, strict=False):
        save_png(folder / image_file(name), image)


def export_truth(task: Task, folder: Path) -> None:
    """Write what the rows of one condition share: originals/, masks/ (white = hole) and order.txt."""
    names = stems(task)
    _write(folder / ORIGINALS, names, task.originals())
    _write(folder / HOLES, names, map(white, task.holes()))
    export_order(task, folder)


def export_order(task: Task, folder: Path) -> None:
    """Write order.txt: the names of the test images, as files are called, in the order of the test list."""
    write_text(folder / matching.ORDER, "".join(f"{stem}\n" for stem in stems(task)))


def stems(task: Task) -> list[str]:
    """What the files of the test images are called, without suffix."""
    return [image_file(task.images.ids[i]).removesuffix(".png") for i in task.positions]


def white(holes: Tensor) -> Tensor:
    """Masks as pictures: holes (N, 1, H, W) of 0 and 1 to uint8, white = hole."""
    return holes.byte() * 255


def check_others(folder: Path, expected: Iterable[str], names: str = matching.PLAIN) -> None:
    """BenchError where a folder holds pictures of other names than are expected: they would be measured with these."""
    if folder.is_dir() and (others := set(matching.listed(folder, names)[0]).difference(expected)):
        raise BenchError(f"{folder} holds other pictures, such as {min(others)}: delete them or choose another folder")


def _write(folder: Path, expected: list[str], batches: Iterable[Tensor], names: str = matching.PLAIN) -> None:
    check_others(folder, expected, names)
    images = (image for batch in batches for image in batch)
    for stem, image in zip(expected, images, strict=True):
        save_png(folder / f"{names.replace(matching.PLAIN, stem)}.png", image)
