"""External: finished images of any other program, measured like every other method."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.data.folder import converted, read
from bench.errors import BenchError
from bench.method import Batch, Card, Config, Method, Noise
from bench.store import file_slug

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

CARD = Card(
    slug="external",
    name="External",
    title="Finished images made by any other program",
    authors="-",
    year=None,
    venue="-",
    url="",
    takes=("degraded",),
    notes="option `folder`: FOLDER/<condition>/<image name>.png, or FOLDER/<image name>.png for all conditions; "
    "in <condition> every `/` and `:` is `_`, for example irregular_40-50",
)


class ExternalConfig(Config):
    """Where the images are."""

    folder: Path | None = None  # finished images, matched by the names of the test images

    def files(self) -> list[Path]:
        return [self.folder] if self.folder else []


class External(Method):
    """Reads the image of the same name; sizes must be equal."""

    card = CARD
    Config = ExternalConfig
    config: ExternalConfig
    presets = {"paper": ExternalConfig()}

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        assert batch.ids is not None
        images = [torch.from_numpy(self._read(name, batch)) for name in batch.ids]
        return torch.stack(images).to(batch.image).permute(0, 3, 1, 2) / 127.5 - 1

    def _read(self, name: str, batch: Batch) -> np.ndarray:
        path = self._find(Path(name).with_suffix(""), batch.condition)
        try:
            image = np.asarray(converted(read(path), path, partial(Image.Image.convert, mode="RGB")))
        except BenchError as error:
            raise BenchError(f"external: {error}") from error
        height, width = batch.image.shape[2:]
        if image.shape[:2] != (height, width):
            raise BenchError(
                f"external: {path} has {image.shape[1]} x {image.shape[0]} pixels, the test images {width} x {height}: "
                "write the finished images at the suite's size"
            )
        return image

    def _find(self, name: Path, condition: str) -> Path:
        if self.config.folder is None:
            raise BenchError("external: say where the images are: {method: external, options: {folder: DIR}}")
        for folder in (self.config.folder / file_slug(condition), self.config.folder):
            for suffix in SUFFIXES:
                if (path := folder / f"{name}{suffix}").exists():
                    return path
        raise BenchError(
            f"external: no image for {name} and {condition}: looked for "
            f"{file_slug(condition)}/{name}.png and {name}.png (or .jpg, .webp) in {self.config.folder}"
        )
