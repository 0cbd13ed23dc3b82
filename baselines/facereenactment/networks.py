"""FaceReenactment's only trained network: one linear map from parameters of a face to shifts of codes."""

from __future__ import annotations

from torch import Tensor, nn


class Directions(nn.Module):
    """The matrix A: differences of parameters (N, K) -> shifts (N, rows, dim) of the first codes."""

    def __init__(self, parameters: int = 15, rows: int = 8, dim: int = 512):
        super().__init__()
        self.rows = rows
        self.linear = nn.Linear(parameters, rows * dim)
        nn.init.normal_(self.linear.weight, std=0.03)

    def forward(self, differences: Tensor) -> Tensor:
        return self.linear(differences).unflatten(1, (self.rows, -1))

    def shifted(self, codes: Tensor, differences: Tensor, strength: float = 1.0) -> Tensor:
        """Codes (N, styles, dim), the first rows of which are moved by the shifts times `strength`."""
        moved = codes.clone()
        moved[:, : self.rows] += strength * self(differences)
        return moved
