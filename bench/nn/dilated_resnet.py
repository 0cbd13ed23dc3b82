"""The dilated ResNet-50 for segmentation (CSAILVision, ADE20K) behind LaMa's high-receptive-field perceptual loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.method import Source
from bench.nn.perceptual import IMAGENET, EmbeddedFeatures, Frozen, frozen

MEAN, STD = IMAGENET


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with batch norm and a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int, shortcut: bool):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if shortcut
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + self.downsample(x))


def _layer(inputs: int, width: int, blocks: int, stride: int, dilation: int) -> nn.Sequential:
    # the first block still has half the dilation, as if it carried the stride that the dilation replaces
    first = Bottleneck(inputs, width, stride, max(dilation // 2, 1), shortcut=True)
    rest = (Bottleneck(4 * width, width, 1, dilation, shortcut=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class DilatedResNet50(nn.Module):
    """ResNet-50 with a deep stem; layers 3 and 4 are dilated 2 and 4 times in place of their stride.

    Images (N, 3, H, W) in [0, 1] -> the maps of its four layers, at 1/4, 1/8, 1/8 and 1/8.
    """

    def __init__(self) -> None:
        super().__init__()
        for i, (inputs, outputs, stride) in enumerate(((3, 64, 2), (64, 64, 1), (64, 128, 1)), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(outputs))
        self.layer1 = _layer(128, 64, 3, 1, 1)
        self.layer2 = _layer(256, 128, 4, 2, 1)
        self.layer3 = _layer(512, 256, 6, 1, 2)
        self.layer4 = _layer(1024, 512, 3, 1, 4)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = (images - images.new_tensor(MEAN).view(1, 3, 1, 1)) / images.new_tensor(STD).view(1, 3, 1, 1)
        for i in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)))
        x = F.max_pool2d(x, 3, 2, 1)
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Take encoder_epoch_20.pth of ade20k-resnet50dilated-ppm_deepsup; a classifier head in it is left out."""
        self.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})


class SegmentationLoss(Frozen):
    """High-receptive-field perceptual loss (LaMa, section 2.2): the mean squared difference of each layer."""

    def __init__(self, source: Source):
        super().__init__()
        self.network: DilatedResNet50 | EmbeddedFeatures
        if source == "embedded":
            self.network = EmbeddedFeatures()
        else:
            self.network = DilatedResNet50()
            self.network.load_encoder(weights.load("ade20k-resnet50"))
        frozen(self)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images in [0, 1]."""
        return self.network(2 * images - 1 if isinstance(self.network, EmbeddedFeatures) else images)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Differences (layers,) of images (N, 3, H, W) in [0, 1]; papers sum or average them."""
        with torch.no_grad():
            theirs = self.maps(target)
        return torch.stack([F.mse_loss(a, b) for a, b in zip(self.maps(output), theirs, strict=True)])
