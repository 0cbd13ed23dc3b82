"""LaFIn: one network finds the landmarks of a face with holes, a second one paints the face around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.lafin.networks import SIZES, Discriminator, Inpainter, LandmarkPredictor, landmark_map
from baselines.lafin.training import InpaintStage, LandmarkStage
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage

CARD = Card(
    slug="lafin",
    name="LaFIn",
    title="LaFIn: Generative Landmark Guided Face Inpainting",
    authors="Yang, Guo, Ma, Ma, Ling",
    year=2020,
    venue="PRCV; arXiv 1911.11394",
    url="https://arxiv.org/abs/1911.11394",
    resolution=256,
    params={"predictor": 2_554_569, "inpainter": 11_734_981, "discriminator": 3_244_450},
    macs={"predictor": 0.404e9, "inpainter": 66.278e9, "discriminator": 5.865e9},
    published={
        "user study (thesis, section 5.3.2)": "27.46 % of the votes of 63 participants, CelebA-HQ, by exemplars"
    },
    training="landmarks: Adam 1e-4, weight decay 1e-6, batch 16; Euclidean norm of all coordinates' errors in pixels; "
    "images flipped, coarsened through 96 px with probability 0.2, colours scaled by 0.7 to 1.3. Inpainter: Adam "
    "(0, 0.9), 1e-4, discriminator 1e-5, batch 4, up to 1,300,000 iterations; L1 1, over the share of the hole, "
    "adversarial 0.01 (least squares), perceptual 0.1, style 250, total variation 0.1",
    features="VGG-19 (ImageNet), images in [0, 1] without normalisation; FAN for the landmarks that it learns from",
    convention="1 = hole; holes filled with white; images in [0, 1]; landmarks: one pixel each, coordinates truncated",
    licence="none stated: all rights reserved; built on EdgeConnect (CC BY-NC 4.0)",
    weights="the authors' Google Drive folders (CelebA, CelebA-HQ, WFLW; 256 px): InpaintingModel_gen.pth as "
    "`weights`, a dict with the state under `generator`, and landmark_detector.pth as the option `landmark_weights`, "
    "under `detector`",
    trained_on={"celeba": "", "celeba-hq": ""},
    takes=("landmarks",),
    choices={
        "masks": "mask files are those of `masks: lafin:DIR`; without them MMEditing's irregular strokes stand in",
        "guided": "true: the authors' second stage, landmarks from a file, where a condition shows some. false: always "
        "those that are predicted, the authors' third stage",
        "landmark_size": "256: the predictor's pooling window fits no other picture, so others are resized for it",
        "shares": "not stated, nor how long the predictor learns; the two networks are trained apart",
    },
    notes="The inpainter learns on true landmarks alone, and completes on predicted ones. The authors' colours are "
    "scaled in the first three rows of a picture; here in its channels, as meant. A coordinate below 0 is drawn on the "
    "border, not on the other side. The discriminator's sigmoid stands before the least squares too. In its attention, "
    "475,520 parameters are never used. The inpainter's attention keeps 64 MiB an image at 256 px, 1 GiB at 512 px.",
)


class LaFInConfig(Config):
    """Sizes, phases and losses of LaFIn."""

    width: int = 64  # channels of the inpainter's first convolution
    blocks: int = 7  # residual blocks of the inpainter
    discriminator_width: int = 64  # channels of the discriminator's first convolution
    landmark_width: float = 1.0  # factor of MobileNetV2's channels
    landmark_halvings: int = 5  # of the predictor's picture: its last map has 8 x 8 pixels
    landmark_size: int = 256  # pixels of the picture that the predictor sees
    guided: bool = True  # by the landmarks that a condition shows
    falls: bool = False  # learning rates fall to 0: the predictor's from the start, the others' in the second half
    shares: tuple[float, float] = (0.3, 0.7)  # of the budget: predictor, inpainter
    landmark_rate: float = 1e-4  # learning rate of the predictor
    landmark_decay: float = 1e-6  # its weight decay
    landmark_batch_size: int = 16
    learning_rate: float = 1e-4  # of the inpainter; the discriminator learns at a tenth
    batch_size: int = 4
    l1: float = 1.0
    gan: float = 0.01
    perceptual: float = 0.1
    style: float = 250.0
    variation: float = 0.1  # weight of the total variation
    masks: str = "lafin"  # training draw
    ema: float | None = None  # moving average of both networks; the paper has none
    landmark_weights: Path | None = None  # the authors' landmark_detector.pth, where `weights` names the inpainter's

    def files(self) -> list[Path]:
        return [self.landmark_weights] if self.landmark_weights else []

    def sizes(self, features: Source | None = None) -> Sizes:
        return SIZES


class LaFIn(Method):
    """LaFIn as published."""

    card = CARD
    Config = LaFInConfig
    config: LaFInConfig
    presets = {
        "paper": LaFInConfig(),
        "tiny": LaFInConfig(
            width=16, blocks=4, discriminator_width=16, landmark_width=0.25, landmark_halvings=3, landmark_size=64,
            shares=(0.5, 0.5), landmark_rate=3e-3, falls=True, learning_rate=3e-4, batch_size=8,
            perceptual=1.0, style=25.0, masks="irregular", ema=0.98,
        ),
    }  # fmt: skip

    def __init__(self, config: LaFInConfig):
        super().__init__(config)
        self.predictor = LandmarkPredictor(config.landmark_width, config.landmark_halvings)
        self.inpainter = Inpainter(config.width, config.blocks)

    def predict(self, batch: Batch) -> Tensor:
        """Landmarks (N, 68, 2) in pixels of the batch, from the known pixels alone."""
        picture, side = white(batch), self.config.landmark_size
        if picture.shape[2:] != (side, side):
            picture = F.interpolate(picture, (side, side), mode="bilinear", antialias=True)
        return self.predictor(picture) * extent(batch)

    def landmarks(self, batch: Batch) -> Tensor:
        """The landmarks that guide the completion, (N, 68, 2) in pixels: those that are given, else predicted ones."""
        if self.config.guided and batch.landmarks is not None:
            return batch.landmarks
        return self.predict(batch)

    def inpaint(self, batch: Batch, landmarks: Tensor) -> Tensor:
        """The inpainter's picture in [0, 1]."""
        return self.inpainter(white(batch), landmark_map(landmarks, batch.image), batch.mask)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.inpaint(batch, self.landmarks(batch)) * 2 - 1

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The known pixels with the landmarks in black on them, the completion."""
        landmarks = self.landmarks(batch)
        reach = min(batch.image.shape[2:]) // 128
        dots = F.max_pool2d(landmark_map(landmarks, batch.image), 2 * reach + 1, 1, reach)
        marked = white(batch) * (1 - dots)
        return [2 * marked - 1, self.inpaint(batch, landmarks) * 2 - 1]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [LandmarkStage(self), InpaintStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take InpaintingModel_gen.pth; landmark_detector.pth is read from the option `landmark_weights`."""
        if self.config.landmark_weights is None:
            raise BenchError(
                "lafin: name the authors' landmark_detector.pth in the suite's `options: {landmark_weights: }`"
            )
        self.inpainter.load_state_dict(each_once(state["generator"]))
        weights.load_second(self.predictor, "lafin", "landmark_weights", self.config.landmark_weights)


