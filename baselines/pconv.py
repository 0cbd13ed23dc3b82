"""PConv: a U-Net of partial convolutions, which see known pixels alone and update the mask."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.partial import PartialConv2d, freeze_batch_norm
from bench.nn.perceptual import FeatureLoss

CARD = Card(
    slug="pconv",
    name="PConv",
    title="Image Inpainting for Irregular Holes Using Partial Convolutions",
    authors="Liu, Reda, Shih, Wang, Tao, Catanzaro",
    year=2018,
    venue="ECCV; arXiv 1804.07723",
    url="https://arxiv.org/abs/1804.07723",
    resolution=256,
    params={"generator": 25_779_860},
    macs={"generator": 9.472e9},
    published={"CelebA-HQ 256, irregular masks (MMEditing)": "PSNR 25.404, SSIM 0.853, L1 5.990"},
    training="Adam (0.9, 0.999), batch 8; 2e-4, 800,002 iterations, then 5e-5, 300,002 iterations with the encoder's "
    "batch norms frozen (MMEditing; the paper: batch 6); valid 1, hole 6, perceptual 0.05, style 120, total variation "
    "0.1",
    features="VGG-16 (ImageNet)",
    convention="1 = known, three channels; holes filled with 0; images in [-1, 1]; MMEditing's weights take BGR",
    licence="Apache-2.0 (MMEditing); the layer is BSD-3-Clause and patented by NVIDIA",
    weights="MMEditing: pconv_256x256_stage2_4x2_celeba_20200619-860f8b95.pth (CelebA-HQ), ..._places_20200619-"
    "1ffed0e8.pth (Places2), from download.openmmlab.com/mmediting/inpainting/pconv; the paper's authors released none",
    trained_on={"celeba-hq": "", "places365": "train"},
    choices={
        "normalise": "paper: L1 and total variation are averaged over the whole image, the variation over the hole "
        "grown by one pixel. mmediting: each is averaged over its own region, the hole as it is",
        "levels": "7: MMEditing's network for 256 px. 8: the paper's for 512 px",
    },
    notes="Weights start as in the paper (He et al., by fan-in); MMEditing's start by fan-out.",
)


class PConvConfig(Config):
    """Sizes and losses of PConv."""

    width: int = 64  # channels of the first layer; they double up to eightfold
    levels: int = Field(default=7, ge=1, le=11)  # halvings
    shares: tuple[float, float] = (0.73, 0.27)  # of the budget: training, fine-tuning
    learning_rate: float = 2e-4
    finetune_rate: float = 5e-5
    batch_size: int = 8
    normalise: Literal["paper", "mmediting"] = "paper"  # what L1 and total variation are averaged over
    valid: float = 1.0  # weight of the L1 loss on known pixels
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    variation: float = 0.1
    masks: str = "pconv"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2**self.levels)


class Block(nn.Module):
    """Partial convolution, batch norm, activation; without batch norm the convolution has a bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, activation: nn.Module, norm: bool):
        super().__init__()
        self.conv = PartialConv2d(inputs, outputs, kernel, stride, bias=not norm)
        self.bn = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.activation = activation
        slope = getattr(activation, "negative_slope", 0.0)
        nn.init.kaiming_normal_(self.conv.weight, a=slope, nonlinearity="leaky_relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = self.conv(x, mask)
        return self.activation(self.bn(x)), mask


Level = tuple[Tensor, Tensor]  # features and their mask, (N, C, H, W) both


class Encoder(nn.Module):
    """Halvings by partial convolution. Returns the input and what each layer gives, fine to coarse."""

    def __init__(self, channels: list[int]):
        super().__init__()
        for i, (inputs, outputs) in enumerate(pairwise(channels), start=1):
            kernel = {1: 7, 2: 5, 3: 5}.get(i, 3)
            self.add_module(f"enc{i}", Block(inputs, outputs, kernel, 2, nn.ReLU(), norm=i > 1))

    def forward(self, x: Tensor, mask: Tensor) -> list[Level]:
        levels = [(x, mask)]
        for block in self.children():
            levels.append(block(*levels[-1]))
        return levels


class Decoder(nn.Module):
    """Nearest upsampling of features and masks, joined with the encoder's, then a partial convolution."""

    def __init__(self, channels: list[int]):
        super().__init__()
        for i in range(len(channels) - 1, 0, -1):
            inputs, outputs = channels[i] + channels[i - 1], channels[i - 1]
            activation = nn.LeakyReLU(0.2) if i > 1 else nn.Identity()
            self.add_module(f"dec{i}", Block(inputs, outputs, 3, 1, activation, norm=i > 1))

    def forward(self, levels: list[Level]) -> Level:
        x, mask = levels[-1]
        for block, (skip, known) in zip(self.children(), reversed(levels[:-1]), strict=True):
            x = torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1)
            mask = torch.cat([F.interpolate(mask, scale_factor=2), known], dim=1)
            x, mask = block(x, mask)
        return x, mask


