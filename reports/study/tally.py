"""Votes as numbers, and what is made of their sums: ranks, shares, preferences, strengths.

Everything is a function of sums over votes: the bootstrap (`reports.study.intervals`) needs weighted sums alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.study import strengths
from reports.study.votes import Vote

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """The n votes of one place, over k methods."""

    methods: tuple[str, ...]
    people: NDArray[np.intp]
    """(n,): who voted, as numbers from 0."""
    images: NDArray[np.intp]
    """(n,): of which image."""
    wins: Array
    """(n, k, k): 1 where the vote puts the first method before the second."""
    ranks: Array
    """(n, k, k): 1 where the vote gives the method that rank, from 0; of all but rankings rank 0 alone."""
    shown: Array
    """(n, k): 1 where the method was to be seen."""

    @property
    def sums(self) -> Sums:
        """Over all votes."""
        return Sums(len(self.methods), self.flat.sum(axis=0))

    @property
    def flat(self) -> Array:
        """(n, m): all that is summed, one vote a row."""
        n = len(self.people)
        return np.concatenate([self.wins.reshape(n, -1), self.ranks.reshape(n, -1), self.shown], axis=1)


@dataclass(frozen=True)
class Sums:
    """Sums over votes of `Tally.flat`: (..., m), of weighted votes where they are resampled."""

    k: int
    flat: Array

    @property
    def wins(self) -> Array:
        """(..., k, k)"""
        return self.flat[..., : self.k**2].reshape(*self.flat.shape[:-1], self.k, self.k)

    @property
    def ranks(self) -> Array:
        """(..., k, k)"""
        return self.flat[..., self.k**2 : 2 * self.k**2].reshape(*self.flat.shape[:-1], self.k, self.k)

    @property
    def shown(self) -> Array:
        """(..., k)"""
        return self.flat[..., 2 * self.k**2 :]

    @property
    def compared(self) -> Array:
        """(..., k, k): votes that say which of the two is better."""
        return self.wins + np.swapaxes(self.wins, -1, -2)

    @property
    def average_rank(self) -> Array:
        """(..., k), from 1 = best; of rankings."""
        with np.errstate(invalid="ignore"):
            return self.ranks @ np.arange(1.0, self.k + 1) / self.shown

    @property
    def shares(self) -> Array:
        """(..., k, k): of the votes that saw the method, the share that gave it rank 0, 1, ..."""
        with np.errstate(invalid="ignore"):
            return self.ranks / self.shown[..., None]

    @property
    def preference(self) -> Array:
        """(..., k, k): share of the votes between two methods that are for the first; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return self.wins / self.compared

    @property
    def strengths(self) -> Array:
        """(..., k): see `strengths.fit`."""
        return strengths.fit(self.wins)


def tally(votes: Sequence[Vote], methods: Sequence[str]) -> Tally:
    """The votes of one place."""
    place = {name: i for i, name in enumerate(methods)}
    n, k = len(votes), len(methods)
    wins, ranks, shown = np.zeros((n, k, k)), np.zeros((n, k, k)), np.zeros((n, k))
    for i, vote in enumerate(votes):
        for better, worse in vote.wins:
            wins[i, place[better], place[worse]] = 1
        for rank, name in enumerate(vote.order):
            ranks[i, place[name], rank] = 1
        shown[i, [place[name] for name in vote.question.shown]] = 1
    people = np.unique([vote.person for vote in votes], return_inverse=True)[1]
    images = np.unique([vote.question.image for vote in votes], return_inverse=True)[1]
    return Tally(tuple(methods), people, images, wins, ranks, shown)
