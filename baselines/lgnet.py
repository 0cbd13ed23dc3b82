"""LGNet: a U-Net fills the hole, a shallow network mends its details, a U-Net with attention the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.init import normal_init
from bench.nn.lgnet import LocalRefiner, SNDiscriminator
from bench.nn.losses import total_variation
from bench.nn.perceptual import FeatureLoss, VGGFeatures
from bench.nn.recurrent import KnowledgeConsistentScores
from bench.nn.schedule import ScheduledAdam, falling

CARD = Card(
    slug="lgnet",
    name="LGNet",
    title="Image Inpainting With Local and Global Refinement",
    authors="Quan, Zhang, Zhang, Li, Wang, Yan",
    year=2022,
    venue="IEEE TIP 31",
    url="https://github.com/weizequan/LGNet",
    resolution=256,
    params={
        "coarse": 54_414_979,
        "local_refiner": 5_483_203,
        "global_refiner": 55_104_003,
        "discriminator": 4_318_401,
    },
    macs={"coarse": 6.065e9, "local_refiner": 25.598e9, "global_refiner": 11.367e9, "discriminator": 4.443e9},
    published={
        "20-40 %": "PSNR 27.99 dB, SSIM 0.939, LPIPS 0.074 on CelebA (ISFRNet's table 2)",
        "40-60 %": "PSNR 22.93 dB, SSIM 0.832, LPIPS 0.144",
    },
    training="Adam 2e-4 (0.5, 0.999), batch 4, 100 epochs, then 100 in which the rate falls linearly to 0; valid 1 and "
    "hole 6 of each network; perceptual 0.05, style 120 and total variation 0.1 of both refiners; least-squares "
    "adversarial 0.1 on the coarse completion alone",
    features="VGG-16 (ImageNet), images in [-1, 1] without normalisation",
    convention="1 = hole; holes filled with white",
    licence="none stated",
    weights="the authors' shared drive (CelebA-HQ, Places2; 256 px): latest_net_G3.pth as `weights`, latest_net_G1.pth "
    "and latest_net_G2.pth as the options `coarse_weights` and `local_weights`, each a plain state dict",
    trained_on={"celeba-hq": "", "places365": ""},
    choices={
        "learning_rate": "it falls in the second half of any budget, a little in every iteration; in the authors' code "
        "once an epoch",
        "masks": "NVIDIA's irregular masks (`masks: lgnet:DIR`; without files MMEditing's strokes); the authors' own "
        "mixture for training was not released",
    },
    notes="Attention gives keys of unit length as values, as released, so amplitudes are lost; a comment in the code "
    "hints that the values themselves were meant. The authors' attention needs a GPU, this one does not. All three "
    "networks learn end to end from one sum; the discriminator is updated before them.",
)


class LGNetConfig(Config):
    """Sizes and losses of LGNet."""

    width: int = 64  # channels of the first convolution of each network
    levels: int = Field(default=8, ge=5, le=11)  # halvings of the U-Nets, down to 1 x 1 at 2 ** levels pixels
    blocks: int = 4  # residual blocks of the local refiner
    learning_rate: float = 2e-4  # in the first half of the training; then it falls linearly to 0
    batch_size: int = 4
    valid: float = 1.0  # weight of the L1 loss on known pixels, of each network
    hole: float = 6.0
    perceptual: float = 0.05  # of both refiners, as the next two
    style: float = 120.0
    variation: float = 0.1
    gan: float = 0.1
    masks: str = "lgnet"  # training draw
    coarse_weights: Path | None = None  # the authors' latest_net_G1.pth, where `weights` names latest_net_G3.pth
    local_weights: Path | None = None  # the authors' latest_net_G2.pth

    def files(self) -> list[Path]:
        return [file for file in (self.coarse_weights, self.local_weights) if file]

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2**self.levels, smallest=1 if features is None else SNDiscriminator.smallest)


class Attention(nn.Module):
    """RFR's attention in a single pass: what each place finds in all others, joined with it. (N, C, H, W) -> same."""

    def __init__(self, channels: int):
        super().__init__()
        self.scores = KnowledgeConsistentScores()
        self.scores.register_parameter("ratio", None)  # it weighs a memory, of which there is none
        self.combiner = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        attended, _ = self.scores(x, x, None)
        return self.combiner(torch.cat([attended, x], dim=1))


def down(inputs: int, outputs: int) -> nn.Module:
    """Convolution to half the size."""
    return nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)


def up(inputs: int, outputs: int, bias: bool = False) -> nn.Module:
    """Transposed convolution to twice the size."""
    return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)


