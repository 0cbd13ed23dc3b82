"""SEAN: draws a face from a label map that may be edited, each region in the style that it has in a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from baselines.sean.networks import LABELS, Discriminator, Generator, maps
from baselines.sean.training import SEANStage, started
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.celebamask import relabelled
from bench.nn.spade import START

CARD = Card(
    slug="sean",
    name="SEAN",
    title="SEAN: Image Synthesis with Semantic Region-Adaptive Normalization",
    authors="Zhu et al.",
    year=2020,
    venue="CVPR",
    url="https://github.com/ZPdesu/SEAN",
    task="editing",
    resolution=256,
    params={"generator": 266_907_367, "discriminator": 1_364_098},
    macs={"generator": 343.245e9, "discriminator": 1.895e9},
    published={
        "CelebA-HQ": "FID 28.74, U-IDS 0 %, LPIPS 0.2595 (thesis, table 6.5)",
        "FFHQ": "FID 26.55, U-IDS 1.5 %, LPIPS 0.3801 (likewise)",
    },
    training="hinge loss 1, feature matching 10, VGG-19 10, discriminators at two scales; Adam 1e-4 (0, 0.9), "
    "discriminators 4e-4, batch 32, 50 epochs of 28,000 pictures and 50 falling to 0",
    features="VGG-19 (ImageNet)",
    convention="no masks: the whole picture is drawn anew; labels in CelebAMask-HQ's own order; tanh",
    licence="CC BY-NC-SA 4.0 (non-commercial)",
    weights="the authors' CelebA-HQ_pretrained.tar.gz (Google Drive): latest_net_G.pth, a plain state",
    trained_on={"celeba-hq": ""},
    needs=("source", "semantics"),
    takes=("layout",),
    choices={
        "absent": "a region that is wanted, but absent in the picture, has a code of 0, as released. The authors' "
        "program for editing by hand takes mean codes, which it keeps in files",
        "noise": "each completion has its own: the norms add some, with learned strengths, as released",
        "initial values": "Xavier's, gain 0.02; layers under spectral norm, where a gain has no effect, keep PyTorch's",
        "judge_halvings": "3, as released. SPADE's default is 4",
    },
    notes="All sides that are multiples of 32 are edited. Nothing outside an edit is kept by the network: the harness "
    "pastes the picture around the mask.",
)


class SEANConfig(Config):
    """Sizes and losses of SEAN."""

    width: int = 64  # channels of the generator's last block, 16 times as many in its first
    hidden: int = 128  # channels of what the layout's scales and shifts are made of
    encoder_width: int = 32  # channels of the style encoder's first layer
    code: int = 512  # entries of a region's code
    judge_width: int = 64  # channels of the discriminators' first layer
    judge_halvings: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-4  # of the generator; the discriminators learn at four times
    gain: float = 0.02  # of the initial values
    adversarial: float = 1.0  # weights of the losses
    matching: float = 10.0
    perceptual: float = 10.0
    pixels: float = 0.0  # L1; as published: none
    ema: float = 0.0  # moving average of the generator; as published: none

    def sizes(self, features: Source | None = None) -> Sizes:
        # batch normalisation trains on no single pixel
        return Sizes(START, START if features is None else 2 * START)


class SEAN(Method):
    """SEAN as released."""

    card = CARD
    Config = SEANConfig
    config: SEANConfig
    presets = {
        "paper": SEANConfig(),
        "tiny": SEANConfig(
            width=6, hidden=12, encoder_width=8, code=32, judge_width=12, batch_size=4, learning_rate=1e-3, gain=1,
            adversarial=0.1, matching=1, perceptual=1, pixels=10, ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: SEANConfig):
        super().__init__(config)
        c = config
        self.generator = Generator(c.width, c.hidden, c.encoder_width, c.code)
        started(self.generator, c.gain)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """The picture `batch.source` with the labels `batch.layout`; without one it is drawn again with its own."""
        picture = batch.need("source")
        self.config.sizes().check(picture, CARD.slug)
        labels, wanted = relabelled(batch)
        codes = self.generator.Zencoder(picture, labels)
        return self.generator(wanted, codes, maps(noise, picture.shape[2:]))

    def stages(self, features: Source = "official") -> list[Stage]:
        return [SEANStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take latest_net_G.pth."""
        self.generator.load_state_dict(state)


def _planes(inputs: Inputs) -> Tensor:
    values = inputs.image(channels=LABELS, offset=100)
    return (values == values.amax(1, keepdim=True)).to(values.dtype)


def _run_generator(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
    labels = _planes(inputs)
    codes = network.Zencoder(inputs.image(), labels)
    return {"image": network(labels, codes, maps(Noise([0]), (256, 256))), "codes": codes}  # strengths of noise are 0


def _pass(network: Generator) -> Tensor:
    """As it was recorded: the style encoder runs for the codes, and again within the generator's pass."""
    labels, image = torch.empty(1, LABELS, 256, 256), torch.empty(1, 3, 256, 256)
    network.Zencoder(image, labels)
    return network(labels, network.Zencoder(image, labels), maps(Noise([0]), (256, 256)))


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    full, half = network(torch.cat([_planes(inputs), inputs.image()], dim=1))
    return {"score0": full[-1], "score1": half[-1], "feat0_1": full[1][:, ::16]}


SEAN.golden = {
    "sean.generator": Golden(
        build=lambda: Generator(64, 128, 32, 512),
        run=_run_generator,
        parts=lambda network: {"total": network},
        costs={"all": _pass},
    ),
    "sean.discriminator": Golden(
        build=lambda: Discriminator(64, 3),
        run=_run_discriminator,
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(torch.empty(1, LABELS + 3, 256, 256))},
    ),
}
