"""The pictures of single test images of a run: as they were scored, where these are kept, else its samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench import pictures
from bench.archive import FILE, Archive
from bench.complete import MASKS
from bench.errors import BenchError
from bench.store import file_slug, image_file
from bench.stored import Cell, Run, opened
from bench.task import Task
from masks import MaskSet

Found = dict[str, NDArray[np.uint8]]  # masked, completed, original (height, width, 3): those that are known


class Finder:
    """Finds the pictures of a run's folder. `data`: where its images are now, as of `Run.open`."""

    def __init__(self, folder: Path, data: Sequence[str] = ()) -> None:
        self.folder, self.data = folder, data
        self._run: Run | None = None
        self._tasks: dict[str, tuple[Archive, Task | None]] = {}

    def __call__(self, title: str, dataset: str, shots: str, condition: str, image: str) -> Found:
        """What is known of one image; without its original, all that was known is black."""
        try:
            return self._kept(self._cell(title, dataset, shots, condition), image)
        except BenchError:  # pictures that are not kept, or a folder of results alone
            return self._sample(title, dataset, condition, image)

    def _cell(self, title: str, dataset: str, shots: str, condition: str) -> Cell:
        self._run = self._run or Run.open(self.folder, self.data)
        for cell in self._run.cells:
            row = cell.row
            same = (row["title"], row["dataset"], row["condition"]) == (title, dataset, condition)
            if same and (row["shots"] == shots or not cell.trained):
                return cell
        raise BenchError(f"{self.folder} keeps no pictures of {title} on {dataset}, {condition}")

    def _kept(self, cell: Cell, image: str) -> Found:
        assert self._run is not None
        folder = self._run.folder.parent / "jobs" / cell.completion
        if cell.completion not in self._tasks:
            self._tasks[cell.completion] = self._opened(folder, cell)
        archive, task = self._tasks[cell.completion]
        if image not in archive.ids:
            raise BenchError(f"{archive.path} has no picture of {image}")
        number = archive.ids.index(image)
        holes = task.masks if task else MaskSet.load(folder / MASKS)
        hole = torch.from_numpy(holes[number]).bool()[None, None]
        known = torch.zeros((1, 3, *hole.shape[2:]), dtype=torch.uint8)
        original = task.images.images([task.positions[number]]) if task else known
        found = {"completed": archive.read([number], original, hole)}
        if task:
            found |= {"original": original, "masked": torch.where(hole, 255, original)}
        return {name: one[0].permute(1, 2, 0).numpy() for name, one in found.items()}

    def _opened(self, folder: Path, cell: Cell) -> tuple[Archive, Task | None]:
        assert self._run is not None
        try:
            return opened(folder, self._run.prepared().named(cell.row["dataset"]).images)
        except BenchError:  # the originals are elsewhere
            return Archive.open(folder / FILE), None

    def _sample(self, title: str, dataset: str, condition: str, image: str) -> Found:
        place = self.folder / "samples" / file_slug(dataset) / file_slug(condition)
        names = {"masked": "masked", "completed": file_slug(title), "original": "original"}
        files = {name: place / folder / image_file(image) for name, folder in names.items()}
        return {name: decoded(file) for name, file in files.items() if file.is_file()}


def decoded(file: Path) -> NDArray[np.uint8]:
    """The pixels (height, width, 3) of a file."""
    return np.asarray(pictures.decode(pictures.read(file), file))