class Generator(nn.Module):
    """The U-Net (section 3.2). Input: image with holes 0 and its mask, (N, 3, H, W) both, 1 = known.

    Output (N, 3, H, W), about [-1, 1], without activation.
    """

    def __init__(self, config: PConvConfig):
        super().__init__()
        self.sizes = config.sizes()
        channels = [3, *(config.width * min(2**i, 8) for i in range(config.levels))]
        self.encoder, self.decoder = Encoder(channels), Decoder(channels)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        self.sizes.check(image, CARD.name)
        return self.decoder(self.encoder(image, known))[0]


class PConv(Method):
    """PConv as published, in MMEditing's network for 256 px."""

    card = CARD
    Config = PConvConfig
    config: PConvConfig
    presets = {
        "paper": PConvConfig(),
        "tiny": PConvConfig(width=24, levels=5, learning_rate=3e-3, finetune_rate=1e-3, masks="irregular"),
    }

    def __init__(self, config: PConvConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, (1 - batch.mask).expand(-1, 3, -1, -1))

    def stages(self, features: Source = "official") -> list[Stage]:
        layers = ("pool1", "pool2", "pool3")
        loss = FeatureLoss(layers, layers, features, backbone="vgg16")
        return [PConvStage(self, loss), FinetuneStage(self, loss)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take MMEditing's checkpoint; its colours are turned from BGR to RGB."""
        state = state.get("state_dict", state)
        prefix = "generator."
        ours = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix) and not name.endswith("weight_mask_updater")
        }
        first, last = "encoder.enc1.conv.weight", "decoder.dec1.conv"
        ours[first] = ours[first].flip(1)
        weight = ours[f"{last}.weight"]
        ours[f"{last}.weight"] = torch.cat([weight[:, :-3], weight[:, -3:].flip(1)], dim=1).flip(0)
        ours[f"{last}.bias"] = ours[f"{last}.bias"].flip(0)
        self.generator.load_state_dict(ours)


class PConvStage(Stage):
    """Training with batch statistics, which holes disturb."""

    method: PConv
    iterations = 800_002

    def __init__(self, method: PConv, features: FeatureLoss):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size, self.share = config, config.masks, config.batch_size, config.shares[0]
        self.features = features

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.method.generator.parameters(), self.config.learning_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        output, c = self.method.complete(batch, noise), self.config
        composite = batch.composite(output)
        error = (output - batch.image).abs()
        raw, pasted = self.features(output, batch.image), self.features(composite, batch.image)
        losses = {
            "valid": self.average(error, 1 - batch.mask),
            "hole": self.average(error, batch.mask),
            "perceptual": raw[0] + pasted[0],
            "style": raw[1] + pasted[1],
            "variation": self.variation(composite, batch.mask),
        }
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        return losses

    def average(self, values: Tensor, region: Tensor) -> Tensor:
        """The mean of `values` (N, C, H, W) in a region (N, 1, H, W), over the whole picture or over the region."""
        values = values * region
        if self.config.normalise == "paper":
            return values.mean()
        return values.sum() / (across.mean(region.sum()) * values.shape[1]).clamp_min(1)

    def variation(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Total variation (Eq. 6) of neighbours in the hole; in the paper it is grown by one pixel."""
        vertical, horizontal = composite.diff(dim=2).abs(), composite.diff(dim=3).abs()
        if self.config.normalise == "paper":
            mask = F.max_pool2d(mask, 3, stride=1, padding=1)
            pairs = mask[:, :, :-1] * mask[:, :, 1:], mask[..., :-1] * mask[..., 1:]
        else:
            pairs = mask[:, :, :-1], mask[..., :-1]
        return self.average(vertical, pairs[0]) + self.average(horizontal, pairs[1])


class FinetuneStage(PConvStage):
    """Fine-tuning with the encoder's batch norms frozen, their scales and biases too."""

    name = "finetune"
    iterations = 300_002

    def __init__(self, method: PConv, features: FeatureLoss):
        super().__init__(method, features)
        self.share = self.config.shares[1]

    def optimisers(self) -> dict[str, Optimizer]:
        encoder = self.method.generator.encoder
        frozen = {p for layer in encoder.modules() if isinstance(layer, nn.BatchNorm2d) for p in layer.parameters()}
        trained = [p for p in self.method.generator.parameters() if p not in frozen]
        return {"generator": Adam(trained, self.config.finetune_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        freeze_batch_norm(self.method.generator.encoder)
        return super().step(batch, update, noise)


def _run(method: PConv, inputs: Inputs) -> dict[str, Tensor]:
    """The recorded pictures are BGR."""
    image, mask = inputs.image(), inputs.mask()
    levels = method.generator.encoder((image * (1 - mask)).flip(1), (1 - mask).expand(-1, 3, -1, -1))
    out = method.generator.decoder(levels)[0].flip(1)
    return {
        "out": out,
        "composite": image * (1 - mask) + out * mask,
        "h3": levels[3][0][:, ::32],
        "h7": levels[7][0][:, ::16],
        "mask1": levels[1][1][:, :1],
        "mask3": levels[3][1][:, :1],
    }


PConv.golden = {
    "pconv": Golden(
        build=PConv.create,
        load=PConv.load_official,
        run=_run,
        parts=lambda method: {"generator": method.generator, **dict(method.generator.named_children())},
        costs={"generator": lambda method: method.generator(*torch.empty(2, 1, 3, 256, 256))},
    )
}
