"""Pretrained files with random values in the official layout: they cost what the published ones cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from baselines.starganv2.parts import LandmarkNetwork
from bench.nn.arcface18 import ArcFace18
from bench.nn.dilated_resnet import DilatedResNet50
from bench.nn.faceparsing import BiSeNet
from bench.nn.irse import IRSE
from bench.nn.projected import EfficientNetLite

TIMM = {
    "layer0.0": "conv_stem", "layer0.1": "bn1", "layer0.3": "blocks.0", "layer0.4": "blocks.1", "layer1.0": "blocks.2",
    "layer2.0": "blocks.3", "layer2.1": "blocks.4", "layer3.0": "blocks.5", "layer3.1": "blocks.6",
}  # fmt: skip


def state(name: str) -> Mapping[str, Any]:
    """What `bench.weights.load` would give for that file."""
    torch.manual_seed(0)
    if name in ("vgg16", "vgg19", "alexnet", "resnet34"):
        return getattr(torchvision.models, name)().state_dict()
    if name.startswith("efficientnet-"):
        return timm_state(EfficientNetLite(name.removeprefix("efficientnet-")))  # type: ignore[arg-type]
    if name == "ade20k-resnet50":
        return DilatedResNet50().state_dict()
    if name == "faceparsing":
        return BiSeNet().state_dict()
    if name == "starganv2-landmarks":
        return {"state_dict": LandmarkNetwork().state_dict()}
    if name == "arcface-ir-se50":
        return IRSE().state_dict()
    if name == "arcface-resnet18":
        return {f"module.{key}": value for key, value in ArcFace18().state_dict().items()}
    if name == "arcface-resnet101":
        return torchvision.models.resnet101(num_classes=256).state_dict()
    raise KeyError(name)


def clip(path: Path, name: str, sizes: Mapping[str, Any]) -> nn.Module:
    """What `bench.nn.text.openai_clip` would give."""
    import open_clip

    return open_clip.CLIP(**sizes, quick_gelu=True)


def timm_state(network: EfficientNetLite) -> dict[str, Tensor]:
    """The names of a timm checkpoint, with the head that we leave out."""
    file = {"conv_head.weight": torch.zeros(1), "bn2.weight": torch.zeros(1), "classifier.bias": torch.zeros(1)}
    for key, value in network.state_dict().items():
        place = ".".join(key.split(".")[:2])
        file[TIMM[place] + key.removeprefix(place)] = value
    return file
