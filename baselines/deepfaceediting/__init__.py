"""DeepFaceEditing: the geometry of a sketch or a picture, drawn in the style of another picture, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.deepfaceediting import training
from baselines.deepfaceediting.networks import NORMS, GeometryEncoder, PartGenerator, Translator
from baselines.deepfaceediting.parts import PARTS, SIXTEENTHS, cut, drawn, joined, read
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage

CARD = Card(
    slug="deepfaceediting",
    name="DeepFaceEditing",
    title="DeepFaceEditing: Deep Face Generation and Editing with Disentangled Geometry and Appearance Control",
    authors="Chen, Liu, Lai, Rosin, Li, Fu, Gao",
    year=2021,
    venue="SIGGRAPH; ACM TOG 40(4); arXiv 2105.08935",
    url="https://github.com/IGLICT/DeepFaceEditing-Jittor",
    task="editing",
    resolution=512,
    params={
        "sketch encoders": 125_813_760,
        "image encoders": 597_826_560,
        "part generators": 416_064_495,
        "fusion": 88_274_755,
        "sketch extractor": 45_642_243,
    },
    macs={
        "sketch encoders": 14.015e9,
        "image encoders": 46.950e9,
        "part generators": 33.638e9,
        "fusion": 42.761e9,
        "sketch extractor": 13.904e9,
    },
    training="not released. Ours: Adam 2e-4 (0.5, 0.999), batch 4, half of each stage falling to 0; sketch extractor: "
    "least squares 1, feature matching 10, VGG-19 10; parts, then the whole: reconstruction L1 10, VGG-19 10, feature "
    "matching 10; swapped styles: least squares 1, cycle L1 10; discriminators at two scales; last, everything at a "
    "tenth of the rate",
    features="VGG-19 (ImageNet)",
    convention="no masks: the whole picture is drawn anew; sketches are dark on white, three equal channels; all "
    "images in [-1, 1]; tanh",
    licence="Apache-2.0",
    weights="the authors' archive (Google Drive), Jittor's pickles: global_fuse.pkl as `weights`, its folder as the "
    "option `checkpoints`: sketch_encoder/sketch_encoder_PART.pkl, image_encoder/..., generator/..., "
    "sketch_generator.pkl",
    trained_on={"celeba-hq": ""},
    needs=("source",),
    takes=("sketch", "exemplar"),
    choices={
        "training": "all of it is ours but the kinds of losses and the two steps, parts and fusion",
        "geometry": "image: where no sketch is shown, the source's geometry is what its image encoders give, and both "
        "geometries are joined at the edge of the mask. extractor: its sketch is extracted first, and joined with what "
        "is shown",
        "sketches": "those of training are the project's own, as those of conditions; with `geometry: extractor` the "
        "extractor's, which learns from these first",
        "encoders": "image encoders learn the sketch encoders' features (L1) while these learn with the part "
        "generators; from the drawn picture they learn nothing before the last stage",
        "turns": "parts and whole are drawn from sketches and from pictures in turn",
        "matching": "of reconstructions: a swapped picture has none to be matched with. The other one is the next "
        "picture of the batch",
        "boxes": "the parts' places scale with the side, rounded",
        "initial values": "PyTorch's own, but that styles start near a shift of 0 and a scale of 1; the "
        "discriminators' are those of pix2pixHD",
        "norm": "instance, with scale and shift: as released. none, in tiny: norms of encoders and fusion take colours "
        "away, which a short training does not find again",
    },
    notes="Without an exemplar the style is that of the source: the method sees what it takes the place of, as in the "
    "thesis, which gave it sketch and picture of the original. Pictures must be aligned as those of CelebA-HQ or FFHQ. "
    "The variant for rough sketches, which are moved towards those of its lists, is not here. Costs are those at "
    "256 px; a completion from sketches runs sketch encoders, part generators and fusion.",
)


class DeepFaceEditingConfig(Config):
    """What runs, sizes and losses."""

    geometry: Literal["image", "extractor"] = "image"  # how that of a picture is found where no sketch is shown
    width: int = 64  # channels at full size; doubled with each halving
    halvings: int = 4
    sketch_blocks: int = 1  # residual blocks of a sketch's encoder
    image_blocks: int = 6  # of a picture's encoder
    blocks: int = 4  # of part generators and fusion
    style_width: int = 16  # channels of the style encoders' first layers
    style_halvings: int = 5
    extractor_width: int = 32
    extractor_blocks: int = 9
    norm: Literal["instance", "none"] = "instance"  # of all networks but the part generators, whose styles are norms
    judge_width: int = 64  # channels of the discriminators' first layer
    batch_size: int = 4
    iterations: tuple[int, int, int, int] = (700_000, 1_400_000, 700_000, 140_000)  # of `training.STAGES`
    learning_rate: float = 2e-4
    last_rate: float = 0.1  # factor of the last stage
    adversarial: float = 1.0  # weights of the losses
    matching: float = 10.0
    perceptual: float = 10.0
    pixels: float = 10.0  # L1
    cycle: float = 10.0
    sketch_pixels: float = 0.0  # L1 of the extractor; in pix2pixHD: none
    ema: float = 0.0  # moving average of part generators and fusion
    checkpoints: Path | None = None  # the folder of the authors' archive, where `weights` is its global_fuse.pkl

    def files(self) -> list[Path]:
        return [] if self.checkpoints is None else [self.checkpoints / name for name in self.released().values()]

    def released(self) -> dict[str, str]:
        """The authors' files beside global_fuse.pkl, by the networks here."""
        kinds = {"sketch_encoders": "sketch_encoder", "image_encoders": "image_encoder", "generators": "generator"}
        found = {f"{ours}.{part}": f"{kind}/{kind}_{part}.pkl" for ours, kind in kinds.items() for part in PARTS}
        return found | ({"extractor": "sketch_generator.pkl"} if self.geometry == "extractor" else {})

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(SIXTEENTHS * 2**self.halvings, square=True)


