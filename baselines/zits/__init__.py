"""ZITS: a transformer completes edges and lines, and a texture network with Fourier convolutions paints on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.lama import Discriminator
from baselines.zits.structure import StructureEncoder, Upsampler, hole_positions, sinusoids
from baselines.zits.texture import TextureGenerator
from baselines.zits.training import BaseStage, IterativeStage, StructureStage, TextureStage, UpsamplerStage
from baselines.zits.transformer import StructureTransformer
from baselines.zits.wireframe import INPUT, WireframeDetector, prepared
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.canny import canny, to_grey
from bench.nn.dilated_resnet import SegmentationLoss

CARD = Card(
    slug="zits",
    name="ZITS",
    title="Incremental Transformer Structure Enhanced Image Inpainting with Masking Positional Encoding",
    authors="Dong, Cao, Fu",
    year=2022,
    venue="CVPR; arXiv 2203.00867",
    url="https://arxiv.org/abs/2203.00867",
    resolution=256,
    params={
        "generator": 27_049_795,
        "encoder": 22_585_734,
        "transformer": 18_450_434,
        "upsampler": 78_466,
        "discriminator": 6_962_369,
        "wireframe (frozen)": 10_330_387,
        "perceptual network (frozen)": 23_631_808,
    },
    macs={
        "generator": 31.874e9,
        "encoder": 37.220e9,
        "transformer": 31.986e9,
        "upsampler": 5.088e9,
        "discriminator": 3.144e9,
        "perceptual network (frozen)": 26.687e9,
    },
    published={
        "parameters": "68.16 M (thesis, table 4.4), the four networks that complete images (68,164,429); 67.90 M "
        "(table 5.2): a profiler of layers does not see the transformer's position table (262,144)",
        "FLOPs": "270.08 G at 256 px (table 4.4): close to five passes of the transformer, the upsampler on both maps "
        "from 256 to 512 px, encoder and generator: 269.73 G. 182.73 G (table 5.2): close to one pass of each by "
        "thop's rule, which counts transposed convolutions four times and no attention",
    },
    training="transformer: AdamW 4.24e-4 (0.9, 0.95), 1500 iterations of warm-up, cosine to 10 %, clip 1, batch 32, "
    "12 epochs, then 3 on masks that are partly eroded; texture network: Adam, generator 1e-3, discriminator 1e-4, "
    "800,000 iterations alone at 256 px and batch 32, then 50,000 with the structure encoder at 3e-4 (512: these at "
    "256 to 512 px and batch 18); L1 on known pixels 10, high-receptive-field perceptual 30, adversarial 10, feature "
    "matching 100, R1 0.001 in every step",
    features="dilated ResNet-50 trained for segmentation on ADE20K; the wireframe detector LSM-HAWP",
    convention="1 = hole; holes filled with 0; images in [-1, 1] (transformer) and [0, 1] (texture network)",
    licence="Apache-2.0",
    weights="the authors' Google Drive (Places2; no faces): zits_places2/InpaintingModel_best_gen.pth as `weights`, a "
    "dict of `generator` and `str_encoder`; the options `transformer_weights`, `upsampler_weights` and "
    "`wireframe_weights` name best_transformer_places2.pth, StructureUpsampling.pth and best_lsm_hawp.pth",
    trained_on={"places365": "train"},
    choices={
        "wireframe_weights": "without the detector there are no lines, which is what it mostly finds in faces; the "
        "authors' users report that results hardly change without lines",
        "edges": "Canny sees known pixels alone at test, so no edge touches the hole; the authors take it of the "
        "complete image, and structure leaks at borders of holes",
        "predicted": "true structure gives way to predicted structure linearly between these iterations, as in the "
        "code (808,000 to 820,000)",
        "shares": "the upsampler's training is not stated: drawings of half the size learn to become those of the full "
        "size, by cross-entropy; 50,000 iterations are ours, and so is one epoch's length, that of Places2",
        "masks": "files (`masks: zits:DIR`; without them MMEditing's strokes); in the paper 40 % irregular masks, 40 % "
        "segments of COCO, 20 % both",
    },
    notes="Sampling runs in full precision; the authors' half precision orders ties otherwise. Images over 256 px are "
    "guided by structure of 256 px that the upsampler doubles; training on them draws a size for each batch. The "
    "authors' PSNR is 1 dB too high.",
)


class ZITSConfig(Config):
    """Sizes, stages and losses of ZITS."""

    side: int = 256  # of edges, lines and positions in the hole; the least side of images
    dim: int = 256  # channels of a token
    layers: int = 16  # of the transformer, axial and full attention in turn
    heads: int = 8  # attention heads
    rounds: int = 5  # in which the transformer completes a hole
    upsampler_width: int = 64
    codes: int = 128  # positions in a hole
    width: int = 64  # channels of the texture network's first convolution
    blocks: int = 9  # residual blocks
    start: float = 0.0  # of the factors by which the structure takes part; 0: not at all
    discriminator_width: int = 64
    discriminator_layers: int = 4
    sigma: float = 3.0  # of Canny's Gaussian, in pixels, for the texture network and at test
    structure_sigma: float = 2.0  # where the transformer learns
    shares: tuple[float, float, float, float, float] = (0.387, 0.097, 0.029, 0.458, 0.029)  # of the budget: `stages`
    structure_rate: float = 4.24e-4  # learning rate of transformer and upsampler
    warmup: int = 1500  # iterations of the transformer's
    clip: float = 1.0  # largest norm of the transformer's gradients
    base_rate: float = 1e-3  # of the texture network alone
    learning_rate: float = 3e-4  # of texture network and structure encoder
    discriminator_rate: float = 1e-4
    encoder_warmup: int = 2000  # iterations
    halving: int = 400_000  # iterations of the last stage after which rates are halved
    predicted: tuple[int, int] = (8_000, 20_000)  # iterations of the last stage in which prediction replaces truth
    l1: float = 10.0  # weight of the reconstruction of known pixels
    hole: float = 0.0  # of the hole in it; the paper has none
    perceptual: float = 30.0
    gan: float = 10.0
    matching: float = 100.0  # feature matching
    r1: float = 0.001  # weight of the gradient penalty on real images
    batch_size: int = 32
    texture_batch_size: int = 32  # of the last stage
    masks: str = "zits"  # training draw
    ema: float | None = None  # moving average of what is trained; the paper has none
    transformer_weights: Path | None = None  # the authors' best_transformer_places2.pth, where `weights` is named
    upsampler_weights: Path | None = None  # StructureUpsampling.pth
    wireframe_weights: Path | None = None  # best_lsm_hawp.pth; without it there are no lines

    def files(self) -> list[Path]:
        return [p for p in (self.transformer_weights, self.upsampler_weights, self.wireframe_weights) if p]

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(8, smallest=self.side, square=features is not None)  # it learns on squares

    def stand_ins(self, guides: Collection[str]) -> list[str]:
        if self.wireframe_weights:
            return []
        return ["no lines are drawn, only edges; the published method has those of the wireframe detector LSM-HAWP"]


class ZITS(Method):
    """ZITS as published: 256 px (`paper`) and up to 512 px (`512`)."""

    card = CARD
    Config = ZITSConfig
    config: ZITSConfig
    presets = {
        "paper": ZITSConfig(),
        "512": ZITSConfig(halving=40_000, texture_batch_size=18),
        "tiny": ZITSConfig(
            side=64, dim=64, layers=4, heads=4, upsampler_width=16, width=16, blocks=3, start=0.1,
            discriminator_width=16, discriminator_layers=3, sigma=1.5, structure_sigma=1.5,
            shares=(0.15, 0.05, 0.01, 0.45, 0.34), structure_rate=2e-3, warmup=10, base_rate=2e-3, learning_rate=1e-3,
            discriminator_rate=5e-4, encoder_warmup=20, predicted=(0, 50), hole=1.0, perceptual=5.0, gan=1.0,
            matching=20.0, batch_size=8, texture_batch_size=8, masks="lama", ema=0.97,
        ),
    }  # fmt: skip

    def __init__(self, config: ZITSConfig):
        super().__init__(config)
        c = config
        self.generator = TextureGenerator(c.width, c.blocks)
        self.encoder = StructureEncoder(c.width, c.codes, c.start)
        self.transformer = StructureTransformer(c.side, c.dim, c.layers, c.heads)
        self.upsampler = Upsampler(c.upsampler_width)
        self.wireframe = WireframeDetector.read(c.wireframe_weights) if c.wireframe_weights else None

    def shrunk(self, batch: Batch) -> Batch:
        """The batch at the size of the structure; a pixel that holds any of the hole is hole."""
        mask = resized(batch.mask, self.config.side)
        return Batch(resized(batch.image, self.config.side), (mask > 0).to(mask))

    def drawn(self, batch: Batch, side: int, sigma: float, blind: bool = False) -> tuple[Tensor, Tensor]:
        """Edges and lines (N, 1, side, side) of the images; where `blind`, of what is known of them."""
        mask = batch.mask if blind else torch.zeros_like(batch.mask)
        known = (resized(mask, side) == 0).to(mask) if blind else None
        edge = canny(to_grey((resized(batch.image, side) + 1) / 2), sigma, known)
        if self.wireframe is None:
            return edge, torch.zeros_like(edge)
        return edge, self.wireframe((batch.image + 1) / 2, mask, side)

    def structure(self, batch: Batch, rounds: int, shift: float = 2.0, slope: float = 2.0) -> tuple[Tensor, Tensor]:
        """Completed edges and lines (N, 1, H, W); the sigmoid after the upsampler has a shift and a slope."""
        size, small = batch.image.shape[2:], self.shrunk(batch)
        known = self.drawn(batch, self.config.side, self.config.sigma, blind=True)
        edge, line = self.transformer.restored(small.image, *known, small.mask, rounds)
        maps = torch.cat([edge, line])
        while maps.shape[2] < max(size):
            maps = (slope * (self.upsampler(maps) + shift)).sigmoid()
        if maps.shape[2:] != size:
            maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        edge, line = maps.chunk(2)
        return edge, line

    def paint(self, batch: Batch, structure: tuple[Tensor, Tensor] | None) -> Tensor:
        """The texture network's image (N, 3, H, W) in [0, 1], on edges and lines where they are given."""
        given = torch.cat([(batch.image + 1) / 2 * (1 - batch.mask), batch.mask], dim=1)
        if structure is None:
            return self.generator(given)
        positions = hole_positions(batch.mask, self.config.side, self.config.codes)
        return self.generator(given, self.encoder(torch.cat([*structure, batch.mask], dim=1), *positions))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        self.config.sizes().check(batch.image, CARD.name)
        return 2 * self.paint(batch, self.structure(batch, self.config.rounds)) - 1

    def stages(self, features: Source = "official") -> list[Stage]:
        """Transformer, the same on partly known holes, upsampler, texture network alone, texture network guided."""
        c = self.config
        discriminator = Discriminator(c.discriminator_width, c.discriminator_layers)
        perceptual = SegmentationLoss(features)
        return [
            StructureStage(self),
            IterativeStage(self),
            UpsamplerStage(self),
            BaseStage(self, discriminator, perceptual),
            TextureStage(self, discriminator, perceptual),
        ]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take InpaintingModel_best_gen.pth; the other networks' files are read from the options `..._weights`."""
        c = self.config
        self.generator.load_state_dict(_generator_names(state["generator"]))
        self.encoder.load_state_dict(state["str_encoder"])
        if c.transformer_weights is None or c.upsampler_weights is None:
            raise BenchError(
                "zits: name the authors' best_transformer_places2.pth and StructureUpsampling.pth in the suite's "
                "`options: {transformer_weights: , upsampler_weights: }`"
            )
        for option, network, path in (
            ("transformer_weights", self.transformer, c.transformer_weights),
            ("upsampler_weights", self.upsampler, c.upsampler_weights),
        ):
            weights.load_second(network, "zits", option, path, _without_masks)


