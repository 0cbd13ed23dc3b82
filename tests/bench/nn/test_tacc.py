"""TACC: the attentions and the modulation of style codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.nn.tacc import TACC


def block(dim: int = 6, condition: int = 5) -> TACC:
    torch.manual_seed(0)
    return TACC(dim, condition).double()


def given(rows: int = 4, dim: int = 6, condition: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, e = (torch.randn(2, rows, n, generator=generator, dtype=torch.float64) for n in (dim, condition))
    return x, e


def normal(rows: Tensor) -> Tensor:
    """Each row with mean 0 and deviation 1."""
    return (rows - rows.mean(1, keepdim=True)) / (rows.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()


@torch.no_grad()
def test_a_block_is_its_formula() -> None:
    tacc, (x, e) = block(), given()
    out = tacc(x, e)
    for ours, rows, condition in zip(out, x, e, strict=True):
        rows = rows / (rows.square().mean(0) + 1e-8).sqrt()
        q, k, v = condition @ tacc.q_matrix.weight.T, rows @ tacc.k_matrix.weight.T, rows @ tacc.v_matrix.weight.T
        scores = (k @ q.T / math.sqrt(4)).exp()
        attended = scores / scores.sum(1, keepdim=True) @ v
        inner = tacc.attention_layer
        q, k, v = rows @ inner.q_matrix.weight.T, condition @ inner.k_matrix.weight.T, rows @ inner.v_matrix.weight.T
        scores = (k.T @ q / math.sqrt(6)).exp()
        both = normal(attended + normal(v @ (scores / scores.sum(0))))
        gamma, beta = tacc.gamma_(condition), tacc.beta_(condition)
        torch.testing.assert_close(ours, both * (1 + gamma) + beta)
        assert ((gamma > 0) & (gamma < 1)).all()


@torch.no_grad()
def test_the_shift_is_a_leaky_network_of_the_condition() -> None:
    tacc, (_, e) = block(), given()
    first, norm, _, last, _ = tacc.beta_
    hidden = F.leaky_relu(norm(first(e)), 0.2) * 2**0.5
    torch.testing.assert_close(tacc.beta_(e), F.leaky_relu(last(hidden), 0.2) * 2**0.5)


@torch.no_grad()
def test_the_scale_of_a_feature_does_not_matter() -> None:
    """Every feature is normalised over the rows."""
    tacc, (x, e) = block(), given()
    scale = torch.tensor([0.1, 1, 3, 10, 100, 1000], dtype=torch.float64)
    torch.testing.assert_close(tacc(x * scale, e), tacc(x, e), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_order_of_the_rows_does_not_matter() -> None:
    tacc, (x, e), order = block(), given(), [2, 0, 3, 1]
    torch.testing.assert_close(tacc(x[:, order], e[:, order]), tacc(x, e)[:, order])
