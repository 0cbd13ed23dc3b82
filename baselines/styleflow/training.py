"""StyleFlow's training: the likelihood of codes, given what a regressor sees in their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from bench.data.attributes import chosen
from bench.method import Batch, Noise, Stage, Update

if TYPE_CHECKING:
    from baselines.styleflow import StyleFlow


class FlowStage(Stage):
    """Negative log-likelihood of codes with their attributes."""

    method: StyleFlow
    name, iterations = "flow", 6_000  # three times through 10,000 codes

    def __init__(self, method: StyleFlow):
        super().__init__(method)
        self.config = method.config
        self.batch_size = self.config.batch_size
        self.guides = ("attributes",) if self.config.photos else ()

    def optimisers(self) -> dict[str, Optimizer]:
        return {"flow": Adam(self.method.flow.parameters(), self.config.learning_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        codes, attributes = self.examples(batch, noise)
        likelihood = self.method.flow.likelihood(codes, attributes, noise.normal(*codes.shape[1:]))
        loss = -likelihood.mean()
        update("flow", loss)
        return {"likelihood": loss}

    @torch.no_grad()
    def examples(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """Codes, and their attributes: of inverted pictures the true ones, of drawn ones what the regressor says."""
        method = self.method
        codes = method.training_codes(batch, noise).clone()
        attributes = method.regressor(method.decode(codes, noise.maps(method.decoder.sides)))
        if count := method.inverted(len(codes)):
            known = chosen(batch.need("attributes"), method.regressor.names, method.card.slug)
            attributes[:count] = known[:count].to(attributes)
        return codes, attributes
