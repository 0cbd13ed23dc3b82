"""Complete, composite and measure the test images of one condition, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import masks
from bench import condition as conditions
from bench import metrics
from bench.batch import Batch
from bench.completion import Completion
from bench.condition import GIVEN, GUIDES, ITSELF
from bench.data import modalities
from bench.data.dataset import ImageData, floats
from bench.errors import BenchError
from bench.method import Method
from bench.metrics.images import Source, composite, to_uint8
from bench.metrics.likeness import AGAIN
from bench.profile.counting import count_operations, count_parameters
from bench.store import atomic_write, derive_seed, hashed, write_json
from masks import MaskSet

BATCH = 16  # images completed at a time
LONGEST = 200  # bytes of a file's name; systems take 255, of which temporary names need some


@dataclass(frozen=True)
class Task:
    """What is evaluated: test images, their masks, and the name and seed that fix every random draw."""

    images: ImageData
    positions: Sequence[int]  # of the test images
    masks: MaskSet
    condition: str
    seed: int
    needs: tuple[str, ...] = ()  # what guides the method in every condition: fields of `Batch`

    @property
    def guides(self) -> set[str]:
        """What the method is shown, beside the known pixels."""
        return {*self.needs, *conditions.parse(self.condition).guides}

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
                raise BenchError(
                    f"{self.images.name}: the test images show one person only; exemplars need another one"
                )
            chosen[position] = order[found]
        return [chosen[position] for position in self.positions]

    def batches(self) -> Iterator[Batch]:
        """The test images with their masks; the pixels under the holes are there."""
        exemplars = self.exemplars() if "exemplar" in self.guides else []
        others = [name for name in GUIDES if name in self.guides and name != "exemplar"]
        for numbers, holes in zip(self._numbers(), self.holes(), strict=True):
            chosen = [self.positions[i] for i in numbers]
            guides: dict[str, Any] = {name: self.images.guide(name, chosen, self.condition) for name in others}
            yield Batch(
                image=self.images.floats(chosen),
                mask=holes.float(),
                exemplar=self.images.floats([exemplars[i] for i in numbers]) if exemplars else None,
                degraded=self.degraded(chosen),
                **guides,
                ids=tuple(self.images.ids[i] for i in chosen),
                condition=self.condition,
            )

    def originals(self) -> Iterator[Tensor]:
        """The test images alone, uint8 (N, 3, H, W), in the same batches."""
        for numbers in self._numbers():
            yield self.images.images([self.positions[i] for i in numbers])

    def holes(self) -> Iterator[Tensor]:
        """Their masks alone, bool (N, 1, H, W)."""
        for numbers in self._numbers():
            yield torch.from_numpy(np.stack([self.masks[i] for i in numbers])).bool()[:, None]

    def _numbers(self) -> list[range]:
        """The test images of each batch, counted from 0."""
        count = len(self.positions)
        return [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]

    def degraded(self, chosen: Sequence[int]) -> Tensor | None:
        """The degraded copies of these test images, the same for all methods; None in other conditions."""
        condition = conditions.parse(self.condition)
        if not condition.degraded:
            return None
        if condition.source == GIVEN:
            return self.images.copy_of(chosen)
        if condition.source == ITSELF:
            return self.images.floats(chosen)
        names = [self.images.ids[i] for i in chosen]
        seeds = [derive_seed(self.seed, self.images.name, name, self.condition, "degraded") for name in names]
        return floats(self.images.degraded(chosen, condition.source, seeds)[0])

    def seeds(self, batch: Batch) -> list[int]:
        """What fixes the random numbers of each image of a batch."""
        return [derive_seed(self.seed, self.images.name, name, self.condition) for name in batch.ids or ()]


def complete(completion: Completion, task: Task) -> Iterator[Tensor]:
    """Completed images, uint8 (N, 3, H, W), known pixels exactly the original's.

    Raises BenchError as `completion`, and after the last batch where finished pictures were made with inverted masks.
    """
    for batch in task.batches():
        output = completion(batch)
        if batch.degraded is None:  # copies that are little degraded share pixels with the originals
            completion.likeness.add(output, batch.image, batch.mask, batch.ids or ())
        yield composite(output, batch.image, batch.mask)
    if completion.method.card.finished:  # a method that completes sees nothing under the holes
        name = conditions.parse(task.condition).masks
        erased = masks.parse(name)
        inverted, remedy = "inverted" in erased.options, AGAIN
        if erased.generator == "folder":
            options = tuple(option for option in erased.options if option != "inverted")
            other = replace(erased, options=options if inverted else (*options, "inverted"))
            remedy = f"write {other} ({'without' if inverted else 'with'} --invert-masks beside --masks)"
        completion.likeness.check(name, inverted, remedy)


def evaluate(
    method: Method,
    task: Task,
    names: Sequence[str],
    samples: int,
    folder: Path,
    device: str,
    cache: Path,
    references: Mapping[str, Source] = MappingProxyType({}),
) -> tuple[metrics.Measurement, Completion]:
    """Measure a method on one condition and keep the first `samples` pictures in `folder`/samples.

    `references`: images by name, for metrics such as ``fid/train``. The second value tells what was seen of the method;
    its remarks stand in the notes of all rows.
    """
    kept: list[Tensor] = []
    completion = Completion(method, task.seeds, device)

    def completed() -> Iterator[Tensor]:
        for images in complete(completion, task):
            kept.extend(images[: max(0, samples - len(kept))])
            yield images

    ids = [task.images.ids[i] for i in task.positions]
    known = conditions.parse(task.condition).has_truth
    truth = task.originals() if known else None
    chosen = [name for name in names if known or not metrics.get(name).compares]
    asked = {metrics.get(name).reference for name in chosen}
    used = {name: source for name, source in references.items() if name in asked}
    measured = metrics.measure(
        completed(), truth, task.holes(), metrics=chosen, reference=used, ids=ids, device=device, cache=cache
    )
    measured.rows += [
        {"metric": name, "extractor": metrics.get(name).extractor, "value": None, "low": None, "high": None}
        | {"n": len(ids), "note": "n/a: there is no ground truth, the pictures themselves are degraded"}
        for name in names
        if name not in chosen
    ]
    for name, image in zip(ids, kept, strict=False):
        save_png(folder / "samples" / image_file(name), image)
    first = next(task.batches()).only(0)
    if samples:
        save_steps(completion, first, folder / "samples" / "steps")
    if device == "cpu":
        completion.again(first)
    if method.networks():
        write_json(folder / "cost.json", cost(completion, first))
    for row in measured.rows:
        row["note"] = "; ".join(filter(None, (row["note"], *completion.remarks)))
    return measured, completion


def cost(completion: Completion, first: Batch) -> dict[str, float]:
    """Parameters, and multiply-accumulates of completing one image (without StyleGAN2's fixed filters)."""
    macs = count_operations(lambda: completion(first))[""]
    params = sum(count_parameters(network) for network in completion.method.networks().values())
    return {"params": params, "macs": macs.total - macs.fir}


def save_steps(completion: Completion, first: Batch, folder: Path) -> None:
    """Keep how a method that works in steps completes one image, in `folder`/IMAGE.

    `T.png` is the completion after step T, `T-residual.png` what the step changed: the mean over the colours of
    |r_T - r_(T-1)|, where r_0 has the middle of the range in its holes; 16-bit grey, 65535 = 2, the whole range.
    """
    assert first.ids is not None
    stem = folder / image_file(first.ids[0]).removesuffix(".png")
    before = first.masked
    for t, step in enumerate(completion.steps(first), 1):
        after = first.composite(step)
        save_png(stem / f"{t}.png", to_uint8(after)[0])
        residual = (after - before).abs().mean(dim=1) / 2
        save_png(stem / f"{t}-residual.png", (residual.clamp(0, 1) * 65535).round().to(torch.uint16))
        before = after


def shown(batch: Batch) -> Tensor:
    """What a method starts from, as a picture: uint8 (N, 3, H, W).

    The degraded copy; else the known pixels, with white holes in which the guides are drawn: the colours, or a colour
    for each label, and black lines.
    """
    if batch.degraded is not None:
        return to_uint8(batch.degraded)
    inside = torch.full_like(batch.image, 255, dtype=torch.uint8)
    if batch.colour is not None:
        inside = to_uint8(batch.colour)
    elif batch.semantics is not None:
        inside = modalities.palette(batch.semantics)
    if batch.sketch is not None:
        inside = inside * (1 - batch.sketch.byte())
    return torch.where(batch.mask > 0, inside, to_uint8(batch.image))


def image_file(name: str) -> str:
    """File name of the image with that id (a relative path) in one flat folder: no two ids have the same."""
    path = Path(name).with_suffix("").as_posix()
    flat = path.replace("/", "__")
    clear = len(flat.split("__")) == len(path.split("/")) and "___" not in flat  # only slashes became `__`
    if len(flat.encode()) > LONGEST or not clear:
        flat = hashed(flat, name, LONGEST)
    return f"{flat}.png"


def save_png(path: Path, image: Tensor) -> None:
    """Write one image: colours (3, H, W) in uint8, or grey (1, H, W) in uint16."""
    pixels = image.permute(1, 2, 0).numpy()
    with atomic_write(path) as handle:
        Image.fromarray(pixels if len(image) == 3 else pixels[..., 0]).save(handle, format="PNG")
