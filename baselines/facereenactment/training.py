"""FaceReenactment's training: the drawn face takes another drawn face's pose and expression, and stays its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.arcface import IdentityLoss
from bench.method import Batch, Noise, Source, Stage, Update
from bench.nn.perceptual import PerceptualDistance, frozen, lpips_network
from bench.nn.regressor import RegressorStage

if TYPE_CHECKING:
    from baselines.facereenactment import FaceReenactment


class ParameterStage(RegressorStage):
    """Parameters are learnt from pictures; their ranges are noted."""

    method: FaceReenactment

    def __init__(self, method: FaceReenactment):
        super().__init__(method, method.regressor, method.config.regressor_rate)

    def values(self, batch: Batch) -> Tensor:
        values = super().values(batch)
        self.method.note(values)
        return values


class DirectionStage(Stage):
    """L = `shape` L_sh + `identity` L_id + `lpips` L_per, on pairs of codes."""

    method: FaceReenactment
    name, iterations, batch_size = "directions", 100_000, 12

    def __init__(self, method: FaceReenactment, features: Source):
        super().__init__(method)
        self.config = method.config
        self.identity = IdentityLoss(features)
        self.lpips = PerceptualDistance("embedded") if features == "embedded" else frozen(lpips_network("alex"))

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        parameters = self.method.directions.parameters()
        return {"directions": Adam(parameters, c.learning_rate, weight_decay=c.weight_decay)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        maps = noise.maps(method.decoder.sides)
        with torch.no_grad():
            source, target = method.training_codes(batch, noise), method.drawn(noise)
            image = method.decode(source, maps)
            before = method.scaled(method.regressor(image))
            change = method.scaled(method.regressor(method.decode(target, maps))) - before
            change = disentangled(change, noise)
        output = method.decode(method.moved(source, change), maps)
        losses = {
            "shape": F.l1_loss(method.scaled(method.regressor(output)), before + change),
            "identity": self.identity(output, image).mean(),
            "lpips": self.lpips(output, image).mean(),
        }
        update("directions", c.shape * losses["shape"] + c.identity * losses["identity"] + c.lpips * losses["lpips"])
        return losses


def disentangled(change: Tensor, noise: Noise) -> Tensor:
    """Every second image of a batch changes in one of its parameters (N, K) alone, drawn at random."""
    count, kinds = change.shape
    only = F.one_hot((noise.uniform() * kinds).long(), kinds).to(change)
    odd = torch.arange(count, device=change.device)[:, None] % 2 == 1
    return torch.where(odd, change * only, change)
