"""AOT-GAN: one convolutional network with aggregated contextual transformations, and a soft-mask discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm
from torch.optim import Adam, Optimizer

from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.aot import AOTBlock
from bench.nn.augment import colour_jitter, resized_crop
from bench.nn.init import normal_init
from bench.nn.perceptual import FeatureLoss
from bench.nn.soft_mask import blur, enlarge, soft_mask_discriminator, soft_mask_generator

CARD = Card(
    slug="aot",
    name="AOT-GAN",
    title="Aggregated Contextual Transformations for High-Resolution Image Inpainting",
    authors="Zeng, Fu, Chao, Guo",
    year=2021,
    venue="IEEE TVCG; arXiv 2104.01431",
    url="https://arxiv.org/abs/2104.01431",
    resolution=512,
    params={"generator": 15_200_835, "discriminator": 2_763_777},
    macs={"generator": 72.876e9, "discriminator": 3.147e9},
    published={"parameters": "15.20 M", "FLOPs": "72.88 G at 256 px (thesis, table 4.4)"},
    training="Adam 1e-4 (0.5, 0.999) for both networks, batch 8, 1,000,000 iterations; "
    "L1 1, perceptual 0.1, style 250, adversarial 0.01",
    features="VGG-19 (ImageNet)",
    convention="1 = hole; holes filled with +1; images in [-1, 1]",
    licence="Apache-2.0",
    weights="the authors' Google Drive folders (CelebA-HQ, Places2, 512 px): G*.pt, a plain state dict",
    trained_on={"celeba-hq": "", "places365": "train"},
    choices={
        "masks": "mask files are those of `masks: aot:DIR`; without them MMEditing's irregular strokes stand in",
        "adversarial": "paper: known pixels are real, the blurred mask is the soft label. "
        "released: the authors' code, whose generator is trained towards the label of filled pixels",
    },
)


class AOTConfig(Config):
    """Sizes and losses of AOT-GAN."""

    width: int = 64  # channels of the first convolution
    blocks: int = 8  # AOT blocks
    rates: tuple[int, ...] = (1, 2, 4, 8)  # dilation rates of a block
    adversarial: Literal["paper", "released"] = "paper"  # soft-mask loss of the paper or of the released code
    learning_rate: float = 1e-4
    batch_size: int = 8
    l1: float = 1.0  # weight of the reconstruction loss
    perceptual: float = 0.1
    style: float = 250.0
    gan: float = 0.01
    crop: tuple[float, float] | None = (0.08, 1.0)  # area of the random resized crop
    jitter: float = 0.05  # brightness, contrast, saturation and hue
    masks: str = "aot"  # training draw
    ema: float | None = None  # moving average of the generator; the paper has none

    def sizes(self, features: Source | None = None) -> Sizes:
        # the borders that a block reflects are smaller than its map, a quarter of the size
        return Sizes(4, smallest=4 * max(self.rates, default=0) + 1)


class Upsample(nn.Module):
    """Bilinear x2 (corners aligned), then a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


class Generator(nn.Module):
    """Encoder, a stack of AOT blocks, decoder (Fig. 2). Input: masked image and mask; output in [-1, 1]."""

    def __init__(self, config: AOTConfig):
        super().__init__()
        self.sizes = config.sizes()
        w = config.width
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(4, w, 7), nn.ReLU(),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.middle = nn.Sequential(*(AOTBlock(4 * w, config.rates) for _ in range(config.blocks)))
        self.decoder = nn.Sequential(
            Upsample(4 * w, 2 * w), nn.ReLU(), Upsample(2 * w, w), nn.ReLU(), nn.Conv2d(w, 3, 3, padding=1)
        )

    def forward(self, masked: Tensor, mask: Tensor) -> Tensor:
        self.sizes.check(masked, CARD.name)
        return torch.tanh(self.decoder(self.middle(self.encoder(torch.cat([masked, mask], dim=1)))))


