"""DiffFace's training: noise is learned with the identity of the very picture, which is not released."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.method import Batch, Noise, Stage, Update
from bench.nn.denoising import LINEAR, learned, optimiser

if TYPE_CHECKING:
    from baselines.diffface import DiffFace


class DiffFaceStage(Stage):
    """Noise and variances, and the identity of the picture that the network sees where little noise is left."""

    method: DiffFace

    def __init__(self, method: DiffFace):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations, self.ema = c.batch_size, c.iterations, {"network": c.ema}

    def optimisers(self) -> dict[str, Optimizer]:
        return {"network": optimiser(self.config, self.method.network)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, picture = self.config, self.method, batch.image
        judges = method.judges(picture)
        with torch.no_grad():
            identities = judges.identity(picture)
        seen = learned(c, lambda x, k: method.predict(x, k, identities), picture, noise)
        clean = LINEAR.reverse(seen.x, seen.k, seen.output).clean
        distance = 1 - (judges.identity(clean) * identities).sum(1)
        identity = (distance * (seen.k < c.known)).mean()
        update("network", seen.loss + c.identity * identity)
        return seen.losses | {"identity": identity}
