"""What a method is given and may return: it cannot touch what scores it, and chance and ranges are seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bench import complete, registry
from bench import task as tasks
from bench.batch import Batch, Noise
from bench.completion import Completion
from bench.data import dataset
from bench.data.dataset import ImageData
from bench.errors import BenchError
from bench.method import Method
from bench.metrics.likeness import Likeness
from bench.task import Task
from masks import MaskSet

from ..test_methods import ALL, batch, small
from ..vandal import wreck

SIZE = 32


class Probe(Method):
    """Completes as a function says."""

    card = registry.get("mean").card

    def __init__(self, function: Callable[[Batch, Noise], Any]):
        super().__init__(self.presets["paper"])
        self.function = function

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.function(batch, noise)

    def steps(self, batch: Batch, noise: Noise) -> Iterator[Tensor]:  # type: ignore[override]
        yield self.function(batch, noise)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> ImageData:
    return dataset.prepare_synthfaces(24, SIZE, 0, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def task(faces: ImageData) -> Task:
    positions = list(range(4, 24))
    return Task(faces, positions, MaskSet.make("center/25", SIZE, len(positions), 0), "center/25", 0)


def completed(function: Callable[[Batch, Noise], Any], task: Task) -> tuple[Tensor, Completion]:
    completion = Completion(Probe(function), task.seeds)
    return torch.cat([pictures for *_, pictures in complete.completed(completion, task)]), completion


def grey(batch: Batch, noise: Noise) -> Tensor:
    return torch.zeros_like(batch.image)


def vandal(batch: Batch, noise: Noise) -> Tensor:
    wreck(batch)
    return torch.zeros_like(batch.image)


def test_a_method_that_wrecks_what_it_is_given_is_scored_like_one_that_does_not(task: Task) -> None:
    expected, _ = completed(grey, task)
    found, _ = completed(vandal, task)
    assert torch.equal(found, expected)
    originals, holes = torch.cat(list(task.originals())), torch.cat(list(task.holes()))
    assert (found[holes.expand_as(found)] == 128).all()
    assert torch.equal(found[~holes.expand_as(found)], originals[~holes.expand_as(found)])


@pytest.mark.parametrize(
    ("said", "meant", "colour"), [("", "/inverted", "black"), ("/inverted", "", "white")], ids=["as it is", "inverted"]
)
def test_finished_pictures_of_inverted_masks_fail_by_name(
    faces: ImageData, tmp_path: Path, said: str, meant: str, colour: str
) -> None:
    """Not those of the right masks, nor the very originals; and no method that completes, whatever it gives."""
    border = np.full((SIZE, SIZE), 255, np.uint8)
    border[8:24, 8:24] = 0
    Image.fromarray(border).save(tmp_path / "a.png")
    hole = torch.from_numpy((border == 255) != (said == "/inverted"))

    def likeness(filled: Tensor, slug: str = "external") -> Likeness:
        probe = Probe(lambda batch, noise: faces.floats(faces.indices(batch.ids or ())).masked_fill(filled, 0))
        probe.card = registry.get(slug).card  # type: ignore[misc]
        condition = f"folder:{tmp_path}{said}"
        task = Task(faces, list(range(4, 24)), MaskSet.make(condition, SIZE, 20, 0), condition, 0)
        completion = Completion(probe, task.seeds)
        list(complete.completed(completion, task))
        return completion.likeness

    message = (
        rf"folder:.*{said}: inside the holes .* so {colour} seems to be the hole: write folder:{tmp_path}{meant} \("
    )
    with pytest.raises(BenchError, match=message):
        likeness(~hole)
    assert not likeness(hole).copies
    for seen in (likeness(torch.zeros_like(hole)), likeness(~hole, "mean")):
        assert len(seen.copies) > 10  # told in a note


@pytest.mark.parametrize("change", [lambda m: m.mul_(-1).add_(1), lambda m: m.zero_(), lambda m: m.fill_(1)])
def test_a_mask_that_is_turned_round_in_place(task: Task, change: Callable[[Tensor], Tensor]) -> None:
    def turns(batch: Batch, noise: Noise) -> Tensor:
        change(batch.mask)
        return torch.zeros_like(batch.image)

    assert torch.equal(completed(turns, task)[0], completed(grey, task)[0])


def test_steps_are_those_of_an_honest_method(task: Task) -> None:
    first = next(task.batches()).only(0)
    honest, other = (list(Completion(Probe(one), task.seeds).steps(first)) for one in (grey, vandal))
    assert torch.equal(honest[0], other[0])
    assert torch.equal(first.image, next(task.batches()).image[:1])


@pytest.mark.parametrize("slug", ALL)
def test_every_method_gets_tensors_of_its_own(slug: str) -> None:
    """After a completion the batch is what it was, whatever the method did to what it received."""
    given = batch()
    kept = {field.name: copy_of(getattr(given, field.name)) for field in fields(given)}
    method = small(slug)
    honest = method.complete

    def wrecking(mine: Batch, noise: Noise) -> Tensor:
        output = honest(mine, noise)
        wreck(mine)
        return output

    method.complete = wrecking  # type: ignore[method-assign]
    Completion(method, lambda batch: [7, 8][: len(batch)])(given)
    for name, value in kept.items():
        found = getattr(given, name)
        assert torch.equal(found, value) if isinstance(value, Tensor) else found == value, name


def copy_of(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda b, n: (b.masked, b.masked), "gave a tuple of 2 where one tensor .* return the final one"),
        (lambda b, n: {"fine": b.masked, "coarse": b.masked}, "gave a dict of 'fine', 'coarse' where one tensor"),
        (lambda b, n: None, "gave a NoneType where one tensor"),
        (lambda b, n: b.masked.numpy(), "gave a ndarray where one tensor"),
        (lambda b, n: ((b.masked + 1) * 127.5).byte(), r"gave torch.uint8 where floats in \[-1, 1\] are expected"),
        (lambda b, n: (b.masked + 1) * 127.5, r"gave values from [0-9.]+ to 2.* where \[-1, 1\] is expected"),
        (lambda b, n: (b.masked + 1) * 127.5 - 3, r"gave values from [-0-9.]+ to 2.* where \[-1, 1\] is expected"),
        (lambda b, n: b.masked[:, :1], r"gave an output of the size \(16, 1, 32, 32\)"),
        (lambda b, n: torch.nn.functional.pad(b.masked, (0, 8, 0, 8)), r"gave an output of the size \(16, 3, 40, 40\)"),
        (lambda b, n: b.masked * torch.nan, "gave values that are not finite"),
    ],
)
def test_another_output_is_one_clear_message(function: Callable[[Batch, Noise], Any], reason: str, task: Task) -> None:
    with pytest.raises(BenchError, match=f"^mean {reason}"):
        completed(function, task)


def test_a_network_may_overshoot(task: Task) -> None:
    completed(lambda b, n: 20 * b.masked, task)
    assert completed(lambda b, n: b.masked.double(), task)[0].dtype == torch.uint8


def unit(batch: Batch, noise: Noise) -> Tensor:
    return (batch.masked + 1) / 2


def test_outputs_in_the_unit_range_are_doubted(task: Task) -> None:
    (remark,) = completed(unit, task)[1].remarks
    assert remark.startswith("its outputs seem to lie in [0, 1]")
    beyond, only = (lambda b, n: 1.12 * unit(b, n) - 0.06), (lambda b, n: b.mask + (1 - b.mask) * unit(b, n))
    assert completed(beyond, task)[1].range.doubtful and completed(only, task)[1].range.doubtful


@pytest.mark.parametrize(
    "function",
    [
        lambda b, n: b.masked,
        grey,
        lambda b, n: b.composite(torch.full_like(b.image, 0.5)),  # known pixels agree
        lambda b, n: b.masked.clamp(0, 1) - 0.1,
        lambda b, n: torch.full_like(b.image, 0.7),
        lambda b, n: torch.full_like(b.image, 0.5) + 0.001 * b.masked,  # of a network that has learnt nothing yet
        lambda b, n: n.normal(3, SIZE, SIZE),
    ],
)
def test_other_outputs_are_not(function: Callable[[Batch, Noise], Tensor], task: Task) -> None:
    assert completed(function, task)[1].remarks == []


def test_bright_pictures_are_no_reason_to_doubt(task: Task) -> None:
    completion = Completion(Probe(lambda b, n: b.masked.abs()), task.seeds)
    for one in task.batches():
        completion(replace(one, image=one.image.abs()))
    assert not completion.remarks


def test_one_colour_is_no_unit_range_on_dark_pictures(task: Task) -> None:
    completion = Completion(Probe(lambda b, n: torch.full_like(b.image, 0.1)), task.seeds)
    for one in task.batches():
        completion(replace(one, image=one.image / 10 - 0.8))
    assert not completion.remarks


DRAWS: dict[str, Callable[[Batch], Tensor]] = {
    "torch": lambda b: torch.randn_like(b.image),
    "numpy": lambda b: torch.from_numpy(np.random.standard_normal(b.image.shape)),
    "python": lambda b: b.image * 0 + 2 * random.random() - 1,
    "dropout": lambda b: torch.nn.functional.dropout(b.masked + 0.3, training=True),
    "opencv": lambda b: torch.from_numpy(cv2.randn(np.empty(b.image.shape, np.float32).reshape(-1), 0, 1)).view_as(
        b.image
    ),
    "seeded by itself": lambda b: (torch.manual_seed(0), torch.randn_like(b.image))[1],
}


@pytest.mark.parametrize("kind", DRAWS)
def test_a_method_that_draws_from_global_generators_gives_the_same_bytes_at_every_batch_size(
    kind: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for size in (1, 5, 16):
        monkeypatch.setattr(tasks, "BATCH", size)
        random.seed(size), np.random.seed(size), torch.manual_seed(size)
        images, completion = completed(lambda b, n: DRAWS[kind](b), task)
        found.append(images)
        assert [remark.split(":")[0] for remark in completion.remarks] == ["draws from global random generators"]
        completion.again(next(task.batches()))
        assert completion.repeats
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    if kind != "seeded by itself":
        assert not torch.equal(found[0][0], found[0][1])
        other = replace(task, seed=1)
        assert not torch.equal(completed(lambda b, n: DRAWS[kind](b), other)[0], found[0])


def into_one_buffer(function: Callable[[Batch, Noise], Tensor]) -> Callable[[Batch, Noise], Tensor]:
    """The same method, which writes all its outputs of one size into the same tensor."""
    buffers: dict[torch.Size, Tensor] = {}

    def writes(batch: Batch, noise: Noise) -> Tensor:
        output = function(batch, noise)
        return buffers.setdefault(output.shape, torch.empty_like(output)).copy_(output)

    return writes


def draws(batch: Batch, noise: Noise) -> Tensor:
    return torch.randn_like(batch.image)


def test_a_method_may_write_all_its_outputs_into_one_tensor(task: Task) -> None:
    for function in (draws, unit):
        assert torch.equal(completed(into_one_buffer(function), task)[0], completed(function, task)[0])
    first, own = next(task.batches()), np.random.default_rng()
    completion = Completion(Probe(into_one_buffer(lambda b, n: b.masked + float(own.random()))), task.seeds)
    completion.again(first)
    assert not completion.repeats
    several = Probe(draws)
    several.steps = lambda b, n: map(into_one_buffer(draws), (b, b), (n, n))  # type: ignore[method-assign,assignment,return-value]
    one, two = Completion(several, task.seeds).steps(first)
    assert not torch.equal(one, two)


NEIGHBOURS: dict[str, Callable[[Batch], Tensor]] = {
    "batch normalisation": lambda b: torch.nn.functional.batch_norm(b.masked, None, None, training=True),
    "the first image for all": lambda b: b.masked[:1].mean((2, 3), keepdim=True).expand_as(b.image),
    "in the holes alone": lambda b: b.composite(b.masked.mean((0, 2, 3), keepdim=True).expand_as(b.image)),
}


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_a_method_that_looks_at_other_images_of_its_batch_completes_each_alone(kind: str, task: Task) -> None:
    few = replace(task, positions=task.positions[:4])
    (found, completion), (others, _) = (completed(lambda b, n: NEIGHBOURS[kind](b), one) for one in (task, few))
    assert torch.equal(found[:4], others)
    assert completion.remarks[0].startswith("depends on the other images of its batch")
    alone = torch.cat([NEIGHBOURS[kind](batch.only(i)) for batch in few.batches() for i in range(4)])
    assert torch.equal(others, complete.composite(alone, *whole(few)))


def whole(task: Task) -> tuple[Tensor, Tensor]:
    (batch,) = task.batches()
    return batch.image, batch.mask


@pytest.mark.parametrize("slug", ALL)
def test_rounding_of_other_batch_sizes_is_no_dependence(slug: str) -> None:
    completion = Completion(small(slug), lambda batch: [7, 8][-len(batch) :])
    completion(batch())
    assert completion.compared and not completion.alone


def test_weights_that_are_drawn_at_the_first_call_are_no_chance(task: Task) -> None:
    kept: list[torch.nn.Module] = []

    def lazy(batch: Batch, noise: Noise) -> Tensor:
        if not kept:
            kept.append(torch.nn.Conv2d(3, 3, 1))
        return kept[0](batch.masked)

    assert completed(lazy, task)[1].remarks == []


def test_a_method_with_a_generator_of_its_own_is_not_deterministic(task: Task) -> None:
    own = np.random.default_rng()
    _, completion = completed(lambda b, n: b.masked + float(own.random()), task)
    completion.again(next(task.batches()))
    assert not completion.repeats
    assert completion.remarks[0].startswith("gives another result each time")
