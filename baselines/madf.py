"""MADF: an encoder whose filters follow the mask, window by window, and decoders that refine each other's image."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.augment import resized_crop
from bench.nn.losses import total_variation
from bench.nn.perceptual import IMAGENET, FeatureLoss

CARD = Card(
    slug="madf",
    name="MADF",
    title="Image Inpainting by End-to-End Cascaded Refinement with Mask Awareness",
    authors="Zhu, He, Li, Li, Li, Liu, Ding, Zhang",
    year=2021,
    venue="IEEE Transactions on Image Processing; arXiv 2104.13743",
    url="https://arxiv.org/abs/2104.13743",
    resolution=512,
    params={"generator": 85_141_214},
    macs={"generator": 28.261e9},
    published={
        "CelebA, irregular masks (ISFRNet, table 2)": "20-40 %: PSNR 22.70, SSIM 0.874, LPIPS 0.113; 40-60 %: 19.72, "
        "0.764, 0.183",
    },
    training="Adam (0.9, 0.999), 2e-4, constant, batch 6 at 512 px (the released script: 4 at 256 px), 1,000,000 "
    "iterations (Places2); valid 1, hole 6, perceptual 0.05, style 120, total variation 0.1; images resized to 572, "
    "cropped to 512",
    features="VGG-16 (ImageNet)",
    convention="1 = known, three channels; images normalised by ImageNet's mean and deviation, holes filled with 0",
    licence="GPL-3.0 (code; nothing of it is used here)",
    weights="the authors' shared drive (github.com/MADF-inpainting/Pytorch-MADF; CelebA, Places2, Paris StreetView; "
    "512 px): a dict with the state under `model`, its names behind `module.model.`, VGG's behind `module.extractor.`",
    trained_on={"celeba": "", "places365": "", "psv": ""},
    choices={
        "masks": "mask files are those of `masks: madf:DIR`; without them MMEditing's irregular strokes stand in",
        "style_on": "first: the released code, by an index that starts too early. last: the final image, as meant",
    },
    notes="No discriminator. The encoder's batch norms (1,248 parameters) stand in the checkpoints and are never "
    "applied. The filters of a window depend linearly on what is seen of the mask there, so that the encoder runs "
    "as ordinary convolutions: the same multiply-accumulates without the memory of a matrix for each window; the count "
    "by thop's rule leaves these convolutions out.",
)


class MADFConfig(Config):
    """Sizes and losses of MADF."""

    width: int = Field(default=64, ge=4, multiple_of=4)  # channels after the first level; they double up to eightfold
    levels: int = Field(default=7, ge=2, le=11)  # halvings
    mask_width: int = 16  # channels of the mask branch
    norm_width: int = 128  # channels inside a point-wise normalisation
    refinements: int = Field(default=2, ge=0, le=9)  # decoders that refine
    incremental: bool = True  # every decoder's image has losses; else the last one's alone
    style_on: Literal["first", "last"] = "first"  # refined image that has the style loss
    learning_rate: float = 2e-4
    batch_size: int = 6
    crop: float = 512 / 572  # share of the side that is cut out at a random place
    valid: float = 1.0  # weight of the L1 loss on known pixels
    hole: float = 6.0
    perceptual: float = 0.05
    style: float = 120.0
    variation: float = 0.1
    masks: str = "madf"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2**self.levels)


class MaskAwareConv(nn.Module):
    """Mask-aware dynamic filtering, half the size: the filters of each window are made from its mask, then ReLU.

    `conv` gives mask features m; `conv1` makes of them, at each position p, the filters W(p) = B + sum_c m_c(p) W_c. So
    W(p) x is the sum of m_c(p) times the convolution of x with W_c: filters are never laid out for each window.
    (N, inputs, H, W), mask features (N, seen, H, W) -> (N, outputs, H/2, W/2), (N, width, H/2, W/2).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, seen: int, width: int):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(seen, width, kernel, 2, kernel // 2), nn.ReLU())
        self.conv1 = nn.Sequential(nn.Conv2d(width, inputs * kernel**2 * outputs, 1))
        self.shape = (inputs, kernel, kernel, outputs, 1 + width)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.conv(mask)
        weight, bias = self.conv1.parameters()
        filters = torch.cat([bias[:, None], weight.flatten(1)], dim=1).reshape(self.shape).permute(4, 3, 0, 1, 2)
        y = F.conv2d(x, filters.flatten(0, 1), stride=2, padding=self.shape[1] // 2).unflatten(1, filters.shape[:2])
        return F.relu(y[:, 0] + (y[:, 1:] * mask[:, :, None]).sum(1)), mask


class PointwiseNorm(nn.Module):
    """Batch norm whose scale and bias are made, point by point, from a guide of the same shape (N, C, H, W)."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU())
        self.mlp_scale = nn.Conv2d(width, channels, 3, padding=1)
        self.mlp_bias = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        shared = self.mlp_shared(guide)
        return self.batch_norm(x) * (1 + self.mlp_scale(shared)) + self.mlp_bias(shared)


class Refinement(nn.Module):
    """One level of a refinement decoder: twice the size, normalised by what the decoder before has there."""

    def __init__(self, inputs: int, outputs: int, width: int):
        super().__init__()
        self.deconv = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
        self.bn = PointwiseNorm(outputs, width)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        return F.leaky_relu(self.bn(self.deconv(x), guide), 0.2)


class Fusion(nn.Module):
    """A 3x3 convolution of the encoder's and the recovery decoder's features. Two maps of one size -> (N, C, H, W)."""

    def __init__(self, inputs: int, outputs: int, *activation: nn.Module):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), *activation)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, x], dim=1))


class Generator(nn.Module):
    """Mask-aware encoder, recovery decoder, refinement decoders. Modules have the names of the released ones.

    Input: the normalised image with holes 0, and its mask, (N, 3, H, W) both, 1 = known. Output: the normalised images
    of the decoders, the final one last, without activation.
    """

    def __init__(self, config: MADFConfig):
        super().__init__()
        self.sizes, self.levels, self.refinements = config.sizes(), config.levels, config.refinements
        channels = [6, *(config.width * min(2**i, 8) for i in range(config.levels))]
        features, seen = 6, 3
        for i, up in enumerate(channels[1:], start=1):
            outputs = config.width // 4 * min(2 ** (i - 1), 8)
            kernel = {1: 7, 2: 5}.get(i, 3)
            self.add_module(f"filter_gen_{i}", MaskAwareConv(features, outputs, kernel, seen, config.mask_width))
            self.add_module(f"enc_conv_{i}", nn.ModuleDict({"bn": nn.BatchNorm2d(outputs)}))  # never applied
            self.add_module(f"enc_up_{i}", nn.Sequential(nn.Conv2d(outputs, up, 1), nn.ReLU()))
            features, seen = outputs, config.mask_width
        for i in range(config.levels, 1, -1):
            inputs, outputs = channels[i], channels[i - 1]
            layers = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
            self.add_module(f"deconv_{i}", nn.Sequential(*layers))
            self.add_module(f"att_conv_{i}", Fusion(2 * outputs, outputs, nn.ReLU()))
            for j in range(config.refinements):
                self.add_module(f"dec_ref{j}_{i}", Refinement(inputs, outputs, config.norm_width))
        self.deconv_1 = nn.Sequential(nn.ConvTranspose2d(channels[1], 3, 4, 2, 1))
        self.att_conv_1 = Fusion(6 + 3, 3)
        for j in range(config.refinements):
            self.add_module(f"dec_ref{j}_1", nn.Conv2d(channels[1] + 3 * (j + 1) + 6, 3, 1))

    def at(self, part: str, level: int) -> Any:
        """A part's module of one level, of levels 1 (the finest) and up."""
        return getattr(self, f"{part}_{level}")

    def forward(self, image: Tensor, known: Tensor) -> list[Tensor]:
        self.sizes.check(image, CARD.name)
        x, mask = torch.cat([image, known], dim=1), known
        skips = [x]
        for i in range(1, self.levels + 1):
            x, mask = self.at("filter_gen", i)(x, mask)
            skips.append(self.at("enc_up", i)(x))
        recovery, *refined = skips[-1:] * (1 + self.refinements)
        for i in range(self.levels, 1, -1):
            guide = recovery = self.at("att_conv", i)(skips[i - 1], self.at("deconv", i)(recovery))
            for j, state in enumerate(refined):
                guide = refined[j] = self.at(f"dec_ref{j}", i)(state, guide)
        images = [self.att_conv_1(skips[0], self.deconv_1(recovery))]
        for j, state in enumerate(refined):
            large = F.interpolate(state, scale_factor=2, mode="bilinear", align_corners=False)
            images.append(self.at(f"dec_ref{j}", 1)(torch.cat([large, *images, skips[0]], dim=1)))
        return images


class MADF(Method):
    """MADF as published."""

    card = CARD
    Config = MADFConfig
    config: MADFConfig
    presets = {
        "paper": MADFConfig(),
        "tiny": MADFConfig(
            width=16, levels=5, mask_width=8, norm_width=16, learning_rate=2e-3, batch_size=8, crop=1.0,
            masks="irregular",
        ),
    }  # fmt: skip
    mean: Tensor
    deviation: Tensor

    def __init__(self, config: MADFConfig):
        super().__init__(config)
        self.generator = Generator(config)
        for name, values in zip(("mean", "deviation"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] as the network sees them."""
        return ((images + 1) / 2 - self.mean) / self.deviation

    def predict(self, batch: Batch) -> list[Tensor]:
        """The normalised images of the recovery decoder and of the refinements."""
        known = 1 - batch.mask
        return self.generator(self.normalise(batch.masked) * known, known.expand(-1, 3, -1, -1))

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The recovered image, then the refined ones."""
        return [(x * self.deviation + self.mean) * 2 - 1 for x in self.predict(batch)]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [MADFStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the authors' checkpoint, or its state under `model`; the loss network in it is left out."""
        state = state.get("model", state)
        names = {theirs: re.sub(r"^(module\.)?(model\.)?", "", theirs) for theirs in state}
        ours = {name: state[theirs] for theirs, name in names.items() if not name.startswith("extractor.")}
        self.generator.load_state_dict(ours)


class MADFStage(Stage):
    """End-to-end training: reconstruction of every decoder's image, features of the refined ones."""

    method: MADF
    iterations = 1_000_000  # Places2

    def __init__(self, method: MADF, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        layers = ("pool1", "pool2", "pool3")
        self.features = FeatureLoss(layers, layers, features, backbone="vgg16")

    def optimisers(self) -> dict[str, Optimizer]:
        return {"generator": Adam(self.method.generator.parameters(), self.config.learning_rate)}

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        area = self.config.crop**2
        return resized_crop(images, noise, (area, area), aspect=1.0) if area < 1 else images

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, unit = self.config, 2 * self.method.deviation  # losses are on the scale of normalised images
        images = self.method.steps(batch, noise)[0 if c.incremental else -1 :]
        refined = images[1:] or images
        error = torch.stack([(x - batch.image).abs() for x in images]).sum(0) / unit
        raw = [self.features(x, batch.image) for x in refined]
        pasted = [self.features(batch.composite(x), batch.image) for x in refined]
        styled = 0 if c.style_on == "first" else -1
        losses = {
            "valid": (error * (1 - batch.mask)).mean(),
            "hole": (error * batch.mask).mean(),
            "perceptual": torch.stack([perceptual for perceptual, _ in raw + pasted]).sum(),
            "style": raw[styled][1] + pasted[styled][1],
            "variation": total_variation(batch.composite(images[-1]) / unit),
        }
        update("generator", torch.stack([getattr(c, name) * loss for name, loss in losses.items()]).sum())
        return losses


def _run(method: MADF, inputs: Inputs) -> dict[str, Tensor]:
    images = method.predict(Batch(inputs.image(), inputs.mask()))
    return {f"out{i}": image for i, image in enumerate(images)}


def _parts(method: MADF) -> dict[str, nn.Module]:
    """The network, and the modules of all levels of each part."""
    parts: dict[str, nn.ModuleList] = {}
    for name, module in method.generator.named_children():
        parts.setdefault(name.rpartition("_")[0], nn.ModuleList()).append(module)
    return {"total": method.generator, **parts}


def _pass(refinements: int) -> Callable[[MADF], Any]:
    return lambda method: Generator(MADFConfig(refinements=refinements))(*torch.empty(2, 1, 3, 256, 256))


MADF.golden = {
    "madf": Golden(
        build=MADF.create,
        load=MADF.load_official,
        run=_run,
        parts=_parts,
        costs={"at_256": _pass(2), "n_refinement_D_1": _pass(1), "n_refinement_D_0": _pass(0)},
    )
}
