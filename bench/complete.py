"""Complete the test images of one condition, and keep what is scored, what is looked at, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

import masks
from bench import allocator, archive
from bench import condition as conditions
from bench.batch import Batch
from bench.completion import Completion
from bench.method import Method
from bench.metrics import pixel
from bench.metrics.images import composite, to_hole, to_uint8
from bench.metrics.likeness import AGAIN
from bench.profile.counting import count_operations, count_parameters
from bench.samples import save_steps
from bench.store import write_json, write_table
from bench.task import Task

DAMAGE, MASKS = "damage.parquet", "masks.npz"


@allocator.keeping()
def complete(
    method: Method, task: Task, folder: Path, device: str, facts: dict[str, Any], at: int | None = None
) -> Completion:
    """Complete all images of a task into a folder; what is returned tells what was seen of the method.

    `at`: the side of the pictures in which the method works, where it is another one.

    completed.zip: the pictures, 8 bits, exactly as they are scored (see `bench.archive`); `facts` stand in its
    manifest. masks.npz: their holes. damage.parquet: what the method did to known pixels before the original's were
    pasted, the mean over the completions of an image. samples/steps: how the first image came about. cost.json:
    parameters and operations of one completion.

    Raises BenchError as `completed`.
    """
    completion = Completion(method, task.seeds, device, at)
    ids = [task.images.ids[i] for i in task.positions]
    each = _different(completion, task)
    manifest = facts | {"ids": ids, "whole": not task.pasted, "completions": each}
    damage, passes = _Damage(), list[Tensor]()
    with archive.written(folder / archive.FILE, manifest) as kept:
        for batch, output, pictures in completed(completion, task, each):
            damage.add(output, batch)
            passes.append(pictures)
            if len(passes) == each:
                for hole, *several in zip(to_hole(batch.mask), *passes, strict=True):
                    for picture in several:
                        kept.add(picture, hole if task.pasted else None)
                passes.clear()
    task.masks.save(folder / MASKS)
    write_table(folder / DAMAGE, damage.table)
    first = next(task.batches()).only(0)
    save_steps(completion, first, folder / "samples" / "steps")
    if device == "cpu":
        completion.again(first)
    if method.networks():
        write_json(folder / "cost.json", cost(completion, first))
    return completion


def completed(completion: Completion, task: Task, each: int = 1) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """Each batch, the method's output, and what is scored of it: uint8 (N, 3, H, W), the known pixels exactly the
    original's where they are pasted. `each`: completions of an image; a batch comes so often, one time after another.

    Raises BenchError as `completion`, and after the last batch where finished pictures were made with inverted masks.
    """
    for shown in task.batches():
        for number in range(each):
            batch = replace(shown, number=number)
            output = completion(batch)
            # pictures that are edited or little degraded share pixels with the originals; one completion tells of all
            if batch.degraded is None and batch.source is None and number == 0:
                completion.likeness.add(output, batch.image, batch.mask, batch.ids or ())
            yield batch, output, _scored(output, batch, task)
    if completion.method.card.finished:  # a method that completes sees nothing under the holes
        _check_inverted(completion, task)


def _scored(output: Tensor, batch: Batch, task: Task) -> Tensor:
    return composite(output, batch.image, batch.mask) if task.pasted else to_uint8(output)


def _different(completion: Completion, task: Task) -> int:
    """How many completions of an image there are: one where another seed gives the same pictures of the first batch."""
    if task.completions > 1:
        batch = next(task.batches())
        one, other = (_scored(completion(replace(batch, number=number)), batch, task) for number in range(2))
        completion.same = torch.equal(one, other) and not completion.alone
    return 1 if completion.same else task.completions


@dataclass
class _Damage:
    """What outputs, before pasting, did to known pixels: they should have left them alone."""

    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, output: Tensor, batch: Batch) -> None:
        pair = to_uint8(output), to_uint8(batch.image), to_hole(batch.mask)
        values = {"damage": pixel.damage(*pair), "damage@psnr": pixel.damage_psnr(*pair)}
        for name, value in values.items():
            self.parts.append(pd.DataFrame({"id": batch.ids, "metric": name, "value": value.double().numpy()}))

    @property
    def table(self) -> pd.DataFrame:
        return pd.concat(self.parts).groupby(["metric", "id"], sort=False, as_index=False)["value"].mean()


def _check_inverted(completion: Completion, task: Task) -> None:
    """BenchError where pictures were made with inverted masks."""
    name = conditions.parse(task.condition).masks
    erased = masks.parse(name)
    inverted, remedy = "inverted" in erased.options, AGAIN
    if erased.generator == "folder":
        options = tuple(option for option in erased.options if option != "inverted")
        other = replace(erased, options=options if inverted else (*options, "inverted"))
        remedy = f"write {other} ({'without' if inverted else 'with'} --invert-masks beside --masks)"
    completion.likeness.check(name, inverted, remedy)


@torch.no_grad()
def cost(completion: Completion, first: Batch) -> dict[str, float]:
    """Parameters, and multiply-accumulates of completing one image (without StyleGAN2's fixed filters)."""
    macs = count_operations(lambda: completion(first))[""]
    params = sum(count_parameters(network) for network in completion.method.networks().values())
    return {"params": params, "macs": macs.total - macs.fir}