def resized(x: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W) at side x side: a pixel is the mean of what it covers. Nothing changes at that size."""
    return x if x.shape[2:] == (side, side) else F.interpolate(x, (side, side), mode="area")


def _generator_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of LaMa's blocks."""
    return {k.replace(".ffc1.", ".conv1.").replace(".ffc2.", ".conv2."): value for k, value in state.items()}


def _without_masks(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the causal masks that the authors' transformer keeps and never uses."""
    return {name: value for name, value in state.items() if not name.endswith(".attn.mask")}


def _run_transformer(network: StructureTransformer, inputs: Inputs) -> dict[str, Tensor]:
    shape = (1, 1, 256, 256)
    edge, line = (inputs.latent(*shape) > 1.3).double(), (inputs.latent(*shape, offset=1) - 1).clamp(0, 1)
    given = inputs.image(), edge, line, inputs.mask()
    logits, restored = network(*given), network.restored(*given, steps=5)
    return {
        "edge_logits": logits[0], "line_logits": logits[1], "edge_sampled": restored[0], "line_sampled": restored[1],
    }  # fmt: skip


def _run_upsampler(network: Upsampler, inputs: Inputs) -> dict[str, Tensor]:
    out = network((inputs.image(128, channels=1) + 1) / 2)
    return {"out": out, "down": network.shrunk(out)}


def _load_inpainter(method: ZITS, state: Mapping[str, Tensor]) -> None:
    for prefix, network in (("encoder.", method.encoder), ("generator.", method.generator)):
        part = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        network.load_state_dict(_generator_names(part))


def _run_inpainter(method: ZITS, inputs: Inputs) -> dict[str, Tensor]:
    mask = inputs.mask()
    edge, line = ((inputs.image(channels=1, offset=offset) + 1) / 2 for offset in (1, 2))
    distances, directions = hole_positions(mask, 256, 128)
    features, _ = method.encoder(torch.cat([edge, line, mask], dim=1), distances, directions)
    codes = method.encoder.positions(distances, directions)
    return {
        "rel_pos": distances[0],
        "direct": directions[0].movedim(0, 2),
        "rel_pos_table": sinusoids(128, 64),
        "feat512": features[3][:, ::8, ::4, ::4],
        "feat256": features[2][:, ::8, ::8, ::8],
        "feat128": features[1][:, ::16, ::16, ::16],
        "feat64": features[0][:, ::8, ::32, ::32],
        "pos_emb": codes[0][:, ::8, ::16, ::16],
        "direct_emb": codes[1][:, ::8, ::16, ::16],
        "out": method.paint(Batch(inputs.image(), mask), (edge, line)),
    }


def _load_discriminator(network: Discriminator, state: Mapping[str, Tensor]) -> None:
    """The authors number layers from 1: conv1.0.weight, conv2.weight, bn2.weight, ..."""
    named = {}
    for name, value in state.items():
        layer, leaf = name.replace("conv1.0", "conv1").split(".")
        named[f"model{int(layer[-1]) - 1}.{int(layer.startswith('bn'))}.{leaf}"] = value
    network.load_state_dict(named)


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    logits, maps = network((inputs.image(channels=3, batch=2) + 1) / 2)
    return {"logits": logits, "feat5": maps[4][:, ::8, ::4, ::4]}


def _run_wireframe(network: WireframeDetector, inputs: Inputs) -> dict[str, Tensor]:
    maps, features = network.backbone(prepared((inputs.image(INPUT) + 1) / 2, inputs.mask(INPUT)))
    lines = 63.5 + 40 * inputs.latent(16, 4).tanh()
    logits = network.logits(network.fc1(features)[0], lines)
    return {"maps": maps[1], "maps_stack0": maps[0][:, :, ::2, ::2], "line_logits": logits}


def _maps(channels: int, side: int = 256) -> Tensor:
    return torch.empty(1, channels, side, side)


ZITS.golden = {
    "zits.tsr": Golden(
        build=lambda: StructureTransformer(256, 256, 16, 8),
        run=_run_transformer,
        parts=lambda network: {"tsr": network},
        costs={"one_pass": lambda network: network(_maps(3), _maps(1), _maps(1), _maps(1))},
    ),
    "zits.upsampler": Golden(
        build=lambda: Upsampler(64),
        run=_run_upsampler,
        parts=lambda network: {"upsampler": network},
        costs={
            "256_to_512": lambda network: network(_maps(1)),
            "128_to_256": lambda network: network(_maps(1, 128)),
        },
    ),
    "zits.inpainter": Golden(
        build=ZITS.create,
        load=_load_inpainter,
        run=_run_inpainter,
        parts=lambda method: {"structure_encoder": method.encoder, "generator": method.generator},
        costs={
            "structure_encoder": lambda m: m.encoder(_maps(3), torch.zeros(1, 256, 256).long(), _maps(4)),
            "generator": lambda m: m.generator(_maps(4)),
        },
        keys={"encoder.": "zits.structure_encoder", "generator.": "zits.generator"},
    ),
    "zits.discriminator": Golden(
        build=lambda: Discriminator(64, 4),
        load=_load_discriminator,
        run=_run_discriminator,
        parts=lambda network: {"D": network},
        costs={"D": lambda network: network(_maps(3))},
    ),
    "zits.wireframe": Golden(
        build=WireframeDetector,
        run=_run_wireframe,
        parts=lambda network: {
            "total": network, "backbone": network.backbone, "fc1": network.fc1, "fc2": network.fc2,
        },
        costs={"backbone": lambda network: network.backbone(_maps(3, 512))},
    ),
}  # fmt: skip
