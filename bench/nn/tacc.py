"""TACC: transformer block that changes style codes under a condition by two attentions and a modulation.

Source: VSPBFR's code diffuser (Lu et al., Pattern Recognition 2025); parameter names are those of its checkpoint.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.stylegan2_blocks import GAIN


class LeakyReLU(nn.Module):
    """Leaky ReLU (0.2), times sqrt(2)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2) * GAIN


class FeatureAttention(nn.Module):
    """Attention between the features of x and of the condition (a^p): one score for each pair, over all rows."""

    def __init__(self, dim: int, condition: int):
        super().__init__()
        self.q_matrix = nn.Linear(dim, dim, bias=False)
        self.k_matrix = nn.Linear(condition, dim, bias=False)
        self.v_matrix = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        scores = self.k_matrix(e).transpose(1, 2) @ self.q_matrix(x) / math.sqrt(x.shape[2])  # (N, dim, dim)
        return F.layer_norm(self.v_matrix(x) @ scores.softmax(1), x.shape[2:])


class TACC(nn.Module):
    """Normalisation over the rows, attention over rows and over features, then a scale and a shift (Eq. 3.4)."""

    def __init__(self, dim: int = 512, condition: int = 513):
        super().__init__()
        self.q_matrix = nn.Linear(condition, dim, bias=False)
        self.k_matrix = nn.Linear(dim, dim, bias=False)
        self.v_matrix = nn.Linear(dim, dim, bias=False)
        self.attention_layer = FeatureAttention(dim, condition)
        self.gamma_, self.beta_ = (
            nn.Sequential(nn.Linear(condition, dim), nn.LayerNorm(dim), LeakyReLU(), nn.Linear(dim, dim), last)
            for last in (nn.Sigmoid(), LeakyReLU())
        )

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Codes (N, L, dim) from codes of that shape and their condition `e` (N, L, condition)."""
        x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
        scores = self.k_matrix(x) @ self.q_matrix(e).transpose(1, 2) / math.sqrt(x.shape[1])  # (N, L, L)
        rows = scores.softmax(2) @ self.v_matrix(x)
        both = F.layer_norm(rows + self.attention_layer(x, e), x.shape[2:])
        return both * (1 + self.gamma_(e)) + self.beta_(e)
