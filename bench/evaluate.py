"""Complete, composite and measure the test images of one condition, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench import metrics
from bench.batch import Batch, Noise
from bench.data.dataset import ImageData
from bench.errors import BenchError
from bench.method import Method
from bench.metrics.images import composite, to_uint8
from bench.store import atomic_write, derive_seed
from masks import MaskSet

BATCH = 16  # images completed at a time


@dataclass(frozen=True)
class Task:
    """What is evaluated: test images, their masks, and the name and seed that fix every random draw."""

    images: ImageData
    positions: Sequence[int]  # of the test images
    masks: MaskSet
    condition: str
    seed: int
    needs: tuple[str, ...] = ()  # what guides the method, beside image and mask: fields of `Batch`

    def exemplars(self) -> list[int]:
        """The picture that guides each test image: a test image of another person, the same for all methods."""
        seed = derive_seed(self.seed, self.images.name, "exemplars")
        order = np.random.Generator(np.random.PCG64(seed)).permutation(self.positions).tolist()
        people = self.images.identity(order)
        labels = list(range(len(order))) if people is None else people.tolist()
        chosen = {}
        for i, position in enumerate(order):
            others = (j % len(order) for j in range(i + 1, i + len(order)))
            found = next((j for j in others if labels[j] != labels[i]), None)
            if found is None:
                raise BenchError(f"{self.images.name}: the test images show one person only; exemplars need another one")
            chosen[position] = order[found]
        return [chosen[position] for position in self.positions]

    def batches(self) -> Iterator[Batch]:
        """The test images with their masks; the pixels under the holes are there."""
        exemplars = self.exemplars() if "exemplar" in self.needs else []
        for start in range(0, len(self.positions), BATCH):
            chosen = list(self.positions[start : start + BATCH])
            holes = np.stack([self.masks[start + i] for i in range(len(chosen))])
            yield Batch(
                image=self.images.floats(chosen),
                mask=torch.from_numpy(holes).float()[:, None],
                exemplar=self.images.floats(exemplars[start : start + BATCH]) if exemplars else None,
                semantics=self.images.semantics(chosen),
                landmarks=self.images.landmarks(chosen),
                identity=self.images.identity(chosen),
                ids=tuple(self.images.ids[i] for i in chosen),
                condition=self.condition,
            )


@torch.no_grad()
def complete(method: Method, task: Task, device: str = "cpu") -> Iterator[Tensor]:
    """Completed images, uint8 (N, 3, H, W), known pixels exactly the original's.

    The method never sees the pixels under the hole. Raises BenchError when its output has another size or holds
    values that are not finite.
    """
    method = method.to(device).eval()
    for batch in task.batches():
        seeds = [derive_seed(task.seed, task.images.name, name, task.condition) for name in batch.ids or ()]
        output = method.complete(batch.blind().to(device), Noise(seeds, device)).float().cpu()
        if output.shape != batch.image.shape:
            raise BenchError(
                f"{method.card.slug} gave images of {tuple(output.shape)}, expected {tuple(batch.image.shape)}"
            )
        if not torch.isfinite(output).all():
            raise BenchError(f"{method.card.slug} gave values that are not finite on {task.condition}")
        yield composite(output, batch.image, batch.mask)


def evaluate(
    method: Method, task: Task, names: Sequence[str], samples: int, folder: Path, device: str, cache: Path
) -> metrics.Measurement:
    """Measure a method on one condition and keep the first `samples` pictures in `folder`/samples."""
    kept: list[Tensor] = []

    def completed() -> Iterator[Tensor]:
        for images in complete(method, task, device):
            kept.extend(images[: max(0, samples - len(kept))])
            yield images

    ids = [task.images.ids[i] for i in task.positions]
    truth = (to_uint8(batch.image) for batch in task.batches())
    holes = (batch.mask.bool() for batch in task.batches())
    measured = metrics.measure(completed(), truth, holes, metrics=list(names), ids=ids, device=device, cache=cache)
    for name, image in zip(ids, kept, strict=False):
        save_png(folder / "samples" / image_file(name), image)
    return measured


def image_file(name: str) -> str:
    """File name of the image with that id (a relative path) in one flat folder."""
    return Path(name).with_suffix("").as_posix().replace("/", "__") + ".png"


def save_png(path: Path, image: Tensor) -> None:
    """Write one uint8 image (3, H, W)."""
    with atomic_write(path) as handle:
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(handle, format="PNG")