class Discriminator(nn.Module):
    """Patch discriminator with spectral norm (section 3.3). (N, 3, H, W) -> logits (N, 1, about H/8, W/8)."""

    def __init__(self, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        sizes = [3, width, 2 * width, 4 * width, 8 * width]
        for i, (inputs, outputs) in enumerate(pairwise(sizes)):
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2 if i < 3 else 1, padding=1, bias=False)
            layers += [spectral_norm(convolution), nn.LeakyReLU(0.2)]
        self.conv = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class AOTGAN(Method):
    """AOT-GAN as published."""

    card = CARD
    Config = AOTConfig
    config: AOTConfig
    presets = {
        "paper": AOTConfig(),
        "tiny": AOTConfig(
            width=24, blocks=4, rates=(1, 2, 4), learning_rate=1e-3, style=25, crop=None, masks="irregular", ema=0.995
        ),
    }

    def __init__(self, config: AOTConfig):
        super().__init__(config)
        std = 0.02 * (64 / config.width) ** 0.5  # as published at the published width; the same gain at others
        self.generator = normal_init(Generator(config), std)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked + batch.mask, batch.mask)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [AOTStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state)


class AOTStage(Stage):
    """Joint training of generator and discriminator."""

    method: AOTGAN

    def __init__(self, method: AOTGAN, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size, self.iterations = config, config.masks, config.batch_size, 1_000_000
        self.ema = {"generator": config.ema} if config.ema else {}
        self.discriminator = normal_init(Discriminator(config.width))
        self.features = FeatureLoss(
            content=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
            style=("relu2_2", "relu3_4", "relu4_4", "relu5_2"),
            source=features,
        )

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"generator": self.method.generator, "discriminator": self.discriminator}
        return {name: Adam(n.parameters(), self.config.learning_rate, (0.5, 0.999)) for name, n in networks.items()}

    def augment(self, images: Tensor, noise: Noise) -> Tensor:
        if self.config.crop:
            images = resized_crop(images, noise, area=self.config.crop)
        return colour_jitter(images, noise, self.config.jitter)

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        output = self.method.complete(batch, noise)
        composite = batch.composite(output)
        losses = {"l1": F.l1_loss(output, batch.image)}
        losses["perceptual"], losses["style"] = self.features(output, batch.image)
        generator, discriminator = self.adversarial(composite, batch.image, batch.mask)
        losses |= {"generator": generator, "discriminator": discriminator}
        c = self.config
        total = c.l1 * losses["l1"] + c.perceptual * losses["perceptual"] + c.style * losses["style"]
        update("generator", total + c.gan * generator)
        update("discriminator", discriminator)
        return losses

    def adversarial(self, composite: Tensor, real: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Soft mask-guided least-squares losses (Eqs. 6 and 7): (generator's, discriminator's)."""
        fake, fake_detached, true = (self.discriminator(x) for x in (composite, composite.detach(), real))
        if self.config.adversarial == "released":
            fake, fake_detached, true = (enlarge(x, mask) for x in (fake, fake_detached, true))
            discriminator = F.mse_loss(fake_detached, blur(mask)) + true.square().mean()
            return (fake - 1).square().mean(), discriminator
        return soft_mask_generator(fake, mask), soft_mask_discriminator(true, fake_detached, mask)


def _run_generator(method: AOTGAN, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    network = method.generator
    encoded = network.encoder(torch.cat([image * (1 - mask) + mask, mask], dim=1))
    middle = network.middle(encoded)
    out = torch.tanh(network.decoder(middle))
    comp = mask * out + (1 - mask) * image
    return {"encoder": encoded, "block0": network.middle[0](encoded), "middle": middle, "out": out, "comp": comp}


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    image = inputs.image()
    return {"logits_eval": network.eval()(image), "logits_train": network.train()(image)}


AOTGAN.golden = {
    "aot": Golden(
        build=AOTGAN.create,
        load=AOTGAN.load_official,
        run=_run_generator,
        parts=lambda method: {"generator": method.generator},
        costs={"generator": lambda m: m.generator(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256))},
    ),
    "aot.discriminator": Golden(
        build=lambda: Discriminator(64),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
