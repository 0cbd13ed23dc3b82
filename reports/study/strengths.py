"""Bradley-Terry strengths: one number a method, from who was preferred to whom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TIES = 1.0  # votes added to each two methods, half for each: nobody's strength is infinite, and all are connected
STEPS, CLOSE = 50, 1e-9
FURTHEST = 2.0  # most that one step changes a strength by


def fit(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-strengths t, of mean 0, that maximise the likelihood of P(a before b) = 1 / (1 + exp(t_b - t_a)).

    `wins` (..., k, k): votes for the first method against the second. Bradley and Terry, Biometrika 39 (1952), by
    Newton's method. A ranking counts as all its pairs, the best of k as its pairs with the others: under Luce's choice
    axiom, of which the model is the case of two, both estimate the same strengths (Azari Soufiani et al., NIPS 2013,
    full and top-1 breaking). Returns (..., k).
    """
    k = wins.shape[-1]
    won = wins + TIES / 2 * (1 - np.eye(k))
    compared = won + np.swapaxes(won, -1, -2)
    found = np.zeros(wins.shape[:-1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(found[..., None, :] - found[..., :, None]))
        slope = (won - compared * chance).sum(axis=-1)
        if np.abs(slope).max(initial=0) < CLOSE * max(1.0, compared.max(initial=0)):
            break
        step = np.linalg.solve(_bend(compared * chance * (1 - chance)), slope[..., None])[..., 0]
        found = found + step * np.minimum(1, FURTHEST / np.maximum(np.abs(step).max(axis=-1, keepdims=True), 1e-12))
    return found - found.mean(axis=-1, keepdims=True)


def least_error(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard errors of `fit` as if each vote was alone, from how sharp the likelihood is: (..., k).

    Where a method always wins, every draw of a bootstrap says the same, and its own error is 0.
    """
    found, k = fit(wins), wins.shape[-1]
    chance = 1 / (1 + np.exp(found[..., None, :] - found[..., :, None]))
    compared = wins + np.swapaxes(wins, -1, -2) + TIES * (1 - np.eye(k))
    inverse = np.linalg.inv(_bend(compared * chance * (1 - chance)))
    return np.sqrt(np.diagonal(inverse, axis1=-2, axis2=-1) - 1 / k)


def _bend(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the log-likelihood, down; 1 / k: the mean stays where it is."""
    k = weight.shape[-1]
    return np.eye(k) * weight.sum(axis=-1)[..., None] - weight + 1 / k
