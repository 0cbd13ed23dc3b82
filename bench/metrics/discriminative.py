"""Discriminative scores U-IDS and P-IDS (Zhao et al., CoModGAN, 2021): can a linear SVM tell completed from real?

One SVM is fitted on the features of all originals (label 1) and completions (label 0). U-IDS is its training error
(0.5 is ideal), P-IDS the share of completions that it ranks above their own original. In many dimensions an SVM
separates any few points, so both are 0 for small sets: `u-ids-cv` takes held-out errors instead.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.metrics.score import Pair, Score

FOLDS = 5


def fit(features: Tensor, labels: Tensor, c: float = 1.0, tolerance: float = 1e-9) -> tuple[Tensor, Tensor]:
    """Weights (d,) and bias of the linear SVM that scikit-learn's ``LinearSVC(dual=False)`` fits; float64.

    It minimises |w|²/2 + c Σ max(0, 1 - y w^T x)² over w, where x ends with a 1, so the bias is penalised too;
    `features`: (n, d), `labels`: (n,) bool. The function is convex and piecewise quadratic: Newton's steps with an
    exact line search reach the minimum itself (Keerthi and DeCoste, 2005), where liblinear stops near it. Each step
    is solved by conjugate gradients in float64, preconditioned by a float32 Cholesky factor of the same Hessian.
    """
    x = features.new_ones(len(features), features.shape[1] + 1, dtype=torch.float64)
    x[:, :-1] = features
    back = None
    if len(x) < x.shape[1]:  # the minimum lies in the span of the rows: solve in those coordinates
        back, upper = torch.linalg.qr(x.T)
        x = upper.T.contiguous()
    w = _newton(x, labels.to(x) * 2 - 1, c, tolerance)
    w = w if back is None else back @ w
    return w[:-1], w[-1]


def _newton(x: Tensor, y: Tensor, c: float, tolerance: float) -> Tensor:
    x32 = x.float()
    w, margin = x.new_zeros(x.shape[1]), torch.ones_like(y)  # margin = 1 - y w^T x
    hessian = torch.eye(x.shape[1], dtype=torch.float32, device=x.device)
    inside = torch.zeros_like(y, dtype=torch.bool)  # rows that the Hessian counts
    first = factor = None
    for _ in range(200):
        active = margin > 0
        gradient = w - 2 * c * (x.T @ (y * margin.clamp(min=0)))
        size = float(gradient.norm())
        first = size if first is None else first
        if size <= tolerance * first:
            break
        changed = active ^ inside
        if factor is None or int(changed.sum()) > len(y) // 50:  # for fewer the old factor is good enough
            for rows, sign in ((active & changed, 2 * c), (inside & changed, -2 * c)):
                _add_gram(hessian, x32 if rows.all() else x32[rows], sign)
            inside, factor = active, _cholesky(hessian)
        step = _conjugate_gradients(_hessian(x, active, c), -gradient, factor, min(1e-2, size / first))
        along = y * (x @ step)
        length = _line_search(w, step, margin, along, c)
        w, margin = w + length * step, margin - length * along
    return w


def _hessian(x: Tensor, active: Tensor, c: float) -> Callable[[Tensor], Tensor]:
    weights = 2 * c * active  # a product with the rows left out costs less than a copy of the others
    return lambda v: v + x.T @ (weights * (x @ v))


def _add_gram(hessian: Tensor, rows: Tensor, scale: float, block: int = 512) -> None:
    """Add scale * rows^T rows to the lower triangle, all that a Cholesky factor reads."""
    for start in range(0, len(hessian) if len(rows) else 0, block):
        stop = min(start + block, len(hessian))
        hessian[start:stop, :stop].addmm_(rows[:, start:stop].T, rows[:, :stop], alpha=scale)


def _cholesky(hessian: Tensor) -> Tensor:
    """A float32 factor; rounding may cost positive definiteness, which a larger diagonal brings back."""
    for power in range(-7, 4):
        factor, info = torch.linalg.cholesky_ex(hessian)
        if int(info) == 0:
            return factor
        hessian = hessian + torch.diag(hessian.diagonal() * 10.0**power)
    return torch.diag(hessian.diagonal().clamp(min=1).sqrt())


def _conjugate_gradients(product: Callable[[Tensor], Tensor], target: Tensor, factor: Tensor, drop: float) -> Tensor:
    """Solve product(v) = target until the residual has fallen by `drop`."""

    def precondition(v: Tensor) -> Tensor:
        return torch.cholesky_solve(v.float()[:, None], factor)[:, 0].double()

    goal = float(target.norm()) * drop
    solution, residual = torch.zeros_like(target), target
    z = precondition(residual)
    direction, energy = z, residual @ z
    for _ in range(1000):
        image = product(direction)
        rate = energy / (direction @ image)
        solution, residual = solution + rate * direction, residual - rate * image
        if float(residual.norm()) <= goal:
            break
        z = precondition(residual)
        new = residual @ z
        direction, energy = z + (new / energy) * direction, new
    return solution


def _line_search(w: Tensor, step: Tensor, margin: Tensor, along: Tensor, c: float) -> float:
    """The minimum along `step`: the slope is increasing and piecewise linear in the length, so bisect for its zero."""
    linear, square = float(w @ step), float(step @ step)

    def slope(t: float) -> float:
        return linear + t * square - 2 * c * float((margin - t * along).clamp(min=0) @ along)

    if slope(1.0) <= 1e-6 * abs(slope(0.0)):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return (low + high) / 2


def decisions(completed: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Decision values (n,) of completed and real features (n, d) by the SVM fitted on all of them; real is positive."""
    w, bias = fit(torch.cat([completed, real]), _labels(completed, real))
    return completed.double() @ w + bias, real.double() @ w + bias


def held_out_decisions(completed: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Decision values by SVMs that saw neither the photograph nor its completion: five folds of photographs."""
    order = torch.from_numpy(np.random.Generator(np.random.PCG64(0)).permutation(len(completed))).to(completed.device)
    fake, true = torch.zeros(2, len(completed), dtype=torch.float64, device=completed.device)
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        rest = torch.cat([order[other::FOLDS] for other in range(FOLDS) if other != fold])
        w, bias = fit(torch.cat([completed[rest], real[rest]]), _labels(rest, rest))
        fake[test], true[test] = completed[test].double() @ w + bias, real[test].double() @ w + bias
    return fake, true


def _labels(completed: Tensor, real: Tensor) -> Tensor:
    return torch.arange(len(completed) + len(real), device=real.device) >= len(completed)


def _decide(pair: Pair) -> tuple[Tensor, Tensor]:
    if "decisions" not in pair.shared:
        pair.shared["decisions"] = decisions(pair.completed, pair.reference)
    return pair.shared["decisions"]


def _error_rate(fake: Tensor, real: Tensor) -> Score:
    wrong = ((fake > 0).double() + (real <= 0).double()) / 2
    return Score(float(wrong.mean()), wrong)


def unpaired(pair: Pair) -> Score:
    """U-IDS: the SVM's training error; a decision value of 0 counts as completed."""
    return _error_rate(*_decide(pair))


def paired(pair: Pair) -> Score:
    """P-IDS: how often a completion looks more real than its original."""
    fake, real = _decide(pair)
    above = (fake > real).double()
    return Score(float(above.mean()), above)


def cross_validated(pair: Pair) -> Score:
    """The SVM's error on photographs that it has not seen."""
    return _error_rate(*held_out_decisions(pair.completed, pair.reference))
