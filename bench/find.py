"""The pictures of single test images of a run: as they were scored, where these are kept, else its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench import pictures
from bench.archive import FILE, Archive
from bench.errors import BenchError
from bench.store import dataset_folder, file_slug, image_file
from bench.stored import Cell, Run, holes, opened
from bench.task import Task
from masks import MaskSet

Found = dict[str, NDArray[np.uint8]]
"""masked, completed, original (height, width, 3): those that are known. Without an original, all that was known is
black, and `hole` (height, width, 1), 1 = hole, says where."""


@dataclass(frozen=True)
class Opened:
    """The kept pictures of one row, data set and condition, with their originals where these are there."""

    archive: Archive
    task: Task | None
    holes: MaskSet


def found(kept: Opened, image: str) -> Found:
    """What is known of one image; nothing where its picture is not kept."""
    archive, task = kept.archive, kept.task
    if image not in archive.ids:
        return {}
    number = archive.ids.index(image)
    hole = torch.from_numpy(kept.holes[number]).bool()[None, None]
    if task:
        original = task.images.images([task.positions[number]])
        known = {"original": original, "masked": torch.where(hole, 255, original)}
    else:
        original, known = torch.zeros((1, 3, *hole.shape[2:]), dtype=torch.uint8), {"hole": hole.byte()}
    known["completed"] = archive.read([number], original, hole)
    return {name: one[0].permute(1, 2, 0).numpy() for name, one in known.items()}


class Finder:
    """Finds the pictures of a run's folder. `data`: where its images are now, as of `Run.open`."""

    def __init__(self, folder: Path, data: Sequence[str] = ()) -> None:
        self.folder, self.data = folder, data
        self._run: Run | None = None
        self._opened: dict[str, Opened] = {}

    def __call__(self, title: str, dataset: str, shots: str, condition: str, image: str) -> Found:
        """What is known of one image."""
        try:
            kept = found(self._kept(self._cell(title, dataset, shots, condition)), image)
        except BenchError:  # pictures that are not kept, or a folder of results alone
            kept = {}
        return kept or self._sample(title, dataset, condition, image)

    def _cell(self, title: str, dataset: str, shots: str, condition: str) -> Cell:
        self._run = self._run or Run.open(self.folder, self.data)
        for cell in self._run.cells:
            row = cell.row
            same = (row["title"], row["dataset"], row["condition"]) == (title, dataset, condition)
            if same and (row["shots"] == shots or not cell.trained):
                return cell
        raise BenchError(f"{self.folder} keeps no pictures of {title} on {dataset}, {condition}")

    def _kept(self, cell: Cell) -> Opened:
        assert self._run is not None
        if cell.completion not in self._opened:
            folder = self._run.folder.parent / "jobs" / cell.completion
            try:
                archive, task = opened(folder, self._run.prepared().named(cell.row["dataset"]).images)
                self._opened[cell.completion] = Opened(archive, task, task.masks)
            except BenchError:  # the originals are elsewhere
                archive = Archive.open(folder / FILE)
                self._opened[cell.completion] = Opened(archive, None, holes(folder, archive))
        return self._opened[cell.completion]

    def _sample(self, title: str, dataset: str, condition: str, image: str) -> Found:
        place = self.folder / "samples" / dataset_folder(dataset) / file_slug(condition)
        names = {"masked": "masked", "completed": file_slug(title), "original": "original"}
        files = {name: place / folder / image_file(image) for name, folder in names.items()}
        return {name: decoded(file) for name, file in files.items() if file.is_file()}


def decoded(file: Path) -> NDArray[np.uint8]:
    """The pixels (height, width, 3) of a file."""
    return np.asarray(pictures.decode(pictures.read(file), file))
