"""Precision, recall, density and coverage: do completions look like originals, and are all originals like some of them?

As the package prdc 0.2 computes them (Kynkäänniemi et al., 2019; Naeem et al., 2020), with k = 5. A ball reaches from
each point to the k-th nearest other point of its set; a point on its surface lies outside. Completions that are copies
of others are left out: they would shrink the balls of their own set to nothing, and count the same fault many times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.metrics.score import Pair, Score

K = 5
CHUNK = 1024


@dataclass(frozen=True)
class _Neighbours:
    """What the four scores need of the distances between n completions and m originals."""

    around: Tensor  # (n,) int64: the originals' balls that a completion lies in
    inside: Tensor  # (m,) bool: whether an original lies in the ball of any completion
    covered: Tensor  # (m,) bool: whether the ball of an original holds any completion
    copies: int  # completions that were left out

    @classmethod
    def of(cls, pair: Pair) -> _Neighbours:
        ours = pair.completed.double()
        ours, numbers = torch.unique(ours, dim=0, return_inverse=True)
        theirs = pair.reference.double()
        radii, reach = _radii(theirs), _radii(ours)
        around = torch.zeros(len(ours), dtype=torch.int64, device=ours.device)
        inside, covered = [], []
        for rows, distances in _distances(theirs, ours):
            within = distances < radii[rows, None]
            around += within.sum(dim=0)
            inside.append((distances < reach).any(dim=1))
            covered.append(within.any(dim=1))
        copies = len(numbers) - len(ours)
        # in the order of the images; where none is left out, one each
        return cls(around if copies else around[numbers], torch.cat(inside), torch.cat(covered), copies)


def precision(pair: Pair) -> Score:
    """The share of completions that lie in the ball of any original."""
    found = _found(pair)
    return _of_completions(found, (found.around > 0).double())


def density(pair: Pair) -> Score:
    """How many originals' balls a completion lies in, over k; 1 is expected of equal sets, and more is possible."""
    found = _found(pair)
    return _of_completions(found, found.around.double() / K)


def recall(pair: Pair) -> Score:
    """The share of originals that lie in the ball of any completion."""
    return _of_originals(pair, _found(pair).inside)


def coverage(pair: Pair) -> Score:
    """The share of originals whose ball holds any completion; 1 - 2^-k, 0.97, is expected of equal distributions."""
    return _of_originals(pair, _found(pair).covered)


def _found(pair: Pair) -> _Neighbours:
    if "neighbours" not in pair.shared:
        pair.shared["neighbours"] = _Neighbours.of(pair)
    return pair.shared["neighbours"]


def _of_completions(found: _Neighbours, values: Tensor) -> Score:
    """An interval needs a value for each image, which copies that were left out have not."""
    return Score(float(values.mean()), None if found.copies else values, _note(found))


def _of_originals(pair: Pair, values: Tensor) -> Score:
    """Each original stands for the image that was completed."""
    return Score(float(values.double().mean()), values.double() if pair.paired else None, _note(_found(pair)))


def _note(found: _Neighbours) -> str:
    return f"{found.copies} completions are copies of others, and are left out" if found.copies else ""


def _radii(points: Tensor) -> Tensor:
    """The distance of each point to the k-th nearest other one: (n,)."""
    k = min(K + 1, len(points))  # the point itself is the nearest
    return torch.cat([distances.kthvalue(k, dim=1).values for _, distances in _distances(points, points)])


def _distances(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Euclidean distances of some rows to all others, without the rounding of products: equal points have exactly 0."""
    for start in range(0, len(rows), CHUNK):
        part = slice(start, min(start + CHUNK, len(rows)))
        yield part, torch.cdist(rows[part], others, compute_mode="donot_use_mm_for_euclid_dist")
