"""One method completes batches: what it is given, what it may return, and what its outputs make doubtful."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench import contract, resizing
from bench.batch import Batch, Noise
from bench.bicubic import pictures
from bench.errors import BenchError
from bench.isolation import isolated
from bench.method import Method
from bench.metrics.likeness import Likeness

FURTHEST = 16.0  # a network may overshoot [-1, 1]; positive outputs beyond have another range, such as [0, 255]
COMPANY = 0.001  # mean difference, of 2, between an image alone and in a batch; rounding makes 0.00001 of it


class Completion:
    """How a method completes batches, on one device. Call it with a batch: (N, 3, H, W) float32, on the CPU.

    The method gets a copy of each batch and never sees the pixels under the hole. Global generators are seeded for it.
    One that draws from them, not from `noise`, completes image by image, each under a seed of its own; so does one
    whose result depends on the other images of the batch. So no completion depends on the batch size, on the images
    beside it or on what ran before. `remarks` say that, and what else a reader of its numbers must know.
    With `at` it works in pictures of so many pixels a side (see `bench.resizing`).
    """

    def __init__(self, method: Method, seeds: Callable[[Batch], list[int]], device: str = "cpu", at: int | None = None):
        contract.written(method, "complete", "batch", "noise")
        self.method, self.seeds, self.device, self.at = method.to(device).eval(), seeds, device, at
        self.alone = ""  # why it completes image by image
        self.compared = False  # an image in a batch with the same one alone
        self.repeats = True  # a completion is the same again
        self.same = False  # all completions of an image are one: no seed changes it
        self.range = _Range()
        self.likeness = Likeness()

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """Raises BenchError where the output is no batch of finite pictures of that size in [-1, 1]."""
        seeds = self.seeds(batch)
        output = None if self.alone else self._together(batch, seeds)
        if output is None:
            output = torch.cat([self._run(batch.only(i), [one])[0] for i, one in enumerate(seeds)])
        self.range.add(output, batch)
        return output

    def _together(self, batch: Batch, seeds: list[int]) -> Tensor | None:
        """The whole batch at once; None where that cannot be: `alone` then says why."""
        for _ in range(2):  # networks that are made at the first call draw their first weights: once
            output, moved = self._run(batch, seeds)
            if not moved:
                break
        else:
            self.alone = "draws from global random generators"
        if not self.alone and not self.compared and len(batch) > 1:
            self.compared = True
            if self._depends(output, batch, seeds):
                self.alone = "depends on the other images of its batch"
        return None if self.alone else output

    def _depends(self, output: Tensor, batch: Batch, seeds: list[int]) -> bool:
        """Whether the last image is another one alone: the last, since earlier ones may lead to it."""
        last = batch.only(len(batch) - 1)

        def distance(one: Tensor, other: Tensor) -> float:
            """The mean difference of the pictures or, if that is larger, of their holes."""
            difference = (one.clamp(-1, 1) - other.clamp(-1, 1)).abs().mean(dim=1, keepdim=True)
            hole = (difference * last.mask).sum() / last.mask.sum().clamp(min=1)
            return float(torch.maximum(difference.mean(), hole))

        one = self._run(last, seeds[-1:])[0]
        if distance(one, output[-1:]) <= COMPANY:
            return False
        return distance(one, self._run(last, seeds[-1:])[0]) <= COMPANY  # else it gives another one each time

    def _run(self, batch: Batch, seeds: list[int]) -> tuple[Tensor, bool]:
        """The checked output, and whether a global generator was moved."""
        shown = self._shown(batch)
        with isolated(seeds[0]) as moved:
            output = self.method.complete(shown.given(self.device), Noise(seeds, self.device))
            drew = moved()
        return self._back(checked(output, shown, self.method.card.slug), batch), drew

    def _shown(self, batch: Batch) -> Batch:
        """A batch at the size at which the method works."""
        return batch if self.at is None else resizing.there(batch, self.at)

    def _back(self, output: Tensor, batch: Batch) -> Tensor:
        """An output at the size of its batch."""
        return output if self.at is None else pictures(output, (batch.image.shape[2], batch.image.shape[3]))

    @torch.no_grad()
    def again(self, batch: Batch) -> None:
        """Complete the first image of a batch twice, to see whether the method gives the same bytes again."""
        first = batch.only(0)
        one, other = (self._run(first, self.seeds(first))[0] for _ in range(2))
        self.repeats = torch.equal(one, other)

    @torch.no_grad()
    def steps(self, batch: Batch) -> Iterator[Tensor]:
        """The completion after each step, float32 on the CPU, for methods that complete in steps."""
        seeds, shown = self.seeds(batch), self._shown(batch)
        with isolated(seeds[0]):
            found = self.method.steps(shown.given(self.device), Noise(seeds, self.device))
            yield from [self._back(checked(step, shown, self.method.card.slug), batch) for step in found]

    @property
    def remarks(self) -> list[str]:
        """What a reader of the numbers must know, a sentence each."""
        found = []
        if self.alone:
            found.append(f"{self.alone}: completed image by image, each with a seed of its own")
        if self.same:
            found.append("gives the same completion for every seed: completed once")
        if not self.repeats:
            found.append("gives another result each time: these numbers cannot be made again")
        if self.range.doubtful:
            found.append("its outputs seem to lie in [0, 1]: [-1, 1] is expected, so they are too bright")
        return found + [note for note in (self.likeness.note,) if note] + self.method.remarks()


def checked(output: Any, batch: Batch, slug: str) -> Tensor:
    """A copy of a method's output as float32 on the CPU; BenchError says what is wrong with another one.

    A copy, since the method may write its next output into the same tensor.
    """
    names = batch.ids or ("?",)
    if not isinstance(output, Tensor):
        raise BenchError(
            f"{slug} gave {_described(output)} where one tensor of completed images is expected: return the final one"
        )
    if not output.is_floating_point():
        raise BenchError(f"{slug} gave {output.dtype} where floats in [-1, 1] are expected: return x / 127.5 - 1")
    output = output.detach().to("cpu", torch.float32, copy=True).as_subclass(Tensor)
    if output.shape != batch.image.shape:
        raise BenchError(
            f"{slug} gave an output of the size {tuple(output.shape)} for image {names[0]} and the {len(batch) - 1} "
            f"after it, expected {tuple(batch.image.shape)}"
        )
    if bad := [name for name, one in zip(names, output, strict=False) if not torch.isfinite(one).all()]:
        raise BenchError(
            f"{slug} gave values that are not finite (NaN or infinite) for image {bad[0]} under {batch.condition}, and "
            f"for {len(bad) - 1} more of {len(names)}"
        )
    least, most = float(output.min()), float(output.max())
    if most > FURTHEST and least > -most / 10:
        raise BenchError(
            f"{slug} gave values from {least:g} to {most:g} for image {names[0]} where [-1, 1] is expected: return "
            "x / 127.5 - 1 if they are those of 8 bits"
        )
    return output


def _described(value: Any) -> str:
    kind = f"a {type(value).__name__}"
    if isinstance(value, dict):
        return f"{kind} of {', '.join(map(repr, value))}"
    return f"{kind} of {len(value)}" if isinstance(value, list | tuple) else kind


class _Range:
    """Whether outputs seem to lie in [0, 1] where [-1, 1] is meant.

    Their values prove nothing, the known pixels do: twice the output less 1 is much nearer to the originals than the
    output is, and than any one colour could be.
    """

    def __init__(self) -> None:
        self.as_it_is = self.spread = self.plain = 0.0  # distances from the originals, summed over known pixels

    def add(self, output: Tensor, batch: Batch) -> None:
        """Follow the outputs of one batch."""
        known = 1 - batch.mask
        colour = (batch.image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)

        def distance(other: Tensor) -> float:
            return float(((other - batch.image).abs() * known).sum(dtype=torch.float64))

        self.as_it_is += distance(output)
        self.spread += distance(2 * output - 1)
        self.plain += distance(colour)

    @property
    def doubtful(self) -> bool:
        return self.spread < min(self.as_it_is, self.plain) / 2
