"""The picture being painted, back to front, together with its labels."""

from __future__ import annotations

import torch
from torch import Tensor

# CelebAMask-HQ; of brows, eyes and ears this is the left one of the picture, the right one follows
SKIN, BROW, EYE, GLASSES, EAR, EARRING, NOSE, MOUTH, UPPER, LOWER = 1, 2, 4, 6, 7, 9, 10, 11, 12, 13
NECK, NECKLACE, CLOTH, HAIR, HAT = 14, 15, 16, 17, 18


class Canvas:
    """Linear-light colour (N, 3, H, W) and, of every pixel, the label of the layer that shows most."""

    def __init__(self, colour: Tensor) -> None:
        self.colour = colour
        self.label = torch.zeros_like(colour[:, :1], dtype=torch.uint8)
        self.share = torch.ones_like(colour[:, :1])

    def paint(self, colour: Tensor, alpha: Tensor, label: int | Tensor | None = None) -> None:
        """Lay a colour over the picture. With a label the layer competes for the pixel: the greatest share wins."""
        self.colour.add_((colour - self.colour).mul_(alpha))
        if label is None:
            return
        below = self.share * (1 - alpha)
        wins = alpha > below
        self.share = torch.where(wins, alpha, below)
        self.label = torch.where(wins, label, self.label)

    def shade(self, factor: Tensor) -> None:
        """Darken or tint what is there."""
        self.colour.mul_(factor)
