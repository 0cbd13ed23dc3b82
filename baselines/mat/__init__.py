"""MAT: attention to known tokens only for a first picture, a U-Net with style modulation for the final one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from baselines.mat.first_stage import FirstStage, sides_of
from baselines.mat.official import DISCRIMINATORS, GENERATOR, from_released
from baselines.mat.second_stage import SecondStage
from baselines.mat.training import Discriminators, MATStage
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import NoiseMaps, Width, check_size
from bench.nn.stylegan2_blocks import Mapping as MappingNetwork

CARD = Card(
    slug="mat",
    name="MAT",
    title="MAT: Mask-Aware Transformer for Large Hole Image Inpainting",
    authors="Li, Lin, Zhou, Qi, Wang, Jia",
    year=2022,
    venue="CVPR; arXiv 2203.15270",
    url="https://arxiv.org/abs/2203.15270",
    resolution=512,
    params={"generator": 59_779_834, "discriminators": 36_083_330},
    macs={"generator": 140.117e9, "discriminators": 58.921e9},
    published={
        "parameters": "62.0 M (thesis, table 4.4): those of the 512 px model, 61,562,518 (preset `512`)",
        "FLOPs": "139.11 G at 256 px (thesis, table 4.4): all convolutions and matrix products, without FIR filters",
    },
    training="Adam 0.001 (0, 0.99) with lazy correction, batch 32, 25,000 kimg (CelebA-HQ; Places365: 50,000); "
    "logistic loss of both stages, R1 gamma 10 every 16 steps, perceptual 0.1 (conv4_4 1/4, conv5_4 1/2), no "
    "pixel loss; style mixing 0.5, truncation 0.5; EMA half-life 10 kimg",
    features="VGG-19 (ImageNet)",
    convention="1 = known; the mask minus 0.5 goes first, then the image with holes 0, in [-1, 1]; linear output",
    licence="CC BY-NC 4.0; StyleGAN2-ADA's parts: NVIDIA Source Code License",
    weights="CelebA-HQ.pkl, CelebA-HQ_256.pkl (trained again, after the first was lost), FFHQ and Places365 at 512 px: "
    "pickles of (G, D, G_ema); or the state dict Places_512_FullData_G.pth of Sanster/models",
    trained_on={"celeba-hq": "", "ffhq": "", "places365": "train"},
    choices={
        "perceptual": "0.1, of the released command",
        "l1": "0 as released, where the term is only logged; the preset `tiny` uses it",
        "group": "8, of the released configurations; the class default is 4",
    },
    notes="Half of the coarsest features of both stages are replaced by the code, at random and in tests too, as "
    "released. Noise maps are drawn for each image; the released code does so at 256 px and keeps one draw at 512 px. "
    "Not taken over: gradients clipped to 1e5.",
)


class MATConfig(Config):
    """Sizes and losses of MAT."""

    size: int = 256  # of the images, a power of two, at least twice `tokens`
    tokens: int = 64  # side of the finest map with attention, a power of two of at least 16
    dim: int = 180  # channels of the first stage
    heads: int = 6  # of its attention
    depths: tuple[int, int, int, int, int] = (2, 3, 4, 3, 2)  # blocks at 1, 1/2, 1/4, 1/2 and 1 of `tokens`
    windows: tuple[int, int, int, int, int] = (8, 16, 16, 16, 8)  # sides of the windows there
    width: int = 32768  # channels of the second stage at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of z and w
    whole: int = 1024  # entries of the second stage's code of the whole picture
    depth: int = 8  # layers of the mapping network
    learning_rate: float = 0.001
    batch_size: int = 32
    mixing: float = 0.5  # probability of two codes in one image
    truncation: float = 0.5  # of the codes in training; 1: none, as in tests
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    group: int = 8  # images that a discriminator compares
    perceptual: float = 0.1  # weight of the perceptual loss
    l1: float = 0.0  # weight of the reconstruction loss of both stages
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the generator
    masks: str = "mat"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(smallest=2 * self.tokens, powers=True, only=self.size, option="size")


class Generator(nn.Module):
    """Two stages; the second refines the picture of the first, its holes filled (Fig. 2)."""

    def __init__(self, config: MATConfig):
        super().__init__()
        c = self.config = config
        check(c)
        self.sizes = c.sizes()
        self.mapping = MappingNetwork(c.code, c.depth)
        self.first_stage = FirstStage(c.size, c.dim, c.heads, c.depths, c.windows, c.tokens, c.code)
        self.second_stage = SecondStage(c.size, Width(c.width, c.limit), c.tokens // 4, c.code, c.whole)
        self.codes = self.second_stage.codes

    def random(self, noise: Noise) -> dict[str, Any]:
        """What `forward` takes from random numbers: which features the codes replace, and noise maps."""
        side = self.second_stage.coarsest
        kept = [noise.uniform(n, side, side) < 0.5 for n in (self.config.dim, self.second_stage.inside)]
        return {"kept": kept, "noise": noise.maps(self.second_stage.sides)}

    def forward(
        self, masked: Tensor, mask: Tensor, codes: Tensor, kept: list[Tensor], noise: NoiseMaps = None
    ) -> tuple[Tensor, Tensor]:
        """The completions (N, 3, size, size) of the second and of the first stage, with codes w (N, codes, D).

        Holes of `masked` are 0, 1 = hole. `kept`: the features that stay, bool, one map a stage.
        """
        self.sizes.check(masked, "this network")
        known = 1 - mask
        first = masked + mask * self.first_stage(masked, known, codes[:, -1], kept[0])
        final = masked + mask * self.second_stage(first, masked, known, codes, kept[1], noise)
        return final, first


def check(c: MATConfig) -> None:
    """Raise BenchError unless sizes fit together."""
    check_size(c.size)
    whole = all(side % window == 0 for side, window in zip(sides_of(c.tokens), c.windows, strict=True))
    if c.tokens < 16 or c.tokens & (c.tokens - 1) or c.size < 2 * c.tokens or not whole or c.dim % c.heads:
        raise BenchError(
            "mat: `tokens` must be a power of two of at least 16 and at most half of `size`, its maps cut into whole "
            "`windows`, and `dim` a multiple of `heads`"
        )


class MAT(Method):
    """MAT as released, at 256 px as in the thesis (`paper`), and at 512 px as in its paper."""

    card = CARD
    Config = MATConfig
    config: MATConfig
    presets = {
        "paper": MATConfig(),
        "512": MATConfig(size=512),
        "tiny": MATConfig(
            size=64,
            tokens=16,
            dim=32,
            heads=4,
            depths=(1, 1, 1, 1, 1),
            windows=(16, 8, 4, 8, 16),
            width=1024,
            limit=64,
            code=64,
            whole=128,
            depth=4,
            learning_rate=0.01,
            batch_size=4,
            truncation=1,
            gamma=1,
            group=4,
            perceptual=1,
            l1=50,
            ema=0.98,
            masks="irregular",
        ),
    }

    def __init__(self, config: MATConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The pictures of the two stages; their outputs are linear, and cut to [-1, 1] as released."""
        generator = self.generator
        codes = generator.mapping(noise.normal(self.config.code))[:, None].expand(-1, generator.codes, -1)
        final, first = generator(batch.masked, batch.mask, codes, **generator.random(noise))
        return [first.clamp(-1, 1), final.clamp(-1, 1)]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [MATStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the pickle (G, D, G_ema) or the state dict of its generator."""
        others = ("G.", "D.", "augment_pipe.")  # what else is in a pickle
        state = {k.removeprefix("G_ema."): v for k, v in state.items() if not k.startswith(others)}
        self.generator.load_state_dict(from_released(state, self.generator, GENERATOR))


def _run_generator(method: MAT, inputs: Inputs) -> dict[str, Tensor]:
    generator, size = method.generator, method.config.size
    batch = Batch(inputs.image(size), inputs.mask(size))
    tokens = inputs.latent(1, 256, 180, offset=100).transpose(1, 2).unflatten(2, (16, 16))
    kept = [tokens > 0, inputs.latent(1, 512, 16, 16, offset=200) > 0]
    thin = size // 256  # of the 512 px pictures, every second pixel is stored
    w = generator.mapping(inputs.latent(1, 512))[:, None].expand(-1, generator.codes, -1)
    outputs = {"ws": w}
    for ending, codes in (("", w), ("_w", inputs.latent(1, generator.codes, 512, offset=1))):
        pictures = generator(batch.masked, batch.mask, codes, kept)
        outputs |= {name + ending: x[:, :, ::thin, ::thin] for name, x in zip(("out", "stg1"), pictures, strict=True)}
    return outputs


def _parts(generator: Generator) -> dict[str, nn.Module]:
    """The generator and its parts, as the golden files count them."""
    second = generator.second_stage
    return {
        "G": generator,
        "mapping": generator.mapping,
        "synthesis": nn.ModuleList([generator.first_stage, second]),
        "first_stage": generator.first_stage,
        "enc": second.enc,
        "to_square": second.to_square,
        "to_style": second.to_style,
        "dec": nn.ModuleList([second.start, second.dec]),
    }


def _generator(preset: str) -> Golden:
    def picture(method: MAT) -> tuple[Tensor, Tensor, Tensor]:
        c = method.config
        return torch.empty(1, 3, c.size, c.size), torch.empty(1, 1, c.size, c.size), torch.empty(1, c.dim, 16, 16) > 0

    def whole(method: MAT) -> None:
        generator, (image, mask, kept) = method.generator, picture(method)
        codes = generator.mapping(torch.empty(1, 512))[:, None].expand(-1, generator.codes, -1)
        generator(image, mask, codes, [kept, torch.empty(1, 512, 16, 16) > 0])

    def first(method: MAT) -> Tensor:
        image, mask, kept = picture(method)
        return method.generator.first_stage(image, mask, torch.empty(1, 512), kept)

    return Golden(
        build=lambda: MAT.create(preset),
        load=MAT.load_official,
        run=_run_generator,
        parts=lambda method: _parts(method.generator),
        costs={
            "G": whole,
            "first_stage": first,
            "mapping": lambda method: method.generator.mapping(torch.empty(1, 512)),
        },
    )


def _run_discriminators(network: Discriminators, inputs: Inputs) -> dict[str, Tensor]:
    size = network.final.size
    final, first = inputs.image(size, batch=2), inputs.image(size, batch=2, offset=50)
    logits = network(final, first, inputs.mask(size, batch=2))
    return dict(zip(("logits", "logits_stg1"), logits, strict=True))


def _discriminators(size: int) -> Golden:
    def cost(network: Discriminators) -> tuple[Tensor, Tensor]:
        image = torch.empty(1, 3, size, size)
        return network(image, image, image[:, :1])

    return Golden(
        build=lambda: Discriminators(size, 32768, 512, group=8),
        load=lambda network, state: network.load_state_dict(from_released(state, network, DISCRIMINATORS)),
        run=_run_discriminators,
        parts=lambda network: {"D": network, "Dis": network.final, "Dis_stg1": network.first},
        # ours filters only the pixels that the shortcuts read: at 512 px 1 % under the recorded count
        costs={"D": cost} if size == 256 else {},
    )


MAT.golden = {
    "mat.generator": _generator("paper"),
    "mat.generator512": _generator("512"),
    "mat.discriminator": _discriminators(256),
    "mat.discriminator512": _discriminators(512),
}
