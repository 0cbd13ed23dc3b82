"""RGTSI: texture and structure are inferred apart, with a reference picture that deformable convolution aligns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.rgtsi.networks import Discriminator, Generator, PartialConv, widths
from baselines.rgtsi.training import RGTSIStage
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.init import normal_init
from bench.nn.references import shown

CARD = Card(
    slug="rgtsi",
    name="RGTSI",
    title="Reference-Guided Texture and Structure Inference for Image Inpainting",
    authors="Liu, Liao, Wang, Satoh",
    year=2022,
    venue="ICIP",
    url="https://github.com/Cameltr/RGTSI",
    task="exemplar",
    resolution=256,
    params={"generator": 175_416_230, "discriminator": 2_764_737},
    macs={"generator": 88.637e9, "discriminator": 1.661e9},
    published={
        "parameters": "175.55 M (thesis, table 5.2), with 27.20 M of the constant mask kernels; the released code has "
        "175.42 M (175,416,230), as here",
        "FLOPs": "146.67 G at 256 px (thesis, table 5.2): 1 % over what thop's rule gives for the released code, "
        "145.24 G, 55.70 G of it convolutions of masks that are 1 everywhere; here these are sums: 89.54 G by that "
        "rule. True: 144.20 G as released, 88.64 G here",
        "FPS": "34.56 on an RTX 3090",
    },
    training="Adam 2e-4 (0.5, 0.999), batch 1; 20 epochs, then 100 in which the rate falls linearly to 0; L1 1, "
    "relativistic least-squares adversarial 0.2 (the whole image, and a random 64 x 64 crop), perceptual 0.2, style "
    "250, L1 of inferred texture and structure 3",
    features="VGG-16 (ImageNet), images in [-1, 1] without normalisation",
    convention="1 = hole, the network takes its inverse three times; holes filled with a mean colour (123, 104, 117)",
    licence="Apache-2.0; the smoothing of its training images (MATLAB, Xu): for non-commercial use",
    weights="the authors' Google Drive (DPED10K: outdoor scenes, no faces; 256 px): net_RGTSI.pth as `weights`, "
    "net_EN.pth, net_RefEN.pth and net_DE.pth as the options `encoder_weights`, `reference_weights` and "
    "`decoder_weights`, each a dict with the state under `net`",
    needs=("exemplar",),
    choices={
        "masks": "mask files are those of `masks: rgtsi:DIR`; without them MMEditing's irregular strokes stand in",
        "itself": "1: in training the reference is the picture itself with changed colours, mirrored, shifted and "
        "scaled, as in the thesis, which does not say how much: here up to 10 % each. The paper has pairs of "
        "photographs of a scene. Below 1, other pictures of the batch take part. Tests show another picture, of "
        "another person where people are known",
        "mask_kernels": "random: the released code means to count with kernels of ones, but its initialisation "
        "overwrites them. ones: as meant; the activations before the norms are then tiny. Weights that are loaded "
        "bring theirs",
        "smoothing_steps": "of conjugate gradients; the authors' structure images come from another solver, which "
        "stops at a tolerance of 0.1",
        "batch_size": "1, all that the released equalisation takes; here it takes any, and any size",
    },
    notes="No hole arrives at the partial convolutions, as released: the mask that shrinks to their size comes out "
    "as 1 everywhere. They differ from plain ones in a division alone. The equalisation reads its maps in the order "
    "of places as if it were that of channels; trained weights need that. Masks are drawn for each image.",
)


class RGTSIConfig(Config):
    """Sizes and losses of RGTSI."""

    width: int = Field(default=64, ge=8)  # channels of the encoders' first maps
    levels: int = Field(default=6, ge=4, le=8, multiple_of=2)  # halvings; half are texture, the others structure
    blocks: int = 4  # residual blocks at the end of an encoder
    estimator: int = 64  # channels inside the estimator of offsets
    depth: int = 5  # partial convolutions in each of the three stacks
    mask_kernels: Literal["random", "ones"] = "random"  # what partial convolutions divide by
    discriminator_width: int = 64
    crop: int = Field(default=64, ge=32)  # side of what the second discriminator sees
    itself: float = 1.0  # probability that the reference in training is the picture itself, altered
    smoothing: float = 3.0  # deviation, in pixels, of what counts as texture in structure images
    smoothing_steps: int = 30  # of the solver, in each of its three rounds
    l1: float = 1.0  # weights of the losses
    gan: float = 0.2
    perceptual: float = 0.2
    style: float = 250.0
    inference: float = 3.0  # of the small pictures of texture and structure
    learning_rate: float = 2e-4  # in the first sixth of the training; then it falls linearly to 0
    batch_size: int = 1
    masks: str = "rgtsi"  # training draw
    ema: float | None = None  # moving average of the generator; the paper has none
    encoder_weights: Path | None = None  # the authors' net_EN.pth, where `weights` names net_RGTSI.pth
    reference_weights: Path | None = None  # net_RefEN.pth
    decoder_weights: Path | None = None  # net_DE.pth

    def files(self) -> list[Path]:
        return [path for path in (self.encoder_weights, self.reference_weights, self.decoder_weights) if path]

    def sizes(self, features: Source | None = None) -> Sizes:
        # offsets are found at an eighth of the size of texture; the coarsest map is reflected by 2 pixels
        multiple, smallest = max(2**self.levels, 8 << self.levels // 2), 3 * 2**self.levels
        return Sizes(multiple, smallest if features is None else max(smallest, self.crop))


class RGTSI(Method):
    """RGTSI as published."""

    card = CARD
    Config = RGTSIConfig
    config: RGTSIConfig
    presets = {
        "paper": RGTSIConfig(),
        "tiny": RGTSIConfig(
            width=16, levels=4, blocks=2, estimator=16, depth=2, discriminator_width=16, crop=32, smoothing=1.0,
            smoothing_steps=10, l1=4.0, gan=0.02, style=10.0, learning_rate=2e-3, batch_size=8, masks="irregular",
            ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: RGTSIConfig):
        super().__init__(config)
        c = config
        self.generator = normal_init(Generator(c.width, c.levels, c.blocks, c.estimator, c.depth))
        for layer in self.generator.modules():
            if isinstance(layer, PartialConv) and c.mask_kernels == "ones":
                nn.init.ones_(layer.conv.mask_conv.weight)

    @property
    def head(self) -> nn.Module:
        """Makes small pictures of inferred texture and structure."""
        return self.generator.RGTSI.loss[0]

    def infer(self, batch: Batch, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, 3, H, W) in [-1, 1], and features of their texture and structure."""
        self.config.sizes().check(batch.image, CARD.name)
        return self.generator(shown(batch), reference)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.infer(batch, batch.need("exemplar"))[0]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [RGTSIStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take net_RGTSI.pth; the files of the other networks are read from the options `..._weights`."""
        c, networks = self.config, self.generator
        others = (
            ("encoder_weights", c.encoder_weights, networks.EN),
            ("reference_weights", c.reference_weights, networks.RefEN),
            ("decoder_weights", c.decoder_weights, networks.DE),
        )
        networks.RGTSI.load_state_dict(state.get("net", state))
        for option, path, network in others:
            if path is None:
                raise BenchError(
                    "rgtsi: name the authors' net_EN.pth, net_RefEN.pth and net_DE.pth in the suite's "
                    "`options: {encoder_weights: , reference_weights: , decoder_weights: }`"
                )
            weights.load_second(network, "rgtsi", option, path)


def _as_released(network: nn.Module, *given: Any) -> Any:
    """One pass, and what the released code computes beside: convolutions of masks with all channels."""
    output = network(*given)
    for layer in network.modules():
        if isinstance(layer, PartialConv):
            convolution = layer.conv.mask_conv
            convolution(torch.empty(2, convolution.in_channels, 32, 32))  # texture and structure
    return output


def _run(method: RGTSI, inputs: Inputs) -> dict[str, Tensor]:
    networks, seen = method.generator, {}
    block = networks.RGTSI.pc_block
    watched = {"enc6": networks.EN, "texture_aligned": block.TextureAlignment, "equalised": block.base}
    for name, module in watched.items():
        module.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output}))
    networks.DE.register_forward_pre_hook(lambda module, given: seen.update(skip3=given[0][2]))
    out, texture, structure = method.infer(Batch(inputs.image(), inputs.mask()), inputs.image(offset=50))
    return {
        "out": out,
        "enc6": seen["enc6"][-1][:, ::16],
        "texture_aligned": seen["texture_aligned"][:, ::384],
        "equalised": seen["equalised"][:, ::256],
        "skip3": seen["skip3"][:, ::128],
        "structure32": method.head(structure)[:, :1],
        "texture32": method.head(texture)[:, :1],
    }


def _maps() -> list[Tensor]:
    """An encoder's maps of an image of 256 px."""
    return [torch.empty(1, n, 128 >> level, 128 >> level) for level, n in enumerate(widths(64, 6))]


RGTSI.golden = {
    "rgtsi": Golden(
        build=RGTSI.create,
        load=lambda method, state: method.generator.load_state_dict(state),
        run=_run,
        parts=lambda method: {**dict(method.generator.named_children()), "generator": method.generator},
        costs={
            "EN": lambda m: m.generator.EN(torch.empty(1, 6, 256, 256)),
            "RefEN": lambda m: m.generator.RefEN(torch.empty(1, 3, 256, 256)),
            "RGTSI": lambda m: _as_released(m.generator.RGTSI, _maps(), _maps()),
            "DE": lambda m: m.generator.DE(_maps()),
            "generator": lambda m: _as_released(m.generator, torch.empty(1, 6, 256, 256), torch.empty(1, 3, 256, 256)),
        },
        keys={f"{name}.": f"rgtsi.{name}" for name in ("EN", "RefEN", "RGTSI", "DE")},
    ),
    "rgtsi.discriminator": Golden(
        build=lambda: Discriminator(64),
        run=lambda network, inputs: {
            "logit_full": network(inputs.image()),
            "logit_crop": network(inputs.image()[:, :, 64:128, 64:128]),
        },
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
