"""Unite&Conquer's networks: ADM's U-Net told of maps and of a text, and how the noises of several are united.

Names inside are those of the released files.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.nn.adm import Residual, UNet, modulate

Weights = tuple[Sequence[float], float]
"""Of the face network's modalities, and of the sketch network."""


class TextBlock(Residual):
    """ADM's residual block; its second norm acts once more where there is a text, which then scales and shifts."""

    def __init__(self, text: int, inputs: int, outputs: int, time: int, groups: int, resample: nn.Module | None = None):
        super().__init__(inputs, outputs, time, groups, resample)
        self.cond_emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(text, 2 * outputs))

    def modulated(self, h: Tensor, time: Tensor, *more: Any) -> Tensor:
        (text,) = more
        h = super().modulated(h, time)
        return h if text is None else modulate(self.out_layers[0](h), self.cond_emb_layers(text))


class FaceNetwork(UNet):
    """Sees noisy pictures beside a map of the skin and one of the hair, and reads texts of `text` values."""

    def __init__(self, text: int, **layers: Any):
        super().__init__(**layers, inputs=6, block=partial(TextBlock, text))
        self.input_blocks_convert = nn.Conv2d(6, 3, 3, 1, 1)

    def forward(self, x: Tensor, times: Tensor, *more: Any) -> Tensor:
        """(N, 6, H, W) of x (N, 3, H, W), times (N,), maps (N, 6, H, W) and texts (N, text).

        Texts are None where no row has one. Where one has, rows of zeros are read, too, as released.
        """
        maps, texts = more
        return super().forward(torch.cat([x, self.input_blocks_convert(maps)], dim=1), times, texts)


class SketchNetwork(UNet):
    """Sees noisy pictures beside a sketch."""

    def __init__(self, **layers: Any):
        super().__init__(**layers, inputs=6)

    def forward(self, x: Tensor, times: Tensor, *more: Any) -> Tensor:
        """(N, 6, H, W) of x (N, 3, H, W), times (N,) and sketches (N, 3, H, W)."""
        (sketch,) = more
        return super().forward(torch.cat([x, sketch], dim=1), times)


def weights(count: int, sketched: bool) -> Weights:
    """The released weights where `count` of skin, hair and text are there, the paper's reliabilities."""
    if count == 3:
        return (1.0, 1.0, 1.25), 0.6 if sketched else 0.0
    if not sketched:
        return (1.0,) * count, 0.0
    return (1.2,) * count, 0.6 if count else 1.0


def united(rows: Tensor, sketch: Tensor | None, by: Weights) -> Tensor:
    """One noise of several around that of nothing: sum of w_i e_i - (sum of w_i - 1) e_0; variances of the first row.

    rows: (modalities + 1, N, 6, H, W) of the face network, the last of nothing; sketch: (N, 6, H, W).
    """
    each, drawn = by
    noises = rows[:, :, :3]
    found = (1 - sum(each) - drawn) * noises[-1]
    for weight, noise in zip(each, noises, strict=False):
        found = found + weight * noise
    if sketch is not None:
        found = found + drawn * sketch[:, :3]
    return torch.cat([found, rows[0, :, 3:]], dim=1)
