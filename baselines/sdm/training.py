"""SDM's training: from label maps, and then from none now and then, for the guidance without a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.sdm.networks import condition
from bench.method import Batch, Noise, Update
from bench.nn.celebamask import planes
from bench.nn.denoising import DenoiserStage, learned

if TYPE_CHECKING:
    from baselines.sdm import SDM


class SDMStage(DenoiserStage):
    """The noise of pictures and its variances, by their label maps; `untold`: share of those without theirs."""

    method: SDM
    guides = ("semantics",)

    def __init__(self, method: SDM, name: str, share: float, untold: float = 0.0):
        super().__init__(method, share)
        self.config, self.name, self.untold = method.config, name, untold

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        labels = planes(batch.need("semantics")).to(batch.image)
        picture, labels = cropped(batch.image, labels, self.config.crop, noise)
        told = condition(labels) * (noise.uniform(1, 1, 1) >= self.untold)
        seen = learned(self.config, lambda x, k: self.method.predict(x, k, told), picture, noise)
        update("network", seen.loss)
        return seen.losses


def cropped(picture: Tensor, labels: Tensor, least: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """A part of each picture (N, 3, H, W) and of its planes, from `least` of its sides on, at the size of the whole."""
    if least == 1:
        return picture, labels
    side = least + (1 - least) * noise.uniform(1)
    place = (1 - side) * (2 * noise.uniform(2) - 1)
    transform = torch.cat([side[:, :, None] * torch.eye(2, device=side.device), place[:, :, None]], dim=2)
    grid = F.affine_grid(transform.to(picture), list(picture.shape), align_corners=False)
    both = ((picture, "bilinear"), (labels, "nearest"))
    seen = [F.grid_sample(x, grid, mode, padding_mode="border", align_corners=False) for x, mode in both]
    return seen[0], seen[1]
