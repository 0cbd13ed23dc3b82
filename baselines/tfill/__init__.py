"""TFill: a transformer over patches drafts the picture, weighing them by what is known; a second network refines it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.tfill.networks import Decoder, Encoder, Refiner, Transformer, kaiming
from baselines.tfill.training import CoarseStage, RefineStage
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import Discriminator, Width, fixed

CARD = Card(
    slug="tfill",
    name="TFill",
    title="Bridging Global Context Interactions for High-Fidelity Image Completion",
    authors="Zheng, Cham, Cai, Phung",
    year=2022,
    venue="CVPR",
    url="https://github.com/lyndonzheng/TFill",
    resolution=512,
    params={
        "encoder": 3_328_576,
        "transformer": 38_374_912,
        "decoder": 22_475_783,
        "refiner": 45_268_041,
        "discriminator": 19_048_993,
        "refinement discriminator (512 px)": 19_056_401,
    },
    macs={
        "encoder": 1.751e9,
        "transformer": 10.603e9,
        "decoder": 10.293e9,
        "refiner": 22.683e9,
        "discriminator": 4.854e9,
    },
    published={
        "parameters": "109.45 M, all four networks (109,447,312)",
        "FLOPs": "45.45 G at 256 px (thesis, tables 4.4 and 5.2); convolutions and matrix products here: 45.33 G, "
        "0.3 % less. Its counter probably charges norms or resizing, too",
    },
    training="two runs, coarse networks at 256 px, then the refinement network at 512 px with the others frozen; Adam "
    "1e-4, discriminators 4e-4, (0.5, 0.9), batch 24, up to 20 M images each, no decay; non-saturating 1, L1 10 "
    "(holes three times), LPIPS 10; no gradient penalty; images of 542, random crops of 512",
    features="LPIPS (VGG-16)",
    convention="1 = known; holes filled with 0; images in [-1, 1]; the coarse networks always work at 256 px",
    licence="MIT; the read-me adds: for academic use",
    weights="the author's Google Drive (CelebA-HQ, FFHQ, ImageNet, Places2): plain state dicts latest_net_E.pth, "
    "latest_net_T.pth, latest_net_G.pth and latest_net_G_Ref.pth",
    trained_on={"celeba-hq": "", "ffhq": "train", "places365": ""},
    choices={
        "masks": "mask files are those of `masks: tfill:DIR`; without them MMEditing's irregular strokes stand in",
        "size": "256 px as in the thesis; the authors refine at 512 px: preset `512`",
        "dropout": "LPIPS has none here; in the authors' training that of its heads is on, for they never switch it "
        "to evaluation",
    },
    notes="The discriminators see the networks' own pictures, not composites. Noise enters holes alone, with gains "
    "that start at 0. The mask reaches the refinement network in its attention alone.",
)


class TFillConfig(Config):
    """Sizes and losses of TFill."""

    size: int = 256  # of the images that the refinement network trains on, a power of two
    coarse: int = 256  # side of the coarse picture, a power of two
    width: int = 32  # channels of the first convolutions
    levels: int = 4  # each halves the size and doubles the channels
    layers: int = 12  # of the transformer
    heads: int = 8  # attention heads
    hidden: int = 2048  # channels inside its feed-forward networks
    blocks: int = 6  # residual blocks in the middle of the refinement network
    discriminator_width: int = 8192  # channels at resolution r: this / r, at most `discriminator_limit`
    discriminator_limit: int = 512
    gan: float = 1.0  # weight of the adversarial loss
    reconstruction: float = 10.0
    hole: float = 3.0  # weight of holes in the reconstruction; of known pixels: 1
    perceptual: float = 10.0  # LPIPS
    learning_rate: float = 1e-4
    discriminator_rate: float = 4e-4
    batch_size: int = 24
    shares: tuple[float, float] = (0.5, 0.5)  # of the budget: coarse networks, refinement network
    crop: float = 512 / 542  # side of the random crop of a training image; 1: none
    ema: float | None = None  # moving average of the trained networks; the paper has none
    masks: str = "tfill"  # training draw
    encoder_weights: Path | None = None  # the authors' latest_net_E.pth, where `weights` names latest_net_G_Ref.pth
    transformer_weights: Path | None = None  # latest_net_T.pth
    decoder_weights: Path | None = None  # latest_net_G.pth

    def files(self) -> list[Path]:
        return [path for path in (self.encoder_weights, self.transformer_weights, self.decoder_weights) if path]

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2**self.levels) if features is None else fixed(self.size)


class TFill(Method):
    """TFill as published."""

    card = CARD
    Config = TFillConfig
    config: TFillConfig
    presets = {
        "paper": TFillConfig(),
        "512": TFillConfig(size=512),
        "tiny": TFillConfig(
            size=64,
            coarse=64,
            width=16,
            levels=3,
            layers=3,
            heads=4,
            hidden=256,
            blocks=2,
            discriminator_width=1024,
            discriminator_limit=64,
            gan=0.3,
            perceptual=1.0,
            learning_rate=3e-4,
            discriminator_rate=1e-3,
            batch_size=4,
            crop=1,
            ema=0.99,
            masks="fcf",
        ),
    }

    def __init__(self, config: TFillConfig):
        super().__init__(config)
        c = config
        self.sides = [c.coarse >> (c.levels - i) for i in range(c.levels) for _ in range(2)]  # of the noise maps
        self.encoder = Encoder(c.width, c.levels)
        self.transformer = Transformer(c.width << c.levels, c.layers, c.heads, c.hidden)
        self.decoder = Decoder(c.width, c.levels, c.heads, c.hidden)
        self.refiner = Refiner(c.width, c.levels, c.blocks)
        kaiming(self)

    def at_coarse_size(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] at the size of the coarse networks."""
        return resized(images, (self.config.coarse, self.config.coarse)).clamp(-1, 1)

    def shrunk(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The masked images and the masks, 1 = known, at the size of the coarse networks."""
        known = resized(1 - batch.mask, (self.config.coarse, self.config.coarse))
        return self.at_coarse_size(batch.masked), (known > 0.9).to(known.dtype)

    def draft(self, masked: Tensor, known: Tensor, noise: Noise) -> Tensor:
        """The coarse picture of masked images and masks, 1 = known, at the size of the coarse networks."""
        tokens = self.transformer(*self.encoder(masked, known))
        return self.decoder(tokens, known, noise.maps(self.sides))

    def coarse(self, batch: Batch, noise: Noise) -> Tensor:
        """The coarse picture at the size of the batch."""
        height, width = batch.image.shape[2:]
        return resized(self.draft(*self.shrunk(batch), noise), (height, width)).clamp(-1, 1)

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        self.config.sizes().check(batch.image, CARD.name)
        coarse = self.coarse(batch, noise)
        return [coarse, self.refiner(batch.composite(coarse), 1 - batch.mask)]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        distance = PerceptualDistance(features)
        return [CoarseStage(self, distance), RefineStage(self, distance)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take latest_net_G_Ref.pth; the files of the other networks are read from the options `..._weights`."""
        c = self.config
        others = (
            ("encoder_weights", c.encoder_weights, self.encoder),
            ("transformer_weights", c.transformer_weights, self.transformer),
            ("decoder_weights", c.decoder_weights, self.decoder),
        )
        self.refiner.load_state_dict(state)
        for option, path, network in others:
            if path is None:
                raise BenchError(
                    "tfill: name the authors' latest_net_E.pth, latest_net_T.pth and latest_net_G.pth in the suite's "
                    "`options: {encoder_weights: , transformer_weights: , decoder_weights: }`"
                )
            weights.load_second(network, "tfill", option, path)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic with aligned corners; as it is where the size is right."""
    return x if x.shape[2:] == size else F.interpolate(x, size, mode="bicubic", align_corners=True)


def _run(method: TFill, inputs: Inputs) -> dict[str, Tensor]:
    batch = Batch(inputs.image(), inputs.mask())
    known, noise = 1 - batch.mask, Noise([0])
    feat, score = method.encoder(batch.masked, known)
    tokens = method.transformer(feat, score)
    coarse, refined = method.steps(batch, noise)
    return {
        "feat": feat[:, :, ::4, ::4],
        "score": score,
        "tokens": tokens[:, :, ::4, ::4],
        "coarse": coarse,
        "refined": refined,
    }


def _cost(method: TFill) -> Tensor:
    return method.complete(Batch(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)), Noise([0], "meta"))


def _discriminator(size: int) -> Golden:
    return Golden(
        build=lambda: Discriminator(size, Width(8192)),
        run=lambda network, inputs: {"logits": network(inputs.image(size, batch=2))},
        parts=lambda network: {"D": network},
        # ours filters only the pixels that the shortcuts read: 1 % and 1.6 % under the recorded counts
    )


_MAPS = (1, 512, 16, 16)

TFill.golden = {
    "tfill": Golden(
        build=TFill.create,
        run=_run,
        parts=lambda method: {**method.networks(), "total": method},
        costs={
            "encoder": lambda m: m.encoder(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)),
            "transformer": lambda m: m.transformer(torch.empty(_MAPS), torch.empty(1, 1, 16, 16)),
            "decoder": lambda m: m.decoder(
                torch.empty(_MAPS), torch.empty(1, 1, 256, 256), [torch.empty(1, 1, side, side) for side in m.sides]
            ),
            "refiner": lambda m: m.refiner(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)),
            "total": _cost,
        },
        keys={f"{name}.": f"tfill.{name}" for name in ("encoder", "transformer", "decoder", "refiner")},
    ),
    "tfill.discriminator": _discriminator(256),
    "tfill.refine_discriminator": _discriminator(512),
}
