"""Pictures that people look at: a few completions, what a method started from, and how it went on."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from bench.batch import Batch
from bench.completion import Completion
from bench.data import guides
from bench.metrics.images import to_uint8
from bench.store import atomic_write, image_file


def save_steps(completion: Completion, first: Batch, folder: Path) -> None:
    """Keep how a method that works in steps completes one image, in `folder`/IMAGE.

    `T.png` is the completion after step T, `T-residual.png` what the step changed: the mean over the colours of
    |r_T - r_(T-1)|, where r_0 has the middle of the range in its holes; 16-bit grey, 65535 = 2, the whole range.
    """
    assert first.ids is not None
    stem = folder / image_file(first.ids[0]).removesuffix(".png")
    before = first.masked
    for t, step in enumerate(completion.steps(first), 1):
        after = first.composite(step)
        save_png(stem / f"{t}.png", to_uint8(after)[0])
        residual = (after - before).abs().mean(dim=1) / 2
        save_png(stem / f"{t}-residual.png", (residual.clamp(0, 1) * 65535).round().to(torch.uint16))
        before = after


def shown(batch: Batch) -> Tensor:
    """What a method starts from, as a picture: uint8 (N, 3, H, W).

    The degraded copy; else the known pixels, with white holes in which the guides are drawn.
    """
    if batch.degraded is not None:
        return to_uint8(batch.degraded)
    inside = guides.drawn(batch.guides, torch.full_like(batch.image, 255, dtype=torch.uint8))
    return torch.where(batch.mask > 0, inside, to_uint8(batch.image))


def save_png(path: Path, image: Tensor) -> None:
    """Write one image: colours (3, H, W) in uint8, or grey (1, H, W) in uint8 or uint16."""
    pixels = image.permute(1, 2, 0).numpy()
    with atomic_write(path) as handle:
        Image.fromarray(pixels if len(image) == 3 else pixels[..., 0]).save(handle, format="PNG")
