"""The projected discriminator (Sauer et al., NeurIPS 2021): judges frozen, randomly mixed features of a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from bench import weights
from bench.method import Source
from bench.nn import embedded
from bench.nn.init import normal_init
from bench.nn.perceptual import Frozen, frozen
from bench.sources import of_backbone

Lite = Literal["lite0", "lite1"]

ENLARGED = 224  # pixels of a side: EfficientNet sees no smaller images

# channels, kernel, stride and blocks of the stages; EfficientNet-Lite1 repeats stages 1 to 5 once more
STAGES = ((16, 3, 1, 1), (24, 3, 2, 2), (40, 5, 2, 2), (80, 3, 2, 3), (112, 5, 1, 3), (192, 5, 2, 4), (320, 3, 1, 1))


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does ('same'): the odd pixel goes to the right and bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
        if rows % 2 or columns % 2:
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
            rows = columns = 0
        # the convolution pads by itself what is alike on both sides: a fifth of the time of a pass
        return F.conv2d(x, self.weight, self.bias, stride, (rows // 2, columns // 2), self.dilation, self.groups)


class InvertedResidual(nn.Module):
    """MobileNet v2's block: expand, filter each channel, project; a shortcut where the shape stays.

    Without expansion it is the depthwise-separable block of the first stage. Names follow timm.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden)
        if expansion == 1:
            layers = {"conv_dw": depthwise, "conv_pw": SameConv2d(hidden, outputs, 1)}
        else:
            layers = {
                "conv_pw": SameConv2d(inputs, hidden, 1),
                "conv_dw": depthwise,
                "conv_pwl": SameConv2d(hidden, outputs, 1),
            }
        self.convolutions = tuple(layers)
        for i, (name, layer) in enumerate(layers.items(), start=1):
            self.add_module(name, layer)
            self.add_module(f"bn{i}", nn.BatchNorm2d(layer.out_channels, eps=1e-3))
        self.shortcut = stride == 1 and inputs == outputs and expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i, name in enumerate(self.convolutions, start=1):
            y = self.get_submodule(f"bn{i}")(self.get_submodule(name)(y))
            y = F.relu6(y, inplace=True) if i < len(self.convolutions) else y
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite up to its last stage, as timm converted it from TensorFlow (tf_efficientnet_lite0, lite1).

    Four feature maps at 1/4, 1/8, 1/16 and 1/32 of images (N, 3, H, W) in [-1, 1]; images below 224 px are enlarged.
    """

    channels = (24, 40, 112, 320)
    stride = 4  # of the finest map

    def __init__(self, variant: Lite = "lite0"):
        super().__init__()
        self.variant = variant
        stages: list[nn.Module] = []
        inputs = 32
        for i, (outputs, kernel, stride, count) in enumerate(STAGES):
            count += variant == "lite1" and 0 < i < len(STAGES) - 1
            blocks = []
            for block in range(count):
                blocks.append(InvertedResidual(inputs, outputs, kernel, 1 if block else stride, 6 if i else 1))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        stem = [SameConv2d(3, 32, 3, stride=2), nn.BatchNorm2d(32, eps=1e-3), nn.ReLU6()]
        self.layer0 = nn.Sequential(*stem, *stages[:2])
        self.layer1 = nn.Sequential(stages[2])
        self.layer2 = nn.Sequential(*stages[3:5])
        self.layer3 = nn.Sequential(*stages[5:])

    def load_pretrained(self) -> None:
        """Take the ImageNet weights that timm published; BenchError where the file is absent."""
        self.load_state_dict(from_timm(weights.load(f"efficientnet-{self.variant}")))

    def load_packaged(self) -> None:
        """Take the ImageNet weights that a package ships; BenchError where it is absent."""
        self.load_state_dict(from_timm(weights.tensors(weights.packaged(f"efficientnet-{self.variant}"))))

    def forward(self, images: Tensor) -> list[Tensor]:
        if min(images.shape[2:]) < ENLARGED:
            images = F.interpolate(images, (ENLARGED, ENLARGED), mode="bilinear", align_corners=False)
        maps = [self.layer0(images)]
        for layer in (self.layer1, self.layer2, self.layer3):
            maps.append(layer(maps[-1]))
        return maps


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of a timm checkpoint in `EfficientNetLite`: stages grouped by resolution, no head."""
    places = {
        "conv_stem": "layer0.0", "bn1": "layer0.1", "blocks.0": "layer0.3", "blocks.1": "layer0.4",
        "blocks.2": "layer1.0", "blocks.3": "layer2.0", "blocks.4": "layer2.1", "blocks.5": "layer3.0",
        "blocks.6": "layer3.1",
    }  # fmt: skip
    return {
        place + key.removeprefix(name): value
        for key, value in state.items()
        for name, place in places.items()
        if key.startswith(f"{name}.")
    }