class UNet(nn.Module):
    """pix2pix's U-Net. Image with its hole filled and mask (N, 4, H, W) -> image (N, 3, H, W) in [-1, 1].

    H and W are multiples of 2 ** levels. With `attention`, the decoder's maps at 1/16, 1/8 and 1/4 of the size attend
    to themselves before the encoder's maps join them. Names are those of the authors' third network.
    """

    attended = (4, 3, 2)  # levels

    def __init__(self, width: int, levels: int, attention: bool = False):
        super().__init__()
        self.levels, self.attention = levels, attention
        widths = [width * min(2**level, 8) for level in range(levels)]
        self.model1 = nn.Sequential(down(4, width))
        for level, (before, after) in enumerate(pairwise(widths[:-1]), start=2):
            layers = [nn.LeakyReLU(0.2), down(before, after), nn.BatchNorm2d(after)]
            self.add_module(f"model{level}", nn.Sequential(*layers))
        inner, innermost = widths[-2:]
        turn = [nn.LeakyReLU(0.2), down(inner, innermost), nn.ReLU(), up(innermost, inner), nn.BatchNorm2d(inner)]
        self.add_module(f"model{levels}", nn.Sequential(*turn))
        for level in range(levels - 1, 1, -1):
            outputs = widths[level - 2]
            layers = [nn.ReLU(), up(2 * widths[level - 1], outputs), nn.BatchNorm2d(outputs)]
            self.add_module(f"model{2 * levels - level}", nn.Sequential(*layers))
        self.add_module(f"model{2 * levels - 1}", nn.Sequential(nn.ReLU(), up(2 * width, 3, bias=True), nn.Tanh()))
        for level in self.attended if attention else ():
            self.add_module(f"att_{256 >> level}", Attention(widths[level - 1]))

    def forward(self, x: Tensor) -> Tensor:
        maps: list[Tensor] = []
        for level in range(1, self.levels):
            x = self.get_submodule(f"model{level}")(x)
            maps.append(x)
        x = self.get_submodule(f"model{self.levels}")(x)
        for level in range(self.levels - 1, 0, -1):
            if self.attention and level in self.attended:
                x = self.get_submodule(f"att_{256 >> level}")(x)
            x = self.get_submodule(f"model{2 * self.levels - level}")(torch.cat([maps[level - 1], x], dim=1))
        return x


