"""ID-MRF loss (Wang et al., NeurIPS 2018): every feature of the original shall have a completed feature close to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.method import Source
from bench.nn import across
from bench.nn.perceptual import EmbeddedFeatures, Frozen, VGGFeatures, frozen

EPSILON = 1e-5
BANDWIDTH = 0.5


def closeness(generated: Tensor, target: Tensor) -> Tensor:
    """How close the closest generated feature is to each target feature, relative to its other targets.

    Two maps (N, C, H, W) -> (N, H W) in (0, 1], as in the authors' code: their mean is taken over the channels.
    """
    mean = target.mean(1, keepdim=True)
    ours, theirs = (F.normalize(x - mean, dim=1).flatten(2) for x in (generated, target))
    distance = (1 - theirs.transpose(1, 2) @ ours) / 2  # (N, targets, generated)
    relative = distance / (distance.amin(1, keepdim=True) + EPSILON)
    return ((1 - relative) / BANDWIDTH).softmax(dim=1).amax(2)


def id_mrf(generated: Tensor, target: Tensor) -> Tensor:
    """One term of the loss: -log of the mean closeness, summed over the batch."""
    return across.total(-closeness(generated, target).mean(1).log())


class IDMRFLoss(Frozen):
    """Style on the third and fourth scale of a feature network plus content on the fourth, which so counts twice.

    VGG-19's relu3_1 and relu4_1 as released; on `embedded` the maps of the same sizes.
    """

    def __init__(self, source: Source):
        super().__init__()
        self.embedded = source == "embedded"
        self.network: nn.Module = (
            EmbeddedFeatures() if self.embedded else VGGFeatures(("relu3_1", "relu4_1"), scaling="centred")
        )
        frozen(self)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of images (N, 3, H, W) in [-1, 1], summed over the batch."""
        ours = self.network(output)
        with torch.no_grad():
            theirs = self.network(target)
        third, fourth = list(zip(ours, theirs, strict=True))[2:4] if self.embedded else zip(ours, theirs, strict=True)
        return id_mrf(*third) + 2 * id_mrf(*fourth)
