"""The pictures of the page's image browser: inside the page while they are few, else in a folder beside it."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.store import file_slug, write_error
from reports import conditions, grid, markup, scored
from reports.grid import captions, method_folders
from reports.results import Results

EMBED = 20_000_000  # characters of pictures inside the page; with more, they stay in files
FOLDER = "images"
INPUT, ORIGINAL = "Input", "Original"  # titles of variants


@dataclass(frozen=True)
class Album:
    """The pictures of one data set under one condition.

    `variants` are (title, folder) of the original, the input, the exemplar and every method; `files` are the names and
    bytes of the pictures in each folder; `names` are those of all pictures, sorted; `texts` what guided them; `scores`
    those of metrics (printed name, higher is better), of each variant and picture.
    """

    dataset: str
    condition: str
    variants: list[tuple[str, Path]]
    files: list[dict[str, int]]
    names: list[str]
    texts: dict[str, str]
    scores: list[tuple[str, bool, list[list[str]]]]


def albums(found: Results, cells: pd.DataFrame) -> list[Album]:
    """Every data set and condition that left pictures, in the tables' order."""
    made, cells = [], found.pictured(cells)
    for dataset in dict.fromkeys(cells["dataset"]):
        for condition in conditions.ordered(cells[cells["dataset"] == dataset]["condition"]):
            place = found.pictures(dataset) / condition.slug
            if not place.is_dir():
                continue
            folders = {ORIGINAL: grid.ORIGINAL, INPUT: grid.MASKED}
            folders |= {"Exemplar": grid.EXEMPLAR} if (place / grid.EXEMPLAR).is_dir() else {}
            folders |= {title: folder for folder, title in method_folders([place], cells).items()}
            variants = [(title, place / folder) for title, folder in folders.items()]
            files = [_pictures(folder) for _, folder in variants]
            if names := sorted(set().union(*files)):
                scores = _scores(found, cells, dataset, condition.name, [folder.name for _, folder in variants], names)
                made.append(Album(dataset, condition.title, variants, files, names, captions(place), scores))
    return made


def _scores(
    found: Results, cells: pd.DataFrame, dataset: str, condition: str, folders: list[str], names: list[str]
) -> list[tuple[str, bool, list[list[str]]]]:
    """Of each metric of single images, its printed name, whether higher is better, and the score of each picture."""
    texts = scored.texts(found.scores, dataset, condition)
    metrics = cells[cells["metric"].isin({metric for metric, _ in texts})].drop_duplicates("metric")
    return [
        (
            row.metric_title,
            bool(row.higher_is_better),
            [[texts.get((row.metric, file_slug(folder)), {}).get(name, "") for name in names] for folder in folders],
        )
        for row in metrics.itertuples()
    ]


def _pictures(folder: Path) -> dict[str, int]:
    """The pictures of a folder and their sizes in bytes."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {
            entry.name: entry.stat().st_size for entry in entries if entry.name.endswith(".png") and entry.is_file()
        }


def index(made: list[Album], report: Path, embed: int = EMBED) -> dict[str, Any]:
    """What the browser needs as JSON: the albums, and the pictures as data URIs or as files of `report`/images.

    Up to `embed` characters of data URIs are put inside; equal pictures are stored once. With more, the folder gets
    the pictures (hard links where the file system can) and the page loads what it shows; an earlier report's folder is
    removed. Raises BenchError when the pictures cannot be read or written.
    """
    inside = 4 / 3 * sum(sum(files.values()) for album in made for files in album.files) <= embed
    listed = [
        {
            "dataset": album.dataset,
            "condition": album.condition,
            "names": album.names,
            "texts": [album.texts.get(name, "") for name in album.names] if album.texts else [],
            "variants": [title for title, _ in album.variants],
            "scores": [{"title": title, "higher": higher, "of": texts} for title, higher, texts in album.scores],
            "missing": [[i for i, name in enumerate(album.names) if name not in files] for files in album.files],
        }
        for album in made
    ]
    try:
        if not inside:
            return {"albums": listed, "folders": _beside(made, report)}
        shutil.rmtree(report / FOLDER, ignore_errors=True)
        return {"albums": listed, **_embedded(made)}
    except OSError as error:
        raise write_error(report / FOLDER, error) from error


def _embedded(made: list[Album]) -> dict[str, Any]:
    """Data URIs, and for each album and variant the numbers of its pictures' URIs."""
    uris: dict[str, int] = {}
    numbers: list[list[list[int]]] = []
    for album in made:
        numbers.append([])
        for (_, folder), files in zip(album.variants, album.files, strict=True):
            pictures = (base64.b64encode((folder / name).read_bytes()).decode() for name in sorted(files))
            numbers[-1].append([uris.setdefault(uri, len(uris)) for uri in pictures])
    return {"uris": list(uris), "numbers": numbers}


def _beside(made: list[Album], report: Path) -> list[list[str]]:
    """Fill `report`/images, complete before it takes the place of an earlier one; its folder of each variant."""
    part = report / f".{FOLDER}.part"
    shutil.rmtree(part, ignore_errors=True)
    datasets = markup.slugs(album.dataset for album in made)
    folders: list[list[str]] = []
    for number, album in enumerate(made):
        condition = markup.slugs([album.condition])[album.condition]
        titles = markup.slugs(title for title, _ in album.variants)
        places = [f"{datasets[album.dataset]}/{number:02}-{condition}/{titles[title]}" for title, _ in album.variants]
        for (_, source), files, place in zip(album.variants, album.files, places, strict=True):
            _link(source, part / place, files)
        folders.append([f"{FOLDER}/{place}" for place in places])
    shutil.rmtree(report / FOLDER, ignore_errors=True)
    part.rename(report / FOLDER)
    return folders


def _link(source: Path, target: Path, names: Iterable[str]) -> None:
    """Put files into a new folder, without a second copy of their bytes where the file system can."""
    target.mkdir(parents=True)
    for name in names:
        try:
            os.link(f"{source}/{name}", f"{target}/{name}")
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(f"{source}/{name}", f"{target}/{name}")
