"""The pictures of a pack: of one cell, of one image, and a few of each cell for a site."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from bench import stored
from bench.archive import FILE, Archive
from bench.complete import MASKS
from bench.errors import BenchError
from bench.find import Found, Opened, found
from bench.pack.manifest import Manifest, Pictures
from bench.pack.opened import unpacked
from bench.pack.written import mask_member, member
from bench.samples import save_png
from bench.store import dataset_folder, file_slug, image_file
from bench.suite import assigned

FEW = 4  # of each cell, for people to look at


def laid_out(folder: Path, one: Pictures, place: Path) -> Archive:
    """Put the pictures of a cell and their masks into one folder, as they lie in a run."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(folder / member(one.completion), place / FILE)
        shutil.copyfile(folder / mask_member(one.masks), place / MASKS)
    except OSError as error:
        raise BenchError(
            f"the pack lacks the pictures of {one.completion}, or their masks: ask for it again"
        ) from error
    return Archive.open(place / FILE)


class Finder:
    """Finds pictures as `bench.find.Finder` does. `data`: where originals are, DIR or NAME=DIR; what is compared with
    the pack may have other names."""

    def __init__(self, folder: Path, said: Manifest, data: Sequence[str] = ()) -> None:
        self.folder, self.said = folder, said
        names = said.datasets
        ours = [text for text in data if text.partition("=")[0] in names or (names and "=" not in text)]
        self.data = assigned("--data", ours, names, "pack")
        self._opened: dict[str, Opened] = {}

    def __call__(self, title: str, dataset: str, shots: str, condition: str, image: str) -> Found:
        """What is known of one image; nothing where the pack has no picture of it."""
        cell = {"title": title, "dataset": dataset, "condition": condition}
        here = [one for one in self.said.pictures if cell.items() <= one.row.items()]
        of_shots = [one for one in here if str(one.row["shots"]) == shots]
        one = next(iter(of_shots or here), None)  # what nothing trains stands there once for all shots
        if one is None or not one.kept:
            return {}
        if one.completion not in self._opened:
            self._opened[one.completion] = self._open(one)
        return found(self._opened[one.completion], image)

    def _open(self, one: Pictures) -> Opened:
        place = self.folder / "found" / one.completion
        archive = laid_out(self.folder, one, place)
        if data := self.data.get(str(one.row["dataset"])):
            archive, task = stored.handed(place, [data], self.folder / "cache")
            return Opened(archive, task, task.masks)
        return Opened(archive, None, stored.holes(place, archive))


def write_samples(pack: Path, to: Path) -> None:
    """Write the first pictures of each cell of a pack into `to`/samples, as those of a run lie there.

    What was known is black, as there are no originals; in the inputs holes are white. Of several shots and seeds the
    last one's stay. Raises BenchError as `unpacked`.
    """
    with unpacked(pack) as (folder, said):
        for one in (one for one in said.pictures if one.kept):
            place = folder / "cell"
            archive = laid_out(folder, one, place)
            holes = stored.holes(place, archive)
            target = to / "samples" / dataset_folder(str(one.row["dataset"])) / file_slug(str(one.row["condition"]))
            for number, image in enumerate(archive.ids[:FEW]):
                hole = torch.from_numpy(holes[number]).bool()[None, None]
                black = torch.zeros((1, 3, *hole.shape[2:]), dtype=torch.uint8)
                pictures = {
                    "masked": torch.where(hole, 255, black),
                    file_slug(str(one.row["title"])): archive.read([number], black, hole),
                }
                for name, picture in pictures.items():
                    save_png(target / name / image_file(image), picture[0])
            shutil.rmtree(place)
