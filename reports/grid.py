"""Picture grids: a few test images, each as the input, as every method completed it, and as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench import pictures
from bench.errors import BenchError
from bench.store import file_slug, read_json
from reports import conditions
from reports.sheet import Picture, Sheet

MASKED, EXEMPLAR, ORIGINAL = "masked", "exemplar", "original"
CAPTIONS = "captions.json"
FEW = 3  # conditions; of fewer, several pictures are shown
ACROSS = 10  # methods side by side: of more, the rest stand below
ZOOM = 4  # how much larger a detail is
LARGEST = 4096  # pixels of a picture's side; suites have half of it at most


def method_folders(places: Iterable[Path], cells: pd.DataFrame) -> dict[str, str]:
    """Folders of methods in `places` and their printed names, in the tables' order (`results.over_seeds` rows)."""
    folders = {path.name for place in places for path in place.iterdir() if path.is_dir()}
    labels = cells[["title", "label"]].drop_duplicates().itertuples(index=False, name=None)
    named = {name: label for title, label in labels for name in (title, file_slug(title))}
    return {name: label for name, label in named.items() if name in folders}


def choose(samples: Path, names: list[str], rows: int = 6) -> list[tuple[conditions.Condition, str]]:
    """Up to `rows` pictures (condition, file name) spread over the conditions, with as many people as possible."""
    found = []
    for condition in conditions.ordered(names):
        files = sorted(path.name for path in (samples / condition.slug / ORIGINAL).glob("*.png"))
        if files:
            found.append((condition, files))
    if len(found) < FEW:
        return [(condition, name) for condition, files in found for name in files[: -(-FEW // len(found))]][:rows]
    spread = np.linspace(0, len(found) - 1, min(rows, len(found))).round().astype(int)
    return [(found[i][0], found[i][1][turn % len(found[i][1])]) for turn, i in enumerate(spread)]


def captions(place: Path) -> dict[str, str]:
    """What was said of the pictures of a condition, by file name; nothing where no text guides."""
    path = place / CAPTIONS
    found = read_json(path) if path.exists() else {}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise BenchError(f"{path} holds no captions: delete it and run the same command again")
    return found


def picture_grid(
    samples: Path, chosen: list[tuple[conditions.Condition, str]], titles: Mapping[str, str], outline: bool = False
) -> tuple[Figure, float]:
    """The figure and the dots per inch at which every pixel of a picture covers whole pixels of the PNG.

    `samples` is a data set's folder of samples, `titles` maps a method's folder to its printed name, in order;
    `outline` draws the hole's edge on the completed images. A picture that a method lacks is left blank.
    Raises BenchError that names a damaged picture.
    """
    guided = {EXEMPLAR: "Exemplar"} if any((samples / c.slug / EXEMPLAR).is_dir() for c, _ in chosen) else {}
    bands = [{MASKED: "Input", **guided, **part, ORIGINAL: "Original"} for part in _bands(titles)]
    rows = [(*line, columns) for columns in bands for line in chosen]
    pictures = [[read(samples / c.slug / folder / name) for folder in columns] for c, name, columns in rows]
    sheet = Sheet(len(rows), max(map(len, bands)), [picture for line in pictures for picture in line], len(bands))
    for r, (condition, name, columns) in enumerate(rows):
        hole = _hole(pictures[r][0], pictures[r][-1]) if outline else None
        sheet.beside(r, condition.title)
        sheet.say(r, 0, captions(samples / condition.slug).get(name, ""))
        for c, folder in enumerate(columns):
            sheet.place(r, c, pictures[r][c])
            if hole is not None and folder in titles and pictures[r][c] is not None:
                sheet.outline(r, c, hole)
    _heads(sheet, bands, len(chosen))
    return sheet.finished()


def zoomed_grid(
    samples: Path, chosen: list[tuple[conditions.Condition, str]], titles: Mapping[str, str]
) -> tuple[Figure, float]:
    """The grid with a detail of every picture below it: the window of the hole where methods err most.

    Arguments, result and errors: see `picture_grid`.
    """
    bands = [{MASKED: "Input", **part, ORIGINAL: "Original"} for part in _bands(titles)]
    whole = {folder: title for columns in bands for folder, title in columns.items()}
    pictures = [{folder: read(samples / c.slug / folder / name) for folder in whole} for c, name in chosen]
    every = [picture for line in pictures for picture in line.values()]
    sheet = Sheet(2 * len(bands) * len(chosen), max(map(len, bands)), every, len(bands))
    boxes = [window(line[MASKED], line[ORIGINAL], [line[folder] for folder in titles]) for line in pictures]
    for b, columns in enumerate(bands):
        for i, (condition, _) in enumerate(chosen):
            r = 2 * (b * len(chosen) + i)
            sheet.beside(r, condition.title, rows=2)
            for c, folder in enumerate(columns):
                picture, original, box = pictures[i][folder], pictures[i][ORIGINAL], boxes[i]
                sheet.place(r, c, picture)
                if picture is None or original is None or box is None or picture.shape != original.shape:
                    continue
                left, top, wide, tall = box
                sheet.place(r + 1, c, picture[top : top + tall, left : left + wide])
                height, width = picture.shape[:2]
                sheet.frame(r, c, (left / width, top / height, wide / width, tall / height))
                sheet.frame(r + 1, c)
    _heads(sheet, bands, 2 * len(chosen))
    return sheet.finished()


def _bands(titles: Mapping[str, str]) -> list[dict[str, str]]:
    """The methods in parts of about equal size, of which each stands between the input and the original."""
    count = max(1, -(-len(titles) // ACROSS))
    size = max(1, -(-len(titles) // count))
    named = list(titles.items())
    return [dict(named[i * size : (i + 1) * size]) for i in range(count)]


def _heads(sheet: Sheet, bands: Sequence[Mapping[str, str]], rows: int) -> None:
    """Titles above the columns of each band of so many rows."""
    for b, columns in enumerate(bands):
        for c, title in enumerate(columns.values()):
            sheet.above(c, title, b * rows)


def window(
    masked: Picture | None, original: Picture | None, completed: Iterable[Picture | None]
) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of the detail: a quarter of the sides, where the mean error of the
    completions is largest.

    Without errors it lies at the centre of the hole; None without a hole.
    """
    hole = _hole(masked, original)
    if hole is None or original is None or not hole.any():
        return None
    tall, wide = sides = [max(1, side // ZOOM) for side in hole.shape]
    error = np.zeros(hole.shape)
    for picture in completed:
        if picture is not None and picture.shape == original.shape:
            error += hole * np.abs(picture.astype(float) - original).sum(axis=2)
    error = _box_sums(error, sides)
    row, column = np.unravel_index(error.argmax(), error.shape) if error.any() else np.argwhere(hole).mean(axis=0)
    top, left = (
        int(np.clip(round(float(middle)) - side // 2, 0, whole - side))
        for middle, side, whole in zip((row, column), sides, hole.shape, strict=True)
    )
    return left, top, wide, tall


def _box_sums(values: NDArray[np.float64], sides: Sequence[int]) -> NDArray[np.float64]:
    """The sum over the box of (height, width) around each pixel. (The import of scipy.ndimage takes longer than a
    figure.)"""
    for axis, side in enumerate(sides):
        room = [(0, 0), (0, 0)]
        room[axis] = (side // 2 + 1, side - side // 2 - 1)
        sums = np.pad(values, room).cumsum(axis)
        length = values.shape[axis]
        values = np.take(sums, range(side, side + length), axis) - np.take(sums, range(length), axis)
    return values


def read(path: Path) -> Picture | None:
    """RGB pixels (height, width, 3), or None where there is no file. Raises BenchError that names a damaged picture."""
    if not path.exists():
        return None
    return checked(path, lambda data: np.asarray(pictures.decode(data, path)))


def checked(path: Path, decode: Callable[[bytes], NDArray[Any]]) -> NDArray[Any]:
    """A picture that a run left, decoded. Raises BenchError that names a damaged one and the remedy."""
    try:
        found = decode(pictures.read(path))
        if max(found.shape[:2]) > LARGEST:
            raise BenchError(f"{path}: {found.shape[1]} x {found.shape[0]} pixels are not those of a run")
    except BenchError as error:
        raise BenchError(f"cannot read a picture: {error}; delete it and run the same command again") from error
    return found


def _hole(masked: Picture | None, original: Picture | None) -> Picture | None:
    """1 where the masked picture differs from the original."""
    if masked is None or original is None or masked.shape != original.shape:
        return None
    return (masked != original).any(axis=2).astype(np.uint8)
