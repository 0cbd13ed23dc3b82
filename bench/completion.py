"""One method completes batches: what it is given, what it may return, and what its outputs make doubtful."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bench.batch import Batch, Noise
from bench.errors import BenchError
from bench.isolation import isolated
from bench.method import Method
from bench.metrics.likeness import Likeness

FURTHEST = 16.0  # a network may overshoot [-1, 1]; positive outputs beyond have another range, such as [0, 255]
UNIT = 0.05  # by which outputs that lie in [0, 1] may leave it
FEW = 0.001  # share of outputs that may leave it by more
FAR = 0.1  # mean distance between known pixels and originals, of 2, that no good output has


class Completion:
    """How a method completes batches, on one device. Call it with a batch: (N, 3, H, W) float32, on the CPU.

    The method gets a copy of each batch and never sees the pixels under the hole. Global generators are seeded for it.
    One that draws from them, not from `noise`, completes image by image, each under a seed of its own: so its
    completions depend neither on the batch size nor on what ran before. `remarks` say that, and what else a reader of
    its numbers must know.
    """

    def __init__(self, method: Method, seeds: Callable[[Batch], list[int]], device: str = "cpu"):
        self.method, self.seeds, self.device = method.to(device).eval(), seeds, device
        self.alone = False  # image by image
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
            self.alone = True
            output = torch.cat([self._run(batch.only(i), [one])[0] for i, one in enumerate(seeds)])
        self.range.add(output, batch)
        return output

    def _together(self, batch: Batch, seeds: list[int]) -> Tensor | None:
        """The whole batch at once; None where the method draws from global generators."""
        for _ in range(2):  # networks that are made at the first call draw their first weights: once
            output, moved = self._run(batch, seeds)
            if not moved:
                return output
        return None

    def _run(self, batch: Batch, seeds: list[int]) -> tuple[Tensor, bool]:
        """The checked output, and whether a global generator was moved."""
        with isolated(seeds[0]) as moved:
            output = self.method.complete(batch.given(self.device), Noise(seeds, self.device))
            drew = moved()
        return checked(output, batch, self.method.card.slug), drew

    @torch.no_grad()
    def again(self, batch: Batch) -> None:
        """Complete the first image of a batch twice, to see whether the method gives the same bytes again."""
        first = batch.only(0)
        one, other = (self._run(first, self.seeds(first))[0] for _ in range(2))
        self.repeats = torch.equal(one, other)

    @torch.no_grad()
    def steps(self, batch: Batch) -> Iterator[Tensor]:
        """The completion after each step, float32 on the CPU, for methods that complete in steps."""
        seeds = self.seeds(batch)
        with isolated(seeds[0]):
            found = self.method.steps(batch.given(self.device), Noise(seeds, self.device))
            yield from [checked(step, batch, self.method.card.slug).clone() for step in found]

    @property
    def remarks(self) -> list[str]:
        """What a reader of the numbers must know, a sentence each."""
        found = []
        if self.alone:
            found.append("draws from global random generators: completed image by image, each with a seed of its own")
        if self.same:
            found.append("gives the same completion for every seed: completed once")
        if not self.repeats:
            found.append("gives another result each time: these numbers cannot be made again")
        if self.range.doubtful:
            found.append("its outputs never leave [0, 1]: [-1, 1] is expected, so they may be too bright")
        return found + [note for note in (self.likeness.note,) if note]


def checked(output: Any, batch: Batch, slug: str) -> Tensor:
    """The output of a method as float32 on the CPU; BenchError says what is wrong with another one."""
    names = batch.ids or ("?",)
    if not isinstance(output, Tensor):
        raise BenchError(
            f"{slug} gave {_described(output)} where one tensor of completed images is expected: return the final one"
        )
    if not output.is_floating_point():
        raise BenchError(f"{slug} gave {output.dtype} where floats in [-1, 1] are expected: return x / 127.5 - 1")
    output = output.detach().float().cpu()
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
    """Whether all outputs seem to lie in [0, 1] where [-1, 1] is meant.

    Their values alone prove nothing, so the known pixels must disagree with the originals, too.
    """

    def __init__(self) -> None:
        self.values = self.outside = 0
        self.least, self.most = float("inf"), float("-inf")
        self.distance = self.known = 0.0

    def add(self, output: Tensor, batch: Batch) -> None:
        """Follow the outputs of one batch."""
        known = 1 - batch.mask
        self.values += output.numel()
        self.outside += int(((output < -UNIT) | (output > 1 + UNIT)).sum())
        self.least, self.most = min(self.least, float(output.min())), max(self.most, float(output.max()))
        self.distance += float(((output - batch.image).abs() * known).sum(dtype=torch.float64))
        self.known += 3 * float(known.sum(dtype=torch.float64))

    @property
    def doubtful(self) -> bool:
        inside = self.outside <= FEW * self.values and self.least < self.most
        return inside and self.distance > FAR * self.known > 0
