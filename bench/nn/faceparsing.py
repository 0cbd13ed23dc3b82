"""BiSeNet (Yu et al., ECCV 2018) as zllrunning/face-parsing.PyTorch trains it for faces: the label of each pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.nn.perceptual import IMAGENET, Frozen, frozen

CLASSES, SIDE = 19, 512  # side: of the pictures that its weights expect
MEAN, STD = IMAGENET


class Unit(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class AttentionRefinement(nn.Module):
    """A convolution whose channels are weighed by their means. (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = Unit(inputs, outputs)
        self.conv_atten, self.bn_atten = nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.bn_atten(self.conv_atten(x.mean((2, 3), keepdim=True))).sigmoid()


class ContextPath(nn.Module):
    """ResNet-18 and the refinement of its coarse maps. (N, 3, H, W) -> maps at 1/8 (128), 1/8 (128) and 1/16 (128)."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18

        self.resnet = resnet18()
        self.resnet.fc = nn.Identity()
        self.arm16, self.arm32 = AttentionRefinement(256, 128), AttentionRefinement(512, 128)
        self.conv_head32, self.conv_head16 = Unit(128, 128), Unit(128, 128)
        self.conv_avg = Unit(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r = self.resnet
        x = r.layer1(r.maxpool(r.relu(r.bn1(r.conv1(x)))))
        feat8 = r.layer2(x)
        feat16 = r.layer3(feat8)
        feat32 = r.layer4(feat16)
        coarse = self.arm32(feat32) + self.conv_avg(feat32.mean((2, 3), keepdim=True))
        up32 = self.conv_head32(F.interpolate(coarse, feat16.shape[2:]))
        up16 = self.conv_head16(F.interpolate(self.arm16(feat16) + up32, feat8.shape[2:]))
        return feat8, up16, up32


class FeatureFusion(nn.Module):
    """Both maps at 1/8, fused; channels that the means favour count more."""

    def __init__(self, channels: int):
        super().__init__()
        self.convblk = Unit(channels, channels, 1)
        self.conv1 = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1, bias=False)

    def forward(self, *maps: Tensor) -> Tensor:
        x = self.convblk(torch.cat(maps, dim=1))
        return x + x * self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))).sigmoid()


class Output(nn.Module):
    """Features to logits (N, 19, H, W)."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.conv = Unit(inputs, width)
        self.conv_out = nn.Conv2d(width, CLASSES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """Pictures (N, 3, H, W), normalised as ImageNet's -> three maps of logits (N, 19, H, W).

    The first is the result; the others, of coarser features, only serve its training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion(256)
        self.conv_out, self.conv_out16, self.conv_out32 = Output(256, 256), Output(128, 64), Output(128, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        feat8, up16, up32 = self.cp(x)
        maps = self.conv_out(self.ffm(feat8, up16)), self.conv_out16(up16), self.conv_out32(up32)
        first, second, third = (F.interpolate(m, x.shape[2:], mode="bilinear", align_corners=True) for m in maps)
        return first, second, third


class FaceParser(Frozen):
    """Labels (N, H, W) uint8, in this project's order, of pictures (N, 3, H, W) in [-1, 1]; takes the official weights.

    Pictures are seen at 512 px. Its l_ and r_ cannot be relied on: its training mirrored pictures without the labels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.network = BiSeNet()
        if pretrained:
            self.network.load_state_dict(weights.load("faceparsing"))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        frozen(self)

    def normalised(self, images: Tensor) -> Tensor:
        """What the network is fed."""
        return ((images + 1) / 2 - self.mean) / self.std

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        x = self.normalised(images)
        logits = self.network(F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False))[0]
        labels = logits.argmax(dim=1, keepdim=True).byte()
        return F.interpolate(labels, images.shape[2:])[:, 0]
