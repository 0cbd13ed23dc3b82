"""MI-GAN: a small network of separable convolutions, whose training form is re-parametrised and taught by CoModGAN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.comodgan import CoModGAN
from baselines.migan.networks import Discriminator, Down, Generator, Separable, Synthesis, Up, fuse, seen, split
from baselines.migan.training import MIGANStage
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import Width, fixed
from bench.nn.stylegan2_blocks import low_pass

CARD = Card(
    slug="migan",
    name="MI-GAN",
    title="MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices",
    authors="Sargsyan, Navasardyan, Xu, Shi",
    year=2023,
    venue="ICCV",
    url="https://github.com/Picsart-AI-Research/MI-GAN",
    resolution=256,
    params={"generator": 5_865_505, "discriminator": 39_002_835},
    macs={"generator": 10.582e9, "discriminator": 6.753e9},
    published={
        "parameters": "5,943,617 by the authors' script, with 78,112 values of fixed filters; 5,973,366 at 512 px",
        "FLOPs": "11.201 G by the authors' script: 10.894 G of convolutions, fixed filters on zeros included, and an "
        "operation for each value of activations, sums, products and resizing; 15.721 G at 512 px",
    },
    training="Adam 0.001 (0, 0.99) with lazy correction, batch 32, 50,000 kimg at 256 px, 25,000 at 512, 30,000 in "
    "ablations; logistic loss on composites, R1 gamma 10 every 16 steps, distillation 2 from CoModGAN of the same "
    "size, no loss against the photograph; EMA half-life 20 kimg; CoModGAN's masks",
    convention="1 = known; the mask minus 0.5 goes first, then the image with holes 0; linear output",
    licence="MIT; files from StyleGAN2-ADA carry NVIDIA's notice",
    weights="the authors' Google Drive: migan_256_ffhq.pt, migan_256_places2.pt, migan_512_places2.pt, bare state "
    "dicts of the fused form; a second folder has the teachers",
    trained_on={"ffhq": "", "places365": "train"},
    requires=("comodgan",),
    choices={
        "tensors": "9: every released configuration, which overrides the code's 4; the paper states 8",
        "distilled_from": "32: as released. The preset `tiny` distils all resolutions, with more weight, in place of "
        "millions of adversarial steps",
    },
    notes="Counted is the fused form of the generator, which completes images, without the fixed filters; its training "
    "form has 52,686,881 parameters. Deterministic: the noise maps are part of the weights. The known pixels of the "
    "raw output are not trained and look wrong. The weights for FFHQ saw pictures 10,000 to 69,999 by name; its first "
    "10,000 tested them.",
)


class MIGANConfig(Config):
    """Sizes and losses of MI-GAN."""

    size: int = 256  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    tensors: int = Field(default=9, ge=1)  # that make up a kernel in training; 1: no re-parametrisation
    distillation: float = Field(default=2.0, ge=0)  # weight of the teacher's pictures
    distilled_from: int = 32  # the smallest resolution at which they are compared
    learning_rate: float = 0.001
    batch_size: int = 32
    kimg: int = 50_000  # thousands of training images
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    ema: float = 0.5 ** (32 / 20_000)  # moving average of the generator
    masks: str = "comodgan"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class MIGAN(Method):
    """MI-GAN as released. Its stages put the generator into the training form, `eval` fuses it."""

    card = CARD
    Config = MIGANConfig
    config: MIGANConfig
    teacher: CoModGAN | None
    complete_weights = True  # the teacher serves training alone
    presets = {
        "paper": MIGANConfig(),
        "512": MIGANConfig(size=512, kimg=25_000),
        "tiny": MIGANConfig(
            size=64,
            width=1024,
            limit=64,
            distillation=50,
            distilled_from=4,
            learning_rate=0.008,
            batch_size=4,
            gamma=0.1,
            ema=0.99,
            masks="irregular",
        ),
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "w/o distillation": {"distillation": 0.0, "kimg": 30_000},
        "w/o re-parametrisation": {"tensors": 1, "kimg": 30_000},
    }

    def __init__(self, config: MIGANConfig):
        super().__init__(config)
        self.teacher = None
        self.generator = Generator(config.size, Width(config.width, config.limit))

    def attach(self, priors: Mapping[str, Method]) -> None:
        teacher = priors["comodgan"]
        assert isinstance(teacher, CoModGAN)
        ours, theirs = self.config.size, teacher.config.size
        if ours != theirs:
            raise BenchError(
                f"migan of {ours} px cannot learn from a comodgan of {theirs} px: set the option size of one of them"
            )
        object.__setattr__(self, "teacher", teacher)  # not registered: no part of the trained method

    def train(self, mode: bool = True) -> MIGAN:
        super().train(mode)
        if not mode:
            fuse(self.generator)
        return self

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, batch.mask)[0]

    def stages(self, features: Source = "official") -> list[Stage]:
        self.generator.split(self.config.tensors)
        return [MIGANStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a released checkpoint, which is in the fused form."""
        fuse(self.generator)
        filters = re.compile(r"\.(filter\.weight|filter_const)$")  # fixed
        self.generator.load_state_dict({key: value for key, value in state.items() if not filters.search(key)})