class EmbeddedBackbone(nn.Module):
    """The trunk of the project's own training network, in the place of EfficientNet: 1/2, 1/4, 1/8 and 1/16."""

    channels = embedded.WIDTHS["training"][1:]
    stride = 2

    def __init__(self) -> None:
        super().__init__()
        self.network = embedded.load("training")

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.network.maps(images)[1:]


Backbone = EfficientNetLite | EmbeddedBackbone


def pretrained_backbone(source: Source, variant: Lite = "lite0") -> Backbone:
    """EfficientNet-Lite with its ImageNet weights, or the embedded network in its place."""
    word = of_backbone(source)
    if word == "embedded":
        return EmbeddedBackbone()
    network = EfficientNetLite(variant)
    if word == "imagenet":
        network.load_packaged()
    else:
        network.load_pretrained()
    return network


class Fusion(nn.Module):
    """One step of cross-scale mixing: to the size of the finer map (corners aligned), then a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.out_conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return self.out_conv(F.interpolate(x, tuple(size), mode="bilinear", align_corners=True))


class FeatureNetwork(Frozen):
    """Backbone and random projection (section 3.2); frozen, always in evaluation mode.

    Cross-channel mixing (ccm) widens each map by a random 1x1 convolution; cross-scale mixing (csm) adds them up from
    coarse to fine. Result: maps fine to coarse with `width`, `width`, 2 `width`, 4 `width` channels, twice as large as
    the backbone's.
    """

    def __init__(self, backbone: Backbone, width: int):
        super().__init__()
        self.pretrained = backbone
        self.scratch = nn.ModuleDict()
        for i, channels in enumerate(backbone.channels):
            self.scratch[f"layer{i}_ccm"] = nn.Conv2d(channels, width * 2**i, 1)
        for i in reversed(range(len(backbone.channels))):
            self.scratch[f"layer{i}_csm"] = Fusion(width * 2**i, width * 2 ** max(i - 1, 0))
        for layer in self.scratch.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        frozen(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.mix(self.pretrained(images))

    def mix(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The random projection of the backbone's maps."""
        mixed = [self.scratch[f"layer{i}_ccm"](x) for i, x in enumerate(features)]
        finer = [[2 * n for n in mixed[0].shape[2:]], *(x.shape[2:] for x in mixed[:-1])]
        maps: list[Tensor] = []
        for i in reversed(range(len(mixed))):
            x = mixed[i] + maps[0] if maps else mixed[i]
            maps.insert(0, self.scratch[f"layer{i}_csm"](x, finer[i]))
        return maps


class Halving(nn.Module):
    """Half the size: 4x4 convolution under spectral norm, batch norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        convolution = spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))
        self.main = nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


def smallest_judged(resolution: int, features: Source) -> int:
    """The smallest side of images of which a discriminator for that `resolution` leaves a logit: half of it.

    Up to there EfficientNet enlarges images by itself, unless the resolution is far from the usual.
    """
    side = 2 ** (resolution - 1).bit_length() // 2
    return 1 if of_backbone(features) != "embedded" and side <= ENLARGED else side


class MiniDiscriminator(nn.Module):
    """Judges one projected map: halved down to 8 x 8, then a 4x4 convolution to 5 x 5 logits."""

    def __init__(self, inputs: int, size: int, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        while size > 8:
            size //= 2
            outputs = width * max(1, 64 // size)  # 64 or less pixels a side: twice the channels at half the size
            layers.append(Halving(inputs, outputs))
            inputs = outputs
        self.main = nn.Sequential(*layers, spectral_norm(nn.Conv2d(inputs, 1, 4, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class MultiScaleDiscriminator(nn.Module):
    """One discriminator for each projected map, finest first. Maps -> all logits (N, 25 a scale)."""

    def __init__(self, channels: Sequence[int], size: int, width: int):
        super().__init__()
        discs = (MiniDiscriminator(inputs, size // 2**i, width) for i, inputs in enumerate(channels))
        self.mini_discs = nn.ModuleList(discs)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        # maps beyond the last discriminator are not judged
        return torch.cat([disc(x).flatten(1) for disc, x in zip(self.mini_discs, maps, strict=False)], dim=1)


class ProjectedDiscriminator(nn.Module):
    """Projected discriminator. (N, 3, H, W) in [-1, 1] -> logits (N, 25 `scales`).

    Only `discriminator` is trained. `resolution` sets the number of its layers; the released code assumes 256
    whatever the data. `scales`: how many of the four maps are judged, finest first. `width`: channels of the
    finest map.
    """

    def __init__(self, backbone: Backbone, scales: int = 4, resolution: int = 256, width: int = 64):
        super().__init__()
        self.feature_network = FeatureNetwork(backbone, width)
        channels = [width * 2 ** max(i - 1, 0) for i in range(scales)]
        self.discriminator = MultiScaleDiscriminator(channels, 2 * resolution // backbone.stride, width)
        normal_init(self.discriminator)

    def features(self, images: Tensor) -> list[Tensor]:
        """The projected maps, which `discriminator` judges: they do not change while it is trained."""
        return self.feature_network(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.discriminator(self.features(images))