class LGNet(Method):
    """LGNet as published."""

    card = CARD
    Config = LGNetConfig
    config: LGNetConfig
    presets = {
        "paper": LGNetConfig(),
        "tiny": LGNetConfig(
            width=16, levels=6, blocks=2, learning_rate=2e-3, batch_size=8, style=20.0, masks="irregular"
        ),
    }

    def __init__(self, config: LGNetConfig):
        super().__init__(config)
        self.coarse = normal_init(UNet(config.width, config.levels))
        self.local_refiner = normal_init(LocalRefiner(config.width, config.blocks))
        self.global_refiner = normal_init(UNet(config.width, config.levels, attention=True))

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The images of the three networks; each sees the known pixels, and in the hole what the one before made."""
        self.config.sizes().check(batch.image, CARD.name)
        images = [torch.ones_like(batch.image)]
        for network in (self.coarse, self.local_refiner, self.global_refiner):
            filled = batch.masked + images[-1] * batch.mask
            images.append(network(torch.cat([filled, batch.mask], dim=1)))
        return images[1:]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [LGNetStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take latest_net_G3.pth; the files of the other two are read from the options."""
        c = self.config
        if c.coarse_weights is None or c.local_weights is None:
            raise BenchError(
                "lgnet: name the authors' latest_net_G1.pth and latest_net_G2.pth in the suite's "
                "`options: {coarse_weights: , local_weights: }`"
            )
        self.global_refiner.load_state_dict(state)
        weights.load_second(self.coarse, "lgnet", "coarse_weights", c.coarse_weights, self.flat)
        weights.load_second(self.local_refiner, "lgnet", "local_weights", c.local_weights)

    def load_coarse(self, state: Mapping[str, Any]) -> None:
        """Take the authors' names of the first network."""
        self.coarse.load_state_dict(self.flat(state))

    def flat(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The authors' names of the first network as ours."""
        return {flat_name(name, self.config.levels): value for name, value in state.items()}


def flat_name(name: str, levels: int) -> str:
    """The name in `UNet` of a parameter of pix2pix's nested U-Net, where each level lies inside the one above.

    `model.model.1.model.5.weight` is the way up of the second level of 8: `model14.1.weight`.
    """
    if not name.startswith("model.model."):
        return name  # of another network
    above, _, rest = name.rpartition("model.")
    index, _, leaf = rest.partition(".")
    level = above.count("model.")
    turn = 2 if level == 1 else 4  # where a level's way up begins
    if level < levels and int(index) > turn:
        return f"model{2 * levels - level}.{int(index) - turn}.{leaf}"
    return f"model{level}.{index}.{leaf}"


class LGNetStage(Stage):
    """Joint training of the three networks, and of the discriminator of the coarse completion."""

    method: LGNet
    iterations = 1_500_000  # 200 epochs of CelebA-HQ's 30,000 pictures

    def __init__(self, method: LGNet, features: Source):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.discriminator = normal_init(SNDiscriminator(config.width))
        layers = ("pool1", "pool2", "pool3")
        self.features = FeatureLoss(layers, layers, features, backbone="vgg16", scaling="raw")
        if isinstance(self.features.network, VGGFeatures):  # it is fed images in [-1, 1]
            self.features.network.mean.fill_(0.5)
            self.features.network.std.fill_(0.5)

    def optimisers(self) -> dict[str, Optimizer]:
        def adam(network: nn.Module) -> Optimizer:
            return ScheduledAdam(network.parameters(), self.config.learning_rate, (0.5, 0.999), self.steps, falling())

        return {"generator": adam(self.method), "discriminator": adam(self.discriminator)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        coarse, *refined = self.method.steps(batch, noise)
        fake = batch.composite(coarse)
        real, judged = self.discriminator(batch.image), self.discriminator(fake.detach())
        discriminator = ((real - 1).square().mean() + judged.square().mean()) / 2
        update("discriminator", discriminator)
        losses = {"generator": (self.discriminator(fake) - 1).square().mean(), "discriminator": discriminator}
        names = ("coarse", "local", "global")
        terms = [self.reconstruction(coarse, batch), *(self.refinement(output, batch) for output in refined)]
        losses |= dict(zip(names, terms, strict=True))
        update("generator", self.config.gan * losses["generator"] + torch.stack(terms).sum())
        return losses

    def reconstruction(self, output: Tensor, batch: Batch) -> Tensor:
        """L1 over known pixels and over the hole, each by its size in its image."""
        error = (output - batch.image).abs().mean(1, keepdim=True)

        def over(region: Tensor) -> Tensor:
            return ((error * region).sum((1, 2, 3)) / (region.sum((1, 2, 3)) + 1e-12)).mean()

        return self.config.valid * over(1 - batch.mask) + self.config.hole * over(batch.mask)

    def refinement(self, output: Tensor, batch: Batch) -> Tensor:
        """All losses of a refiner: perceptual and style on its image and on the completion, variation in the hole."""
        c, completed = self.config, batch.composite(output)
        raw, pasted = self.features(output, batch.image), self.features(completed, batch.image)
        likeness = c.perceptual * (raw[0] + pasted[0]) + c.style * (raw[1] + pasted[1])
        variation = c.variation * total_variation(completed * batch.mask)
        return self.reconstruction(output, batch) + likeness + variation


def _load(method: LGNet, state: Mapping[str, Tensor]) -> None:
    loads: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "coarse.": method.load_coarse,
        "local.": method.local_refiner.load_state_dict,
        "global.": method.global_refiner.load_state_dict,
    }
    for prefix, load in loads.items():
        load({name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)})


def _run(method: LGNet, inputs: Inputs) -> dict[str, Tensor]:
    images = method.steps(Batch(inputs.image(), inputs.mask()), Noise([0]))
    return {f"out{i}": image for i, image in enumerate(images, start=1)}


def _pass(method: LGNet) -> Tensor:
    return method.complete(Batch(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)), Noise([0]))


LGNet.golden = {
    "lgnet": Golden(
        build=LGNet.create,
        load=_load,
        run=_run,
        parts=lambda method: {
            "coarse": method.coarse,
            "local": method.local_refiner,
            "global": method.global_refiner,
            "total": method,
        },
        costs={
            "coarse": lambda method: method.coarse(torch.empty(1, 4, 256, 256)),
            "local": lambda method: method.local_refiner(torch.empty(1, 4, 256, 256)),
            "global": lambda method: method.global_refiner(torch.empty(1, 4, 256, 256)),
            "total": _pass,
        },
        keys={"coarse.": "lgnet.coarse", "local.": "lgnet.local", "global.": "lgnet.global"},
    ),
    "lgnet.discriminator": Golden(
        build=SNDiscriminator,
        run=lambda network, inputs: {"logits": network(inputs.image(batch=2))},
        parts=lambda network: {"D": network},
        costs={"D": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