def from_training(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names of a split network for those of the authors' training form, where noise belongs to a convolution."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"\.w(\d)$", r".parametrizations.weight.original\1", key)
        key = re.sub(r"fromrgb\.weight$", "fromrgb.parametrizations.weight.original0", key)
        key = re.sub(r"\.conv2\.(noise_\w+)$", r".\1", key)
        renamed[key.replace("skip.", "skip.1.")] = value
    return renamed


def _with_filters(network: nn.Module) -> nn.Module:
    """The network and its fixed 4x4 filters, one a channel, which the released form keeps as parameters."""
    channels = 0
    for layer in network.modules():
        if isinstance(layer, Separable):
            channels += layer.conv2.in_channels * isinstance(layer.down, Down)
            channels += layer.conv2.out_channels * isinstance(layer.up, Up)
        elif isinstance(layer, Synthesis):
            channels += 3 * (len(layer) - 1)  # those of the pictures
    return nn.ModuleList([network, nn.Conv2d(1, channels, 4, bias=False)])


def _parts(network: Generator) -> dict[str, nn.Module]:
    parts = {"generator": network, "encoder": network.encoder, "synthesis": network.synthesis}
    return {name: _with_filters(part) for name, part in parts.items()} | {"generator_without_fir": network}


def _resized(network: nn.Module, down: nn.Module, up: nn.Module | None = None) -> Any:
    """The network with other layers in the place of its filters, for counting."""
    for layer in list(network.modules()):
        for name, child in list(layer.named_children()):
            if isinstance(child, Down):
                setattr(layer, name, down)
            elif isinstance(child, Up) and up:
                setattr(layer, name, up)
    return network


class _AtEveryPixel(Down):
    """The filter as the authors' discriminator computes it: at every pixel, of which every second is read."""

    def forward(self, x: Tensor) -> Tensor:
        return low_pass(x, 1)[..., ::2, ::2]


def _run_generator(method: MIGAN, inputs: Inputs) -> dict[str, Tensor]:
    batch = Batch(inputs.image(), inputs.mask())
    x, features = method.generator.encoder(seen(batch.masked, batch.mask))
    out, _ = method.generator.synthesis(x, features)
    return {
        "x_global": x,
        "feat256": features[256],
        "feat32": features[32],
        "out": out,
        "composite": batch.composite(out),
    }


def _training_form() -> Generator:
    network = Generator(256, Width())
    network.split(9)
    return network


def _discriminator() -> Discriminator:
    network = Discriminator(256, Width())
    split(network, 9)
    return network


def _run_training(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
    batch = Batch(inputs.image(), inputs.mask())
    out, added = network(batch.masked, batch.mask)
    none = [torch.zeros(1, 1, side, side, dtype=out.dtype) for side in network.synthesis.sides]
    return {
        "out": out,
        "out_no_noise": network(batch.masked, batch.mask, none)[0],
        "rgb32": added[32],
        "rgb128": added[128],
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    given = seen(inputs.image(batch=4), inputs.mask(batch=4))
    return {"logits4": network(given), "logits1": network(given[:1])}


MIGAN.golden = {
    "migan.generator": Golden(
        build=MIGAN.create,
        load=MIGAN.load_official,
        run=_run_generator,
        parts=lambda method: _parts(method.generator),
        costs={
            "generator_without_fir": lambda method: _resized(method.generator, nn.AvgPool2d(2), nn.Upsample(None, 2))(
                torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)
            ),
            "encoder": lambda method: method.generator.encoder(torch.empty(1, 4, 256, 256)),
        },
    ),
    "migan.training": Golden(
        build=_training_form,
        load=lambda network, state: network.load_state_dict(from_training(state)),
        run=_run_training,
        parts=lambda network: {"generator": network, "encoder": network.encoder, "synthesis": network.synthesis},
    ),
    "migan.discriminator": Golden(
        build=_discriminator,
        load=lambda network, state: network.load_state_dict(from_training(state)),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: _resized(network, _AtEveryPixel())(torch.empty(1, 4, 256, 256))},
    ),
}