def white(batch: Batch) -> Tensor:
    """The known pixels in [0, 1]; holes are 1."""
    return (batch.masked + 1) / 2 * (1 - batch.mask) + batch.mask


def extent(batch: Batch) -> Tensor:
    """(width, height) of the pictures."""
    return batch.image.new_tensor(batch.image.shape[:1:-1])


SECOND_NAMES = {
    "model.model.1.": "model.conv1.",
    "model.model.3.": "model.conv2.",
    "model.shortcut.0.": "model.bypass.",
}


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network that was trained on one GPU or on several."""
    return {name.removeprefix("module."): value for name, value in state.items()}


def each_once(state: Mapping[str, Tensor], second_names: Mapping[str, str] = SECOND_NAMES) -> dict[str, Tensor]:
    """The state with one name a tensor: the authors' attention names its convolutions twice; the later name counts."""
    once = {}
    for name, value in plain(state).items():
        for second, first in second_names.items():
            name = name.replace(second, first)
        once[name] = value
    return once


def _map(inputs: Inputs) -> Tensor:
    """The golden files' landmark map."""
    points = (128 + 45 * inputs.latent(68, 2)).round()
    return landmark_map(points[None], torch.empty(1, 1, 256, 256, dtype=torch.float64))


def _run_inpainter(network: Inpainter, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = (inputs.image() + 1) / 2, inputs.mask()
    seen: dict[str, Tensor] = {}
    for name in ("middle", "auto_attn", "decoder3"):
        module = network.get_submodule(name)
        module.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output}))
    out = network(image * (1 - mask) + mask, _map(inputs), mask)
    return {
        "out": out,
        "composite": out * mask + image * (1 - mask),
        "pre_tanh": seen["decoder3"],
        "middle": seen["middle"][:, ::32],
        "attention_out": seen["auto_attn"][:, ::32],
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    maps = network(torch.cat([(inputs.image() + 1) / 2, _map(inputs)], dim=1))
    return {"out": maps[-1].sigmoid(), "logit": maps[-1], "conv2": maps[1][:, ::64]}


def _run_predictor(network: LandmarkPredictor, inputs: Inputs) -> dict[str, Tensor]:
    picture = white(Batch(inputs.image(), inputs.mask()))
    return {"landmarks": network(picture).flatten(1), "features": network.features(picture)[:, ::10]}


def _load_discriminator(network: Discriminator, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(each_once(state, {**SECOND_NAMES, "features.0.": "conv1.0."}))


LaFIn.golden = {
    "lafin": Golden(
        build=lambda: Inpainter(64, 7),
        load=lambda network, state: network.load_state_dict(each_once(state)),
        run=_run_inpainter,
        parts=lambda network: {"generator": network, "auto_attn": network.auto_attn},
        costs={"generator": lambda network: network(*(torch.empty(1, n, 256, 256) for n in (3, 1, 1)))},
    ),
    "lafin.discriminator": Golden(
        build=lambda: Discriminator(64),
        load=_load_discriminator,
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 4, 256, 256))},
    ),
    "lafin.landmark": Golden(
        build=LandmarkPredictor,
        run=_run_predictor,
        parts=lambda network: {"landmark": network, "features": network.features},
        costs={"landmark": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
