"""SemanticStyleGAN: draws each part of a face by codes of its own, so that a part can take another face's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.semanticstylegan.inversion import Inversion
from baselines.semanticstylegan.networks import Discriminator, Generator
from baselines.semanticstylegan.parts import CODES, PARTS, Part, shape, texture
from baselines.semanticstylegan.training import JointStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn import embedded
from bench.nn.perceptual import PerceptualDistance
from bench.nn.stylegan2 import NoiseMaps, Width, fixed, without_constants

CARD = Card(
    slug="semanticstylegan",
    name="SemanticStyleGAN",
    title="SemanticStyleGAN: Learning Compositional Generative Priors for Controllable Image Synthesis and Editing",
    authors="Shi, Yang, Wan, Shen",
    year=2022,
    venue="CVPR; arXiv 2112.02236",
    url="https://arxiv.org/abs/2112.02236",
    task="editing",
    resolution=512,
    params={"generator": 20_320_358},
    macs={"generator": 53.357e9},
    published={"CelebA-HQ, 550 pairs of one pose": "FID 32.54, LPIPS 0.5801 (thesis, table 6.7)"},
    training="logistic loss; R1 every 16 steps, gamma 10 (pictures) and 1000 (segmentations); coarse masks 100; path "
    "length 0.5 every 4 steps; style mixing 0.3; Adam 0.002 (0, 0.99) with lazy correction, batch 32, 200,000 "
    "iterations; EMA half-life 10,000 pictures",
    features="LPIPS (VGG-16), for the search of a picture's codes",
    convention="no mask and no picture as input: codes are searched, and the whole picture is drawn anew; linear "
    "output, trained to [-1, 1]",
    licence="CC BY-NC-SA 4.0 (licence files; the readme says CC BY 4.0)",
    weights="the authors' GitHub release 1.0.0: CelebAMask-HQ-512x512.pt, {g, d, g_ema, ..., args}; for `paper`",
    trained_on={"celeba-hq": ""},
    needs=("source",),
    takes=("exemplar",),
    choices={
        "textures": "all parts: an exemplar then gives its colours to a face that keeps its shape, which restyling "
        "asks for. A face is swapped by the codes of skin, eyes, brows, mouth and nose in both `shapes` and `textures`",
        "noise": "each completion has its own maps, the same for its search and for both pictures; a released file "
        "keeps one set",
        "pixels": "0: no picture is drawn again in training. tiny: the generator learns as an autoencoder, too, whose "
        "encoder training alone knows",
        "mixing": "drawn for each picture",
        "labels": "parts are merged from a label map, which one file for each part was drawn into before",
        "tuning_steps": "0. Otherwise one copy of the generator is tuned to both pictures (the authors: 200 to 400)",
        "inversion": "codes of the source and of its exemplar are searched at once, each for itself",
    },
    notes="A completion evaluates the generator 400 times for each of two pictures, forth and back. Counts of one "
    "evaluation are those of 256 px; at 512 px: 68.407 G.",
)


class SemanticStyleGANConfig(Config):
    """Sizes and losses of SemanticStyleGAN, and its search."""

    size: int = 512  # of the images, a power of two
    coarse: int = 64  # side of the parts' maps
    start: int = 16  # side of the renderer's first map
    local: int = 64  # channels of the parts' generators
    features: int = 512  # channels of what they give
    width: int = 32768  # channels of renderer and discriminator at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of z and w
    depth: int = 8  # layers of the mapping network
    noise: bool = True  # maps are added in every layer of the renderer
    learning_rate: float = 0.002
    batch_size: int = 32
    iterations: int = 200_000
    mixing: float = 0.3  # probability of two codes in one image
    mask: float = 100.0  # weight of the difference of coarse and fine segmentation
    gamma: float = 10.0  # weight of R1 on pictures
    segmentation_gamma: float = 1000.0  # on segmentations
    r1_every: int = 16  # iterations
    path: float = 0.5  # weight of the path length penalty
    path_every: int = 4  # iterations
    path_shrink: int = 2  # the penalty sees batch / shrink images
    pixels: float = 0.0  # L1 of pictures that are drawn again from an encoder's codes; as published: none
    perceptual: float = 0.0  # with it: LPIPS
    segmentation: float = 0.0  # with it: squared error of the segmentation
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the generator
    shapes: tuple[Part, ...] = ()  # parts whose shape is the exemplar's
    textures: tuple[Part, ...] = PARTS  # parts whose texture is the exemplar's
    steps: int = Field(default=400, ge=1)  # of the search
    rate: float = 0.1  # its largest learning rate
    squared: float = 0.1  # weight of the squared error
    near: float = 1.0  # weight of the distance to the mean code
    samples: int = Field(default=10_000, ge=1)  # codes whose mean the search begins with
    tuning_steps: int = Field(default=0, ge=0)  # of tuning the generator to both pictures
    tuning_rate: float = 1e-4
    compared: Source = "official"  # how pictures are compared in the search: LPIPS, or the embedded network

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.compared == "official":
            return []
        return [f"pictures are compared by {embedded.fingerprint('training')} in the search; the paper takes LPIPS"]


@lru_cache
def comparison(source: Source, like: torch.device, dtype: torch.dtype) -> PerceptualDistance:
    """The network that compares pictures in the search; it is no part of the method, and not saved with it."""
    return PerceptualDistance(source).to(like, dtype)


class SemanticStyleGAN(Method):
    """SemanticStyleGAN as released for CelebAMask-HQ."""

    card = CARD
    Config = SemanticStyleGANConfig
    config: SemanticStyleGANConfig
    presets = {
        "paper": SemanticStyleGANConfig(),
        "256": SemanticStyleGANConfig(size=256),
        "tiny": SemanticStyleGANConfig(
            size=64, coarse=16, start=8, local=24, features=48, width=1024, limit=64, code=64, depth=4, noise=False,
            learning_rate=0.008, batch_size=4, gamma=0.1, segmentation_gamma=1, path=0.1, path_every=16,
            pixels=10, perceptual=1, segmentation=10, ema=0.99, steps=40, squared=2,
            near=0.1, compared="embedded",
        ),
    }  # fmt: skip

    def __init__(self, config: SemanticStyleGANConfig):
        super().__init__(config)
        c = config
        widths = Width(c.width, c.limit)
        self.generator = Generator(c.size, widths, c.code, c.depth, c.coarse, c.start, c.local, c.features)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """The picture `batch.source`, drawn anew with codes of `batch.exemplar`; without one, with its own."""
        c, source, exemplar = self.config, batch.need("source"), batch.exemplar
        c.sizes().check(source, CARD.slug)
        with torch.inference_mode(False), torch.enable_grad():
            pictures = torch.stack([source] if exemplar is None else [source, exemplar], dim=1)
            maps = noise.maps(self.generator.sides) if c.noise else []
            drawn = [self.edited(searched, [m[i, None] for m in maps] or None) for i, searched in enumerate(pictures)]
        return torch.cat(drawn).clamp(-1, 1)

    def edited(self, pictures: Tensor, noise: NoiseMaps) -> Tensor:
        """The first of pictures (N, 3, H, W) with the options' codes of the last one: (1, 3, H, W)."""
        c, generator = self.config, self.generator
        inversion = Inversion(c, comparison(c.compared, pictures.device, pictures.dtype), pictures)
        codes = inversion.codes(generator, noise)
        if c.tuning_steps:
            generator = inversion.tuned(generator, codes, noise)
        with torch.no_grad():
            return generator(self.exchanged(codes[0], codes[-1])[None], noise).image

    def exchanged(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Codes (28, D) with those of another picture where the options say so."""
        numbers = [*map(shape, self.config.shapes), *map(texture, self.config.textures)]
        codes = ours.clone()
        codes[numbers] = theirs[numbers]
        return codes

    def stages(self, features: Source = "official") -> list[Stage]:
        return [JointStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take `g_ema` of CelebAMask-HQ-512x512.pt."""
        self.generator.load_state_dict(without_constants(state.get("g_ema", state)))


def _load(network: Any, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(without_constants(state))
    network.stored = [state[f"render_net.noises.noise_{layer}"] for layer in range(len(network.sides))]


def _run_generator(network: Any, inputs: Inputs) -> dict[str, Tensor]:
    drawn = network(0.7 * inputs.latent(1, CODES, 512), network.stored)
    rows = {"rgb": drawn.image[..., ::2, ::2], "seg": drawn.segmentation[..., ::8, ::8]}
    return rows | {"seg_coarse": drawn.coarse[..., ::8, ::8], "depths": drawn.depths[..., ::8, ::8]}


def _load_discriminator(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    names = {key: key.replace("convs_img.", "convs.") for key in state}
    network.load_state_dict(without_constants({names[key]: value for key, value in state.items()}))


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = torch.cat([inputs.image(offset=i) for i in range(2)])
    parts = torch.cat([inputs.image(channels=len(PARTS), offset=20 + i) for i in range(2)])
    return {"logits": network.both(images, parts), "logits_image_only": network(images)}


def _judged(network: Discriminator) -> Tensor:
    """As it was recorded: with segmentations, and without."""
    images = torch.empty(2, 3, 256, 256)
    return network.both(images, torch.empty(2, len(PARTS), 256, 256)) + network(images)


SemanticStyleGAN.golden = {
    "semanticstylegan.generator": Golden(
        build=lambda: Generator(512, Width()),
        load=_load,
        run=_run_generator,
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(torch.empty(1, CODES, 512))},
    ),
    "semanticstylegan.discriminator256": Golden(
        build=lambda: Discriminator(256, Width()),
        load=_load_discriminator,
        run=_run_discriminator,
        parts=lambda network: {"total": network},
        costs={"all": _judged},
    ),
}
