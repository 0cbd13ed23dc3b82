"""Fréchet distance between two sets of features (Heusel et al., 2017), without a matrix square root.

    d² = |m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

The last trace is the sum of the singular values of F1 F2^T for any factors with F^T F = S. A set of n images in d
dimensions has the factor of its centred rows when n ≤ d (exact though S is singular), else a Cholesky factor, else
the symmetric root.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.isolation import one_thread
from bench.metrics.score import Pair, Score

CHUNK = 4096


@dataclass
class Moments:
    """Count, mean and scatter (sum of outer products about the mean) in float64: what FID keeps of a set.

    Mergeable (Chan, Golub and LeVeque, 1979), so sets stream through it: memory is one d x d matrix.
    """

    n: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    scatter: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))

    @classmethod
    @one_thread()
    def of(cls, rows: Tensor) -> Moments:
        """Moments of `rows` (n, d), any float type."""
        total = cls()
        for chunk in rows.split(CHUNK):
            total = total + cls._chunk(chunk)
        return total

    @classmethod
    def _chunk(cls, rows: Tensor) -> Moments:
        rows = rows.double()
        mean = rows.mean(dim=0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def __add__(self, other: Moments) -> Moments:
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        n, step = self.n + other.n, other.mean - self.mean
        between = torch.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Tensor:
        """(d, d), divisor n - 1."""
        return self.scatter / (self.n - 1)

    def factor(self) -> Factor:
        """An upper factor F with F^T F = covariance (divisor n - 1)."""
        cholesky, info = torch.linalg.cholesky_ex(self.covariance)
        if int(info) == 0:
            return Factor(self.n, self.mean, cholesky.T.contiguous(), cholesky=True)
        values, vectors = torch.linalg.eigh(self.covariance)
        return Factor(self.n, self.mean, values.clamp(min=0).sqrt()[:, None] * vectors.T)


@dataclass
class Factor:
    """A set as FID's algebra sees it: `root` (k, d) with root^T root = covariance (divisor n - 1)."""

    n: int
    mean: Tensor
    root: Tensor
    cholesky: bool = False
    rows: bool = False  # root is the centred rows over sqrt(n - 1)

    @property
    def trace(self) -> Tensor:
        return self.root.square().sum()

    def potential(self, centred: Tensor | None, gram: Tensor) -> Tensor:
        """x^T T x for each centred row x (n, d), with T the optimal map to the other Gaussian.

        `gram` is (F1 F2^T F2 F1^T)^(1/2), F1 this side's root.
        """
        if centred is None:  # the rows are the factor
            return (self.n - 1) * gram.diagonal()
        if self.cholesky:
            coordinates = torch.linalg.solve_triangular(self.root.T, centred.T, upper=False)
        else:
            scale = self.root.square().sum(dim=1)
            inverse = torch.where(scale > scale.max() * 1e-12, 1 / scale, 0)
            coordinates = inverse[:, None] * (self.root @ centred.T)
        return (coordinates * (gram @ coordinates)).sum(dim=0)


def factor(sample: Tensor | Moments) -> Factor:
    """The factor of feature rows (n, d) or of moments."""
    if isinstance(sample, Moments):
        return sample.factor()
    n, d = sample.shape
    if n > d:
        return Moments.of(sample).factor()
    rows = sample.double()
    mean = rows.mean(dim=0)
    return Factor(n, mean, (rows - mean) / math.sqrt(n - 1), rows=True)


def distance(a: Tensor | Moments, b: Tensor | Moments) -> float:
    """The squared Fréchet distance of two samples, covariances with divisor n - 1."""
    _check(a, b)
    one, two = _moments(a), _moments(b)
    if one and two:  # with S1 = L L^T, the eigenvalues of S1 S2 are those of L^T S2 L
        cholesky, info = torch.linalg.cholesky_ex(one.covariance)
        if int(info) == 0:
            values = torch.linalg.eigvalsh(cholesky.T @ two.covariance @ cholesky)
            shift, traces = (one.mean - two.mean).square().sum(), one.covariance.trace() + two.covariance.trace()
            return max(float(shift + traces - 2 * values.clamp(min=0).sqrt().sum()), 0.0)
    left, right = factor(one or a), factor(two or b)
    return _value(left, right, torch.linalg.svdvals(left.root @ right.root.T).sum())


