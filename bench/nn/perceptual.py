"""Feature networks behind perceptual and style losses: VGG and LPIPS where their weights are, else `embedded`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import weights
from bench.method import Source

Network = TypeVar("Network", bound=nn.Module)
Backbone = Literal["vgg16", "vgg19"]
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of its colours
Scaling = Literal["imagenet", "centred", "raw"]  # of [0, 1]: (x - mean) / deviation, x - mean, x

# torchvision's layer index of each ReLU or pooling, by the usual names
VGG16 = {"relu1_2": 3, "pool1": 4, "relu2_2": 8, "pool2": 9, "relu3_3": 15, "pool3": 16}
VGG19 = {
    "relu1_1": 1, "relu1_2": 3, "relu2_1": 6, "relu2_2": 8, "relu3_1": 11, "relu3_2": 13, "relu3_3": 15, "relu3_4": 17,
    "relu4_1": 20, "relu4_2": 22, "relu4_3": 24, "relu4_4": 26, "relu5_1": 29, "relu5_2": 31, "relu5_3": 33,
    "relu5_4": 35,
}  # fmt: skip


class VGGFeatures(nn.Module):
    """Feature maps of VGG (torchvision, ImageNet) after the layers named. Input (N, 3, H, W) in [-1, 1].

    `scaling`: what the network is fed; some papers leave out ImageNet's normalisation.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        layers: Sequence[str],
        pretrained: bool = True,
        backbone: Backbone = "vgg19",
        scaling: Scaling = "imagenet",
    ):
        super().__init__()
        from torchvision import models

        self.indices = [{"vgg16": VGG16, "vgg19": VGG19}[backbone][name] for name in layers]
        network = getattr(models, backbone)()
        if pretrained:
            network.load_state_dict(weights.load(backbone))
        self.network = network.features[: max(self.indices) + 1]
        mean = (0.0, 0.0, 0.0) if scaling == "raw" else IMAGENET[0]
        std = IMAGENET[1] if scaling == "imagenet" else (1.0, 1.0, 1.0)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = ((images + 1) / 2 - self.mean) / self.std
        found = {}
        for index, layer in enumerate(self.network):
            x = layer(x)
            found[index] = x
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        return [found[index] for index in self.indices]


class EmbeddedFeatures(nn.Module):
    """The trunk of the project's own training network, in the place of VGG."""

    def __init__(self) -> None:
        super().__init__()
        from bench.nn import embedded

        self.network = embedded.load("training")

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.network.maps(images)


class Frozen(nn.Module):
    """A network that only measures: it stays in evaluation mode when the stage around it trains (LPIPS has dropout)."""

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class FeatureLoss(Frozen):
    """Perceptual and style losses on one feature network; the maps of the original are computed without gradient.

    Perceptual (Johnson et al., 2016): sum over layers of the mean absolute difference. Style (Gatys et al., 2016):
    the same on Gram matrices F Fᵀ / (C H W).
    """

    def __init__(
        self,
        content: Sequence[str],
        style: Sequence[str],
        source: Source,
        backbone: Backbone = "vgg19",
        scaling: Scaling = "imagenet",
    ):
        super().__init__()
        layers = list(dict.fromkeys([*content, *style]))
        if source == "embedded":
            self.network: nn.Module = EmbeddedFeatures()
            self.content = self.style = None
        else:
            self.network = VGGFeatures(layers, backbone=backbone, scaling=scaling)
            self.content = [layers.index(name) for name in content]
            self.style = [layers.index(name) for name in style]
        frozen(self)

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(perceptual, style) of images (N, 3, H, W) in [-1, 1]; each a scalar."""
        ours = self.network(output)
        with torch.no_grad():
            theirs = self.network(target)
        pairs = list(zip(ours, theirs, strict=True))
        content = [pairs[i] for i in self.content] if self.content is not None else pairs
        style = [pairs[i] for i in self.style] if self.style is not None else pairs
        perceptual = sum((mean_l1(a, b) for a, b in content), output.new_zeros(()))
        return perceptual, sum((mean_l1(gram(a), gram(b)) for a, b in style), output.new_zeros(()))


class PerceptualDistance(Frozen):
    """LPIPS (Zhang et al., 2018; VGG-16, v0.1) as a training loss, one value an image; or the same on `embedded`.

    On `embedded` the channels are unit-normalised at each pixel as in LPIPS, without learned channel weights.
    """

    def __init__(self, source: Source):
        super().__init__()
        self.source = source
        if source == "embedded":
            self.network: Any = EmbeddedFeatures()
        else:
            self.network = lpips_network("vgg")
        frozen(self)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Distances (N,) of images (N, 3, H, W) in [-1, 1]."""
        ours = self.maps(output)
        with torch.no_grad():
            theirs = self.maps(target)
        return self.between(ours, theirs)

    def maps(self, images: Tensor) -> Sequence[Tensor]:
        """The feature maps that `between` compares, fine to coarse."""
        if self.source == "official":
            return self.network.net(self.network.scaling_layer(images))
        return self.network(images)

    def between(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """Distances (N,) of images by their `maps`: those of a target serve several times."""
        heads = self.network.lins if self.source == "official" else [channel_sum] * len(ours)
        differences = [(unit(a) - unit(b)).square() for a, b in zip(ours, theirs, strict=True)]
        distances = (head(x).mean((1, 2, 3)) for head, x in zip(heads, differences, strict=True))
        return sum(distances, ours[0].new_zeros(len(ours[0])))

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Also the network alone, as `maps` runs it."""
        super().compile(*arguments, **options)
        (self.network.net if self.source == "official" else self.network).compile(*arguments, **options)


def lpips_network(backbone: Literal["vgg", "alex"]) -> nn.Module:
    """LPIPS v0.1: the heads ship with the lpips package, the ImageNet backbone comes from `bench.weights`."""
    import lpips

    network = lpips.LPIPS(net=backbone, version="0.1", pnet_rand=True, verbose=False)
    state = weights.load({"vgg": "vgg16", "alex": "alexnet"}[backbone])
    features = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    slices = {k.split(".", 1)[1]: k for k in network.net.state_dict()}
    network.net.load_state_dict({full: features[index] for index, full in slices.items()})
    return network


def mean_l1(x: Tensor, y: Tensor) -> Tensor:
    """The mean absolute difference. A mean's own gradient is made in another order in memory than channels last."""
    return F.l1_loss(x, y, reduction="sum") / x.numel()


def channel_sum(x: Tensor) -> Tensor:
    """The sum over the channels, which stay as one."""
    return x.sum(1, keepdim=True)


def gram(features: Tensor) -> Tensor:
    """Gram matrices (N, C, C) of feature maps, divided by C H W."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def unit(features: Tensor) -> Tensor:
    """Feature maps with unit length over the channels at each pixel."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def frozen(module: Network) -> Network:
    """A network that only measures: evaluation mode, no gradients for its parameters."""
    return module.eval().requires_grad_(False)