class DeepFaceEditing(Method):
    """DeepFaceEditing as released."""

    card = CARD
    Config = DeepFaceEditingConfig
    config: DeepFaceEditingConfig
    presets = {
        "paper": DeepFaceEditingConfig(),
        "extractor": DeepFaceEditingConfig(geometry="extractor"),
        "tiny": DeepFaceEditingConfig(
            width=16, halvings=2, image_blocks=2, blocks=2, style_width=8, style_halvings=3, extractor_width=8,
            extractor_blocks=2, norm="none", judge_width=16, iterations=(2, 5, 3, 1), learning_rate=1e-3,
            adversarial=0.1, matching=1, perceptual=1, sketch_pixels=10, ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: DeepFaceEditingConfig):
        super().__init__(config)
        c, norm = config, NORMS[config.norm]

        def encoders(blocks: int) -> nn.ModuleDict:
            return nn.ModuleDict({part: GeometryEncoder(c.width, c.halvings, blocks, norm) for part in PARTS})

        self.sketch_encoders, self.image_encoders = encoders(c.sketch_blocks), encoders(c.image_blocks)
        self.generators = nn.ModuleDict(
            {part: PartGenerator(c.width, c.halvings, c.blocks, c.style_width, c.style_halvings) for part in PARTS}
        )
        self.fusion = Translator(c.width, c.width, c.halvings, c.blocks, norm)
        if c.geometry == "extractor":
            self.extractor = Translator(3, c.extractor_width, c.halvings, c.extractor_blocks, norm)

    def networks(self) -> dict[str, nn.Module]:
        found = {
            "sketch encoders": self.sketch_encoders,
            "image encoders": self.image_encoders,
            "part generators": self.generators,
            "fusion": self.fusion,
        }
        return found | ({"sketch extractor": self.extractor} if self.config.geometry == "extractor" else {})

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        """The picture `batch.source`, in the geometry of `batch.sketch` and the style of `batch.exemplar`."""
        source = batch.need("source")
        self.config.sizes().check(source, CARD.slug)
        return self.draw(self.geometry(batch), source if batch.exemplar is None else batch.exemplar)

    def geometry(self, batch: Batch) -> dict[str, Tensor]:
        """That of each part: of the sketch where one is shown, else of the source."""
        source, mask = batch.need("source"), batch.mask
        sketch = None if batch.sketch is None else drawn(batch.sketch).to(source)
        if self.config.geometry == "extractor":
            lines = self.extractor(source)
            return read(self.sketch_encoders, lines if sketch is None else torch.lerp(lines, sketch, mask))
        if sketch is None:
            return read(self.image_encoders, source)
        shown = read(self.sketch_encoders, sketch)
        if mask.all():
            return shown
        of_source = read(self.image_encoders, source)
        return {part: torch.lerp(of_source[part], here, share(mask, part, here)) for part, here in shown.items()}

    def draw(self, geometry: Mapping[str, Tensor], style: Tensor) -> Tensor:
        """Pictures (N, 3, S, S) in [-1, 1] of the parts' geometries in the style of pictures like them."""
        return self.fusion(joined({part: self.generators[part](geometry[part], cut(style, part)) for part in PARTS}))

    def stages(self, features: Source = "official") -> list[Stage]:
        return training.stages(self, features)

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take global_fuse.pkl; the other files lie in the folder that the options name."""
        self.fusion.load_state_dict(state)
        folder = self.config.checkpoints
        if folder is None:
            raise BenchError("deepfaceediting: name the folder of the authors' files: `options: {checkpoints: DIR}`")
        for name, file in self.config.released().items():
            weights.load_second(self.get_submodule(name), "deepfaceediting", "checkpoints", folder / file)


def share(mask: Tensor, part: str, feature: Tensor) -> Tensor:
    """How much of each cell of a part's feature a mask (N, 1, S, S) covers, (N, 1, h, w)."""
    return F.interpolate(cut(mask, part), feature.shape[2:], mode="area")


def _encoder(blocks: int) -> Golden:
    return Golden(
        build=lambda: GeometryEncoder(64, 4, blocks, NORMS["instance"]),
        run=lambda network, inputs: {"feature": network(inputs.image(128))},
        parts=lambda network: {"total": network},
        costs={"part of 128": _image(128), "whole 512": _image(512)},
    )


def _translator(inputs: int, width: int, blocks: int, given: Any) -> Golden:
    return Golden(
        build=lambda: Translator(inputs, width, 4, blocks, NORMS["instance"]),
        run=lambda network, inputs: {"image": network(given(inputs))},
        parts=lambda network: {"total": network},
        costs={"512": _image(512, inputs)},
    )


def _image(side: int, channels: int = 3) -> Any:
    return lambda network: network(torch.empty(1, channels, side, side))


def _run_generator(network: PartGenerator, inputs: Inputs) -> dict[str, Tensor]:
    part = inputs.image(128)
    feature = network(0.7 * inputs.latent(1, 1024, 8, 8), part)
    return {"feature": feature, "image": network.picture(feature), "adain": network.enc_style(part)[:, ::16]}


def _feature(side: int) -> Any:
    return lambda network: network(torch.empty(1, 1024, side // 16, side // 16), torch.empty(1, 3, side, side))


DeepFaceEditing.golden = {
    "deepfaceediting.sketch_encoder": _encoder(1),
    "deepfaceediting.image_encoder": _encoder(6),
    "deepfaceediting.generator": Golden(
        build=lambda: PartGenerator(64, 4, 4, 16, 5),
        run=_run_generator,
        parts=lambda network: {"total": network, **dict(network.named_children())},
        costs={"feature, part of 128": _feature(128), "whole 512": _feature(512)},
    ),
    "deepfaceediting.global_fuse": _translator(64, 64, 4, lambda inputs: inputs.image(channels=64).abs()),
    "deepfaceediting.sketch_generator": _translator(3, 32, 9, Inputs.image),
}
