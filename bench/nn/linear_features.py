"""Perceptual and style losses on VGG-19's maps before their ReLU, with a weight for each layer (BasicSR's form)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.nn.perceptual import EmbeddedFeatures, Frozen, VGGFeatures, frozen, gram, mean_l1
from bench.sources import Source


class LinearFeatureLoss(Frozen):
    """(perceptual, style) of images (N, 3, H, W) in [-1, 1]: weighted sums over the layers, mean absolute differences.

    `layers`: the ReLU behind a map -> the map's weight. Style compares Gram matrices F Fᵀ / (C H W). On `embedded`: of
    all its maps, each with the weight 1.
    """

    def __init__(self, layers: Mapping[str, float], source: Source):
        super().__init__()
        if source == "embedded":
            self.network: nn.Module = EmbeddedFeatures()
            self.weights: tuple[float, ...] | None = None
        else:
            self.network, self.weights = before_relu(*layers), tuple(layers.values())
        frozen(self)

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        ours = self.network(output)
        with torch.no_grad():
            theirs = self.network(target)
        perceptual = style = output.new_zeros(())
        for weight, a, b in zip(self.weights or (1.0,) * len(ours), ours, theirs, strict=True):
            perceptual = perceptual + weight * mean_l1(a, b)
            style = style + weight * mean_l1(gram(a), gram(b))
        return perceptual, style


def before_relu(*layers: str) -> VGGFeatures:
    """VGG-19 up to the convolutions in front of these ReLUs."""
    features = VGGFeatures(layers)
    features.indices = [index - 1 for index in features.indices]
    features.network = features.network[: max(features.indices) + 1]
    for layer in features.network:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # which would change the map that is compared
    return features
