"""Unite&Conquer's training: each network by itself, on pictures with what it is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from baselines.uniteconquer import shown
from bench.method import Batch, Noise, Update
from bench.nn.denoising import DenoiserStage, learned

if TYPE_CHECKING:
    from baselines.uniteconquer import UniteConquer


class DenoisingStage(DenoiserStage):
    """Learns noise and variances by what `told` gives."""

    method: UniteConquer

    def __init__(self, method: UniteConquer, share: float):
        super().__init__(method, share)
        self.config = method.config

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        told = self.told(batch, noise)
        seen = learned(self.config, lambda x, k: self.method.predict(self.name, x, k, *told), batch.image, noise)
        update(self.name, seen.loss)
        return seen.losses

    def told(self, batch: Batch, noise: Noise) -> tuple[Tensor | None, ...]:
        """What the network is given beside x and times."""
        raise NotImplementedError


class FaceStage(DenoisingStage):
    """The network of maps and texts, of which some are left out; of the text in half of the batches, for all."""

    name = trained = "face"
    guides = ("semantics",)

    def told(self, batch: Batch, noise: Noise) -> tuple[Tensor | None, ...]:
        maps = shown.face(batch.need("semantics")).unflatten(1, (2, 3))
        maps = (maps * kept(noise, self.config.dropped)[:, :, None, None, None]).flatten(1, 2)
        texts = self.vectors(batch.image, noise)
        return maps.to(batch.image), texts if noise.once() >= self.config.silent else None

    def vectors(self, pictures: Tensor, noise: Noise) -> Tensor | None:
        """Vectors (N, D) of pictures in the place of texts, which are seldom there; of some, zeros."""
        read = self.method.reader(pictures.device)
        if read is None:
            return None
        return read.as_texts(pictures, noise) * (noise.uniform(1) >= self.config.dropped)


class SketchStage(DenoisingStage):
    """The network of sketches."""

    name = trained = "sketch"
    guides = ("sketch",)

    def told(self, batch: Batch, noise: Noise) -> tuple[Tensor | None, ...]:
        return (shown.drawing(batch.need("sketch")).to(batch.image),)


def kept(noise: Noise, dropped: float) -> Tensor:
    """Which of the maps of skin and hair are shown (N, 2): one alone in half of the cases; then each may be dropped."""
    alone, first = noise.uniform(1) < 0.5, noise.uniform(1) < 0.5
    both = torch.cat([~alone | first, ~alone | ~first], dim=1)
    return both & (noise.uniform(2) >= dropped)
