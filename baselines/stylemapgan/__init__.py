"""StyleMapGAN: the style of a StyleGAN2 becomes a small map, so that a region can be taken from another picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.stylemapgan.networks import Decoder, Encoder, Generator, StyleMapping, mixed
from baselines.stylemapgan.training import JointStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import Discriminator, Width, fixed, without_constants

CARD = Card(
    slug="stylemapgan",
    name="StyleMapGAN",
    title="Exploiting Spatial Dimensions of Latent in GAN for Real-time Image Editing",
    authors="Kim, Choi, Kim, Yoo, Uh",
    year=2021,
    venue="CVPR; arXiv 2104.14754",
    url="https://arxiv.org/abs/2104.14754",
    task="editing",
    resolution=256,
    params={"generator": 79_744_323, "encoder": 17_617_600, "discriminator": 28_864_129},
    macs={"generator": 220.847e9, "encoder": 46.806e9},
    training="generator, discriminator: logistic loss 1; encoder: L2 of the stylemaps of made pictures 1; both: L2 1, "
    "LPIPS (VGG) 1, logistic loss 1; R1 gamma 10 every 16 steps; Adam 0.002 (0, 0.99), batch 16, 1,250,000 iterations "
    "(1.4 million at most); EMA 0.999; mirrored pictures",
    features="VGG-16 (LPIPS v0.1)",
    convention="mask -1 and 1, 1 = taken from the reference; images in [-1, 1]; the output is cut to that range",
    licence="CC BY-NC 4.0 (code and weights)",
    weights="the authors' download.sh: celeba_hq_256_8x8.pt (20 million pictures seen; of 5 million in the paper's "
    "comparisons: celeba_hq_5M_256_8x8.pt); {g_ema, e_ema, ...}",
    trained_on={"celeba-hq": ""},
    needs=("source", "exemplar"),
    choices={
        "mixed": "w+: the maps of all layers, as for CelebA-HQ. w: the stylemap alone, as for animals",
        "mask": "ours: what is under it is taken from the exemplar. The authors join the part's masks of both pictures",
        "source": "it is coded whole: the method sees what it takes the place of",
    },
    notes="All of the picture is drawn anew. Multiply-accumulates of the generator are its decoder's. The preset "
    "1024-light, of 16 x 16 stylemaps: 21,243,619 parameters, encoder 12,784,224.",
)


class StyleMapGANConfig(Config):
    """Sizes and losses of StyleMapGAN."""

    size: int = 256  # of the images, a power of two
    side: int = 8  # of stylemaps
    channels: int = 64  # of stylemaps
    light: bool = False  # maps that are made of them have as many
    width: int = 32768  # channels of all networks at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 64  # entries of z
    depth: int = 8  # layers of the mapping network
    mixed: Literal["w+", "w"] = "w+"  # where the exemplar's maps come in
    learning_rate: float = 0.002
    batch_size: int = 16
    iterations: int = 1_250_000
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    ema: float = 0.999  # moving average of generator and encoder

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class StyleMapGAN(Method):
    """StyleMapGAN as released for CelebA-HQ; `1024-light` as for FFHQ."""

    card = CARD
    Config = StyleMapGANConfig
    config: StyleMapGANConfig
    presets = {
        "paper": StyleMapGANConfig(),
        "1024-light": StyleMapGANConfig(size=1024, side=16, light=True),
        "tiny": StyleMapGANConfig(
            size=64, channels=16, width=1024, limit=48, code=32, depth=4, batch_size=4, ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: StyleMapGANConfig):
        super().__init__(config)
        c, width = config, Width(config.width, config.limit)
        mapping = StyleMapping(c.code, c.depth, c.channels, c.side)
        self.generator = Generator(mapping, Decoder(c.size, width, c.side, c.channels, c.light))
        self.encoder = Encoder(c.size, width, c.side, c.channels)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """`source` with what is under the mask taken from `exemplar`, both drawn anew."""
        source, exemplar = batch.need("source"), batch.need("exemplar")
        self.config.sizes().check(source, CARD.slug)
        return self.edit(self.encoder(source), self.encoder(exemplar), batch.mask).clamp(-1, 1)

    def edit(self, ours: Tensor, theirs: Tensor, mask: Tensor) -> Tensor:
        """The picture (N, 3, H, W) of a stylemap with the region of another one (section 3.3).

        `mask`: (N, 1, H, W), 1 = of the other one.
        """
        decoder = self.generator.decoder
        if self.config.mixed == "w":
            return decoder(mixed(ours, theirs, mask))
        pairs = zip(decoder.styles(ours), decoder.styles(theirs), strict=True)
        return decoder.draw([mixed(a, b, mask) for a, b in pairs])

    def stages(self, features: Source = "official") -> list[Stage]:
        return [JointStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take celeba_hq_256_8x8.pt: {g_ema, e_ema, ...}."""
        self.generator.load_state_dict(without_constants(state["g_ema"]))
        self.encoder.load_state_dict(without_constants(state["e_ema"]))


def _load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(without_constants(state))


def _stylemap(inputs: Inputs, offset: int) -> Tensor:
    return 0.7 * inputs.latent(1, 64, 8, 8, offset=offset)


def _run_generator(method: StyleMapGAN, inputs: Inputs) -> dict[str, Tensor]:
    ours, theirs = (_stylemap(inputs, offset) for offset in range(2))
    return {"image": method.generator.decoder(ours), "mix_w_plus": method.edit(ours, theirs, inputs.mask())}


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = torch.cat([inputs.image(offset=i) for i in range(4)])
    return {"logits": network(images), "features": network.convs(images)[:, ::8]}


StyleMapGAN.golden = {
    "stylemapgan.generator": Golden(
        build=StyleMapGAN.create,
        load=lambda method, state: _load(method.generator, state),
        run=_run_generator,
        parts=lambda method: {"total": method.generator, **dict(method.generator.named_children())},
        costs={"decoder 256": lambda method: method.generator.decoder(torch.empty(1, 64, 8, 8))},
    ),
    "stylemapgan.mapping": Golden(
        build=lambda: nn.ModuleDict({"mapping_z": StyleMapping()}),
        run=lambda network, inputs: {"stylemap": network["mapping_z"](inputs.latent(2, 64))},
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network["mapping_z"](torch.empty(2, 64))},
    ),
    "stylemapgan.encoder": Golden(
        build=lambda: StyleMapGAN.create().get_submodule("encoder"),
        load=_load,
        run=lambda network, inputs: {"stylemap": network(inputs.image())},
        parts=lambda network: {"total": network},
        # ours filters only the pixels that the shortcuts read
        costs={"256": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
    "stylemapgan.discriminator": Golden(
        build=lambda: Discriminator(256, Width(32768)),
        load=_load,
        run=_run_discriminator,
        parts=lambda network: {"total": network},
        costs={"one image at 256": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
