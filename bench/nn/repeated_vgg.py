"""The perceptual and style losses of RGTSI and TransRef: VGG-16 whose last group runs a second time."""

from __future__ import annotations

from torch import Tensor, nn

from bench import weights
from bench.method import Source
from bench.nn.perceptual import EmbeddedFeatures, FeatureLoss, Frozen, frozen

# torchvision's layer index of each activation that is read
CONTENT = {"relu1_1": 1, "relu2_1": 6, "relu3_1": 11, "relu4_1": 18, "relu5_1": 25}
STYLE = {"relu2_2": 8, "relu3_3": 15, "relu4_3": 22}
LAST = slice(23, 26)  # pooling, conv5_1, ReLU: applied to their own output, they give what the code calls relu5_2


class RepeatedVGG16(nn.Module):
    """Maps of VGG-16 (torchvision, ImageNet) by depth, the repeated group's last. Images (N, 3, H, W) in [-1, 1].

    They are fed as they are, without normalisation.
    """

    indices = sorted([*CONTENT.values(), *STYLE.values()])

    def __init__(self) -> None:
        super().__init__()
        from torchvision import models

        network = models.vgg16()
        network.load_state_dict(weights.load("vgg16"))
        self.network = network.features[: LAST.stop]

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = images, []
        for index, layer in enumerate(self.network):
            x = layer(x)
            if index in self.indices:
                maps.append(x)
        return [*maps, self.network[LAST](x)]


class RepeatedFeatureLoss(FeatureLoss):
    """(perceptual, style) of images (N, 3, H, W) in [-1, 1], as `FeatureLoss` defines them."""

    def __init__(self, source: Source):
        Frozen.__init__(self)
        if source == "embedded":
            self.network, self.content, self.style = EmbeddedFeatures(), None, None
        else:
            self.network = network = RepeatedVGG16()
            self.content = [network.indices.index(index) for index in CONTENT.values()]
            self.style = [*(network.indices.index(index) for index in STYLE.values()), len(network.indices)]
        frozen(self)
