"""Unite&Conquer's training: each network by itself, on pictures with what it is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from baselines.uniteconquer import shown
from bench.method import Batch, Noise, Update
from bench.nn import across
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
    """The network of maps and texts: each picture is shown its skin, its hair, its text or nothing."""

    name = trained = "face"
    guides = ("semantics",)

    def told(self, batch: Batch, noise: Noise) -> tuple[Tensor | None, ...]:
        maps = shown.face(batch.need("semantics")).unflatten(1, (2, 3))
        kept = alone(noise)
        maps = (maps * kept[:, :2, None, None, None]).flatten(1, 2)
        return maps.to(batch.image), self.texts(batch.image, kept[:, 2:], noise)

    def texts(self, pictures: Tensor, kept: Tensor, noise: Noise) -> Tensor | None:
        """Vectors (N, D) of pictures in the place of texts, which are seldom there; zeros where `kept` (N, 1) is false.

        None where all are zeros, as released, or where this batch is silent.
        """
        read = self.method.reader(pictures.device)
        if read is None or noise.once() < self.config.silent or not across.mean(kept.float().sum()):
            return None
        return read.as_texts(pictures, noise) * kept


class SketchStage(DenoisingStage):
    """The network of sketches."""

    name = trained = "sketch"
    guides = ("sketch",)

    def told(self, batch: Batch, noise: Noise) -> tuple[Tensor | None, ...]:
        return (shown.drawing(batch.need("sketch")).to(batch.image),)


def alone(noise: Noise) -> Tensor:
    """Which of skin, hair and text a picture is shown (N, 3): skin or hair in a quarter each, the text in 3/8."""
    drawn = noise.uniform(1)
    starts, ends = drawn.new_tensor([[0, 1 / 4, 1 / 2], [1 / 4, 1 / 2, 7 / 8]])
    return (starts <= drawn) & (drawn < ends)
