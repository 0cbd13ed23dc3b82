"""TransRef: a pyramid transformer that embeds a reference picture at three scales, and a light decoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.transref.networks import Generator
from baselines.transref.training import TransRefStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.references import shown

CARD = Card(
    slug="transref",
    name="TransRef",
    title="TransRef: Multi-Scale Reference Embedding Transformer for Reference-Guided Image Inpainting",
    authors="Liu, Liao, Chen, Xiao, Wang, Lin, Satoh",
    year=2025,
    venue="Neurocomputing; arXiv 2306.11528",
    url="https://arxiv.org/abs/2306.11528",
    task="exemplar",
    resolution=256,
    params={"generator": 45_148_686},
    macs={"generator": 6.438e9},
    published={
        "parameters": "41.97 M (thesis, table 5.2), by thop's rule: without the deformable convolutions (1,105,920) "
        "and four layers that are never called (2,069,211)",
        "FLOPs": "7.55 G at 256 px, by thop's rule, which counts transposed convolutions four times and neither "
        "deformable ones nor the products of attention (true: 6.44 G)",
        "FPS": "81.60 on an RTX 3090",
    },
    training="Adam 2e-4 (0.9, 0.999), batch 32; 20 epochs, then 1,000 in which the rate falls linearly to 0; L1 1, "
    "perceptual 0.04, style 250; no adversarial loss",
    features="VGG-16 (ImageNet), images in [-1, 1] without normalisation",
    convention="1 = hole, the network takes its inverse three times; holes filled with a mean colour (123, 104, 117)",
    licence="Apache-2.0",
    weights="the authors' Google Drive (DPED50K: outdoor scenes, no faces; 256 px): 400_Trans.pth, after 400 of the "
    "1,020 epochs, a dict with the state under `net`",
    needs=("exemplar",),
    choices={
        "itself": "1: in training the reference is the picture itself with changed colours, mirrored, shifted and "
        "scaled, as in the thesis, which does not say how much: here up to 10 % each. The paper has pairs of "
        "photographs of a scene. Below 1, other pictures of the batch take part. Tests show another picture, of "
        "another person where people are known",
        "masks": "one for each image; in the authors' code the first one's serves the whole batch. Files are those of "
        "`masks: transref:DIR`; without them MMEditing's irregular strokes stand in",
    },
    notes="Four layers of the checkpoint are never used. Stochastic depth in training, up to 10 % of the images.",
)


class TransRefConfig(Config):
    """Sizes and losses of TransRef."""

    widths: tuple[int, int, int, int] = (64, 128, 320, 512)  # channels of a token, by stage
    heads: tuple[int, int, int, int] = (1, 2, 4, 4)  # attention heads
    reference_heads: tuple[int, int, int] = (1, 2, 2)  # of the blocks that look at the reference
    decoder_heads: int = 8
    tail: tuple[int, int] = (16, 8)  # channels at half of the size and at the full size
    estimator: int = 64  # channels inside the estimator of offsets
    halvings: int = Field(default=3, ge=1, le=4)  # inside it
    depth: float = 0.1  # probability of leaving out the encoder's last block; earlier ones less
    itself: float = 1.0  # probability that the reference in training is the picture itself, altered
    l1: float = 1.0  # weights of the losses
    perceptual: float = 0.04
    style: float = 250.0
    learning_rate: float = 2e-4  # in the first fiftieth of the training; then it falls linearly to 0
    batch_size: int = 32
    masks: str = "transref"  # training draw
    ema: float | None = None  # moving average of the generator; the paper has none

    def sizes(self, features: Source | None = None) -> Sizes:
        multiple = 16 << self.halvings  # offsets are found that much coarser than the third stage's map
        return Sizes(multiple, smallest=2 * multiple)


class TransRef(Method):
    """TransRef as published."""

    card = CARD
    Config = TransRefConfig
    config: TransRefConfig
    presets = {
        "paper": TransRefConfig(),
        "tiny": TransRefConfig(
            widths=(24, 32, 48, 64), reference_heads=(1, 2, 2), decoder_heads=4, estimator=16, halvings=1, style=25.0,
            learning_rate=2e-3, batch_size=8, masks="irregular", ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: TransRefConfig):
        super().__init__(config)
        self.generator = Generator(config)

    def infer(self, batch: Batch, reference: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1], guided by these references."""
        self.config.sizes().check(batch.image, CARD.name)
        return self.generator(shown(batch), reference)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.infer(batch, batch.need("exemplar"))

    def stages(self, features: Source = "official") -> list[Stage]:
        return [TransRefStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the authors' checkpoint, or its `net`."""
        given = state.get("net", state)
        self.generator.load_state_dict({our_name(name): value for name, value in given.items()})


def our_name(name: str) -> str:
    """Our name of a parameter: `Tenc.patch_embed2_ref.norm.bias` is `Tenc.stages.1.patch_embed_ref.norm.bias`."""
    found = re.fullmatch(r"Tenc\.(\D+)(\d)(_ref)?(\..*)", name)
    return f"Tenc.stages.{int(found[2]) - 1}.{found[1]}{found[3] or ''}{found[4]}" if found else name


def _run(method: TransRef, inputs: Inputs) -> dict[str, Tensor]:
    batch, seen = Batch(inputs.image(), inputs.mask()), {}
    encoder = method.generator.Tenc
    watched: dict[str, nn.Module] = {f"refpa{n}": encoder.get_submodule(f"stages.{n - 1}.RefPA") for n in (1, 3)}
    watched |= {"enc": encoder, "dec": method.generator.Tdec}
    for name, module in watched.items():
        module.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output}))
    out = method.infer(batch, inputs.image(offset=50))
    return {
        "out": out,
        "composite": batch.composite(out),
        "refpa1": seen["refpa1"][:, ::8],
        "refpa3": seen["refpa3"][:, ::40],
        "enc1": seen["enc"][0][:, ::8],
        "enc4": seen["enc"][3][:, ::32],
        "dec": seen["dec"][:, ::8],
    }


TransRef.golden = {
    "transref": Golden(
        build=TransRef.create,
        load=TransRef.load_official,
        run=_run,
        parts=lambda method: {**dict(method.generator.named_children()), "generator": method.generator},
        costs={"generator": lambda m: m.generator(torch.empty(1, 6, 256, 256), torch.empty(1, 3, 256, 256))},
    )
}
