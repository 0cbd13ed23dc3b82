"""DiffFace's training: noise is learned with the identity of the very picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.method import Batch, Noise, Update
from bench.nn.denoising import LINEAR, DenoiserStage, learned

if TYPE_CHECKING:
    from baselines.diffface import DiffFace


class DiffFaceStage(DenoiserStage):
    """Noise and variances, and the identity of the picture that the network sees, at all steps."""

    method: DiffFace

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, picture = self.method.config, self.method, batch.image
        judges = method.judges(picture)
        with torch.no_grad():
            identities = judges.identity(picture)
        seen = learned(c, lambda x, k: method.predict(x, k, identities), picture, noise)
        clean = LINEAR.reverse(seen.x, seen.k, seen.output).clean
        identity = (1 - (judges.identity(clean) * identities).sum(1)).mean()
        update("network", seen.loss + c.identity * identity)
        return seen.losses | {"identity": identity}