def _moments(sample: Tensor | Moments) -> Moments | None:
    """The moments of a sample with more rows than columns, the only ones that can have full rank."""
    moments = sample if isinstance(sample, Moments) else Moments.of(sample) if len(sample) > sample.shape[1] else None
    return moments if moments and moments.n > len(moments.mean) else None


def _check(a: Tensor | Moments, b: Tensor | Moments) -> None:
    for sample in (a, b):
        n = sample.n if isinstance(sample, Moments) else len(sample)
        if n < 2:
            raise BenchError(f"FID needs at least 2 images in each set, got {n}")


def _value(one: Factor, two: Factor, trace: Tensor) -> float:
    return max(float((one.mean - two.mean).square().sum() + one.trace + two.trace - 2 * trace), 0.0)


def score(pair: Pair) -> Score:
    """FID and what each image adds to it.

    The influence of an image on d² is 2 (m1 - m2)^T c + n / (n - 1) c^T (I - T) c, less its mean, with c the centred
    feature and T the optimal map between the two Gaussians. In a paired set the completed image and its original count.
    """
    completed, reference = pair.completed, pair.reference
    _check(completed, reference)
    one, two = factor(completed), factor(reference)
    product = one.root @ two.root.T
    wide = product.shape[0] > product.shape[1]
    values, vectors = torch.linalg.eigh(product.T @ product if wide else product @ product.T)
    roots = values.clamp(min=0).sqrt()
    gram = (vectors * roots) @ vectors.T  # (P P^T)^(1/2), or (P^T P)^(1/2)
    inverse = torch.where(roots > roots.max() * 1e-6, 1 / roots, 0)
    other = product @ vectors if wide else product.T @ vectors
    far = (other * inverse) @ other.T  # the same of the other side: P (P^T P)^(-1/2) P^T
    left, right = (far, gram) if wide else (gram, far)
    value = _value(one, two, roots.sum())
    contributions = _influence(completed, one, one.mean - two.mean, left)
    if pair.paired:
        contributions = contributions + _influence(reference, two, two.mean - one.mean, right)
    return Score(value, contributions + value)


def _influence(rows: Tensor, side: Factor, shift: Tensor, gram: Tensor) -> Tensor:
    influence, sample = [], side.n / (side.n - 1)
    for chunk in rows.split(len(rows) if side.rows else CHUNK):
        centred = chunk.double() - side.mean
        potential = side.potential(None if side.rows else centred, gram)
        influence.append(2 * centred @ shift + sample * (centred.square().sum(dim=1) - potential))
    total = torch.cat(influence)
    return total - total.mean()


def score_mat(pair: Pair) -> Score:
    """FID as MAT's code computes it: covariances with divisor n. For two sets of one size."""
    completed, reference = pair.completed, pair.reference
    n, m = len(completed), reference.n if isinstance(reference, Moments) else len(reference)
    if n != m:
        raise BenchError(f"fid@mat is defined for two sets of one size, got {n} and {m}")
    means = [side.mean if isinstance(side, Moments) else side.double().mean(dim=0) for side in (completed, reference)]
    shift = float((means[0] - means[1]).square().sum())
    usual = score(pair)
    value = shift + (usual.value - shift) * (n - 1) / n
    assert usual.contributions is not None
    return Score(value, usual.contributions - usual.value + value)


def infinity(pair: Pair) -> Score:
    """FID∞ (Chong and Forsyth, 2020): FID of random subsets of growing size, extrapolated to 1/n = 0 by a line.

    Subsets take the same photographs from both sets when they are paired. The fit is rough while n < d.
    """
    n = len(pair.completed)
    rng = np.random.Generator(np.random.PCG64(0))
    inverse, values = [], []
    for size in np.unique(np.linspace(max(n // 2, 10), n, 8).astype(int)):
        chosen = torch.from_numpy(rng.permutation(n)[:size]).to(pair.completed.device)
        inverse.append(1 / size)
        values.append(distance(pair.completed[chosen], pair.reference[chosen] if pair.paired else pair.reference))
    _, intercept = np.polyfit(inverse, values, 1)
    return Score(float(intercept), note=f"extrapolated from {n} images")
