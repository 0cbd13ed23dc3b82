"""HyperStyle: a hypernetwork looks at a picture and its inversion, and changes the generator's weights, in passes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.psp import PSP, InversionLoss, PSPConfig, PSPStage, part, resized
from baselines.stylegan2 import StyleGAN2
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Method, Noise, Source, Stage, Update
from bench.nn.erased import erased
from bench.nn.ranger import Ranger
from bench.nn.stylegan2 import Generator, NoiseMaps, without_constants
from bench.nn.stylegan2_blocks import EqualLinear

CARD = Card(
    slug="hyperstyle",
    name="HyperStyle",
    title="HyperStyle: StyleGAN Inversion with HyperNetworks for Real Image Editing",
    authors="Alaluf, Tov, Mokady, Gal, Bermano",
    year=2022,
    venue="CVPR 2022; arXiv 2111.15666",
    url="https://arxiv.org/abs/2111.15666",
    resolution=256,
    params={"hypernet": 332_664_896, "encoder": 31_212_736, "decoder": 30_370_060},
    macs={"hypernet": 33.239e9, "encoder": 32.829e9, "decoder": 75.38e9},
    published={"FID, LPIPS": "7.46, 0.208 (HierInv, table 1: FFHQ validation, erased share 0-100 %)"},
    training="Ranger 1e-4 (0.95, 0.999), batch 8, up to 500,000 steps of 5 passes; L2 1, LPIPS (AlexNet) 0.8, identity "
    "0.1 after each pass; the hypernetwork starts from ImageNet's ResNet-34; W encoder and generator frozen",
    features="IR-SE50 (ArcFace), AlexNet (LPIPS v0.1), ResNet-34 (ImageNet)",
    convention="no masks; images in [-1, 1] at 256 px, output pooled to 256 px",
    licence="MIT; the StyleGAN2 weights inside: Nvidia, non-commercial",
    weights="the authors' Google Drive: hyperstyle_ffhq.pt (1024 px) as `weights`: {state_dict: hypernet., decoder.; "
    "latent_avg}, and faces_w_encoder.pt as the option `w_weights`: {state_dict: encoder.; latent_avg}",
    trained_on={"ffhq": "all"},
    requires=("stylegan2",),
    choices={
        "input": "image: as released; as a row it inverts the masked picture with holes of 0, which it never saw in "
        "training. erased: retrained for inpainting as a row of HierInv's table 1, 'with an extra input channel for "
        "masks', of which no more is said: both networks see the erased picture and its valid mask",
        "shares": "of the W encoder, which is trained first, by pSp's losses, and of the hypernetwork; half each, as "
        "both have up to 500,000 steps",
        "masks": "erased: HierInv's, beside which it stands. tiny: irregular",
        "passes": "the optimiser steps once for all passes of a batch; no pass reaches back into the one before it. 5, "
        "as in training and for inversion; the authors edit after 3",
        "noise": "one draw for all passes, where the released files have stored maps",
        "tuned": "convolutions: the paper's. all: the layers to RGB too, 369,205,472 parameters",
        "size": "paper: 1024, as released for faces (18 styles); a prior of 256 px reads the first 14. Preset 256: 14",
    },
    notes="A completion runs the generator once more than the hypernetwork; MACs are those of one pass. Of the preset "
    "256: hypernet 312,984,640 parameters, 32.872 G MACs; decoder 30,034,338, 45.373 G. With the prior's preset paper "
    "some layers have fewer channels.",
)

BODY, BLOCKS = (64, 128, 256, 512), (3, 4, 6, 3)  # ResNet-34
Offsets = dict[int, Tensor]  # tuned layer -> (N, outputs, inputs, k, k); k = 1 for the same in all taps


class HyperStyleConfig(PSPConfig):
    """Sizes and losses of HyperStyle, beside those of pSp."""

    input: Literal["image", "erased"] = "image"  # what is encoded; erased: holes are 0, and a fourth channel says where
    encoder: Literal["w"] = "w"
    body: tuple[int, int, int, int] = BODY  # channels of the hypernetwork's groups of blocks
    blocks: tuple[int, int, int, int] = BLOCKS
    tuned: Literal["convolutions", "all"] = "convolutions"  # layers of the generator; all: those to RGB too
    passes: int = Field(default=5, ge=1)  # of the hypernetwork
    hyper_rate: float = 1e-4  # its learning rate
    shares: tuple[float, float] = (0.5, 0.5)  # of the budget: W encoder, hypernetwork
    masks: str = "hierinv"  # training draw where the input is erased
    w_weights: Path | None = None  # the authors' faces_w_encoder.pt, where `weights` names hyperstyle_ffhq.pt

    @property
    def channels(self) -> int:
        """Of the encoder's input."""
        return 4 if self.input == "erased" else 3

    def files(self) -> list[Path]:
        return [self.w_weights] if self.w_weights else []


class SharedWeights(nn.Module):
    """The last layers of all blocks whose convolution has as many inputs as outputs.

    (N, width) -> (N, channels, channels, 3, 3). The first product runs over the input channels, and yet what it gives
    is read as if they were the output's, as in the released weights.
    """

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.channels = channels
        self.w1, self.b1 = _normal(width, channels * 9), _normal(channels * 9)
        self.w2, self.b2 = _normal(width, channels * width), _normal(channels * width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = (x @ self.w2 + self.b2).unflatten(1, (self.channels, -1))
        return (hidden @ self.w1 + self.b1).reshape(len(x), self.channels, self.channels, 3, 3)


class SharedBlock(nn.Module):
    """A refinement block before the shared weights: map (N, width, side, side) -> (N, width)."""

    def __init__(self, width: int, side: int):
        super().__init__()
        inner, halvings = width // 4, side.bit_length() - 1
        sizes = [width, *[inner] * halvings, width]
        strides = [1, *[2] * halvings]
        self.convs = _convolutions(sizes, strides)
        self.linear = EqualLinear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).mean((2, 3)))  # one pixel is left


class Block(nn.Module):
    """A refinement block of its own last layer: map (N, width, side, side) -> (N, outputs, inputs, 1, 1)."""

    def __init__(self, width: int, side: int, outputs: int, inputs: int, pooled: bool):
        super().__init__()
        self.outputs, inner = outputs, width // 2
        halvings = max(side.bit_length() - (2 if pooled else 1), 2)
        self.convs = _convolutions([width, *[inner] * (halvings - 1), width], [2] * halvings)
        last = nn.Conv2d(width, outputs * inputs, 1)
        self.output = nn.Sequential(nn.AdaptiveAvgPool2d(1), last) if pooled else nn.Sequential(last)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.convs(x)).unflatten(1, (self.outputs, -1))


class HyperNetwork(nn.Module):
    """A ResNet-34 without its pooling, and a refinement block for each tuned layer.

    `shapes`: of the layers' weights (outputs, inputs, k, k). Images (N, inputs, S, S) -> offsets.
    """

    def __init__(self, inputs: int, size: int, widths: Sequence[int], blocks: Sequence[int], shapes: Mapping[int, Any]):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, widths[0], 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        self.body = nn.Sequential(*_residual(widths, blocks))
        width, side, channels = widths[-1], size // 16, shapes[0][0]
        self.shared_weight_hypernet = SharedWeights(width, channels)
        made: dict[str, nn.Module] = {}
        for layer, (outputs, before, kernel, _) in shapes.items():
            shared = (outputs, before, kernel) == (channels, channels, 3)
            made[str(layer)] = (
                SharedBlock(width, side) if shared else Block(width, side, outputs, before, pooled=kernel > 1)
            )
        self.refinement_blocks = nn.ModuleDict(made)

    def forward(self, given: Tensor) -> Offsets:
        x = self.body(self.relu(self.bn1(self.conv1(given))))
        found: Offsets = {}
        for layer, block in self.refinement_blocks.items():
            made = block(x)
            found[int(layer)] = self.shared_weight_hypernet(made) if isinstance(block, SharedBlock) else made
        return found

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Load the released names, in which every block names the shared weights again."""
        again = re.compile(r"refinement_blocks\.\d+\.hypernet\.")
        self.load_state_dict({key: value for key, value in state.items() if not again.match(key)})

    def start_from(self, resnet: Mapping[str, Tensor]) -> None:
        """Take ImageNet's ResNet-34; the inputs beyond RGB stay as they are."""
        own = self.state_dict()
        taken: dict[str, Tensor] = {}
        names = [f"layer{group}.{i}." for group, count in enumerate(BLOCKS, 1) for i in range(count)]
        for number, name in enumerate(names):
            taken |= {f"body.{number}.{key}": value for key, value in part(resnet, name).items()}
        taken |= {f"bn1.{key}": value for key, value in part(resnet, "bn1.").items()}
        first = own["conv1.weight"].clone()
        first[:, :3] = resnet["conv1.weight"]
        self.load_state_dict(own | taken | {"conv1.weight": first})


class HyperStyle(PSP):
    """A pSp with one code an image, whose generator has weights of its own for every image."""

    card = CARD
    Config = HyperStyleConfig
    config: HyperStyleConfig
    hypernet: HyperNetwork
    presets = {
        "paper": HyperStyleConfig(),
        "256": HyperStyleConfig(size=256),
        "tiny": HyperStyleConfig(
            size=64, pixels=64, input="erased", widths=(16, 32, 64, 128), units=(1, 1, 2, 1), dim=64,
            learning_rate=5e-3, body=(16, 32, 64, 64), blocks=(1, 1, 1, 1), passes=2, hyper_rate=1e-2,
            masks="irregular",
        ),
    }  # fmt: skip
    prior_presets = {"256": {"stylegan2": "rosinality"}}
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def attach(self, priors: Mapping[str, Method]) -> None:
        super().attach(priors)
        self.tune()

    def tune(self) -> None:
        """Make the hypernetwork for the attached generator."""
        c = self.config
        self.names = tuned_layers(self.decoder, c.tuned == "all")
        shapes = {layer: self.decoder.get_parameter(name).shape[1:] for layer, name in self.names.items()}
        self.hypernet = HyperNetwork(c.channels + 3, c.pixels, c.body, c.blocks, shapes)

    def source(self, batch: Batch) -> Tensor:
        """What both networks see of a batch: images (N, 3, S, S), or erased ones with their valid mask (N, 4, S, S)."""
        if self.config.input == "erased":
            return erased(batch.image, batch.mask, self.config.pixels)
        return resized(batch.image, self.config.pixels)

    def draw(self, codes: Tensor, offsets: Offsets, maps: NoiseMaps = None) -> Tensor:
        """Images (N, 3, size, size) of codes; weights W of the generator are W (1 + offset) for each image."""
        codes = codes[:, : self.decoder.codes]
        if not offsets:
            return self.decoder(codes, maps)
        images = []
        for i in range(len(codes)):
            changed = {
                name: self.decoder.get_parameter(name) * (1 + offsets[layer][i]) for layer, name in self.names.items()
            }
            own = None if maps is None else [x[i : i + 1] for x in maps]
            images.append(functional_call(self.decoder, changed, (codes[i : i + 1], own)))
        return torch.cat(images)

    def refined(self, offsets: Offsets, seen: Tensor, image: Tensor) -> Offsets:
        """The offsets after one more pass, which sees the picture and what it looks like by now."""
        given = torch.cat([seen, F.adaptive_avg_pool2d(image, self.config.pixels)], dim=1)
        return {layer: x + offsets.get(layer, 0) for layer, x in self.hypernet(given).items()}

    def passes(self, seen: Tensor, codes: Tensor, maps: NoiseMaps = None) -> Iterator[tuple[Tensor, Offsets]]:
        """The image of the codes, then that after each pass, with the offsets that made it."""
        offsets: Offsets = {}
        image = self.draw(codes, offsets, maps)
        yield image, offsets
        for _ in range(self.config.passes):
            offsets = self.refined(offsets, seen, image)
            image = self.draw(codes, offsets, maps)
            yield image, offsets

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The image of the W encoder's code, and that of each pass."""
        self.config.sizes().check(batch.image, self.card.name)
        seen, maps = self.source(batch.blind()), noise.maps(self.decoder.sides)
        images = (image for image, _ in self.passes(seen, self.codes(seen), maps))
        return [resized(image, batch.image.shape[-1]).clamp(-1, 1) for image in images]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        self.check_generator()
        encoder, hyper = EncoderStage(self, features), HyperStage(self, features)
        encoder.share, hyper.share = self.config.shares
        encoder.masks = hyper.masks = self.config.masks
        return [encoder, hyper]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take hyperstyle_ffhq.pt; the W encoder's file is read from the option `w_weights`."""
        if self.config.w_weights is None:
            raise BenchError("hyperstyle: name the authors' faces_w_encoder.pt in the suite's `options: {w_weights: }`")
        given = state["state_dict"]
        encoder: Mapping[str, Any] = weights.read(self.config.w_weights)
        super().load_official({**state, "state_dict": {**given, **_behind(encoder["state_dict"], "encoder.")}})
        self.tune()
        self.hypernet.take(part(given, "hypernet."))


class EncoderStage(PSPStage):
    """pSp's training of one code an image."""

    name = "encoder"


class HyperStage(Stage):
    """The hypernetwork learns to correct what the last pass left wrong; W encoder and generator stay as they are."""

    method: HyperStyle
    name, iterations, batch_size = "hypernetwork", 500_000, 8

    def __init__(self, method: HyperStyle, features: Source):
        super().__init__(method)
        self.config = method.config
        self.loss = InversionLoss(self.config, features)
        if features == "official":
            method.hypernet.start_from(weights.load("resnet34"))

    def optimisers(self) -> dict[str, Optimizer]:
        return {"hypernetwork": Ranger(self.method.hypernet.parameters(), self.config.hyper_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        method.encoder.eval()  # the statistics of its normalisation stay too
        target, maps = resized(batch.image, c.pixels), noise.maps(method.decoder.sides)
        with torch.no_grad():
            seen = method.source(batch)
            codes = method.codes(seen)
            image = method.draw(codes, {}, maps)
        offsets: Offsets = {}
        parameters = [*method.hypernet.parameters()]
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        for _ in range(c.passes):
            before = {layer: x.detach() for layer, x in offsets.items()}
            offsets = method.refined(before, seen, image.detach())
            image = F.adaptive_avg_pool2d(method.draw(codes, offsets, maps), c.pixels)
            loss, losses = self.loss(image, target)
            for total, gradient in zip(gradients, torch.autograd.grad(loss, parameters), strict=True):
                total += gradient
        # a function with these gradients: what the passes keep for their own is free again after each
        given = zip(parameters, gradients, strict=True)
        update("hypernetwork", torch.stack([(parameter * gradient).sum() for parameter, gradient in given]).sum())
        return losses


def tuned_layers(generator: Generator, rgb: bool = False) -> dict[int, str]:
    """The weights that get offsets, by the paper's numbers.

    0: the first convolution, 1: its layer to RGB, then two convolutions and the layer to RGB of each size.
    """
    names = {0: "conv1", 1: "to_rgb1"}
    for level in range(len(generator.to_rgbs)):
        names |= {3 * level + 2 + i: f"convs.{2 * level + i}" for i in range(2)}
        names |= {3 * level + 4: f"to_rgbs.{level}"}
    return {layer: f"{name}.conv.weight" for layer, name in names.items() if rgb or "rgb" not in name}


def _normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) / 40)


def _convolutions(widths: Sequence[int], strides: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise(widths), strides, strict=True):
        layers += [nn.Conv2d(before, after, 3, stride, 1), nn.LeakyReLU()]
    return nn.Sequential(*layers)


def _residual(widths: Sequence[int], blocks: Sequence[int]) -> Iterator[nn.Module]:
    """The residual blocks of a ResNet; every group but the first halves the size."""
    from torchvision.models.resnet import BasicBlock

    before = widths[0]
    for group, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for i in range(count):
            stride = 2 if group and not i else 1
            shortcut = None
            if stride > 1:
                shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            yield BasicBlock(before, width, stride, shortcut)
            before = width


def _behind(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries with that prefix, which they keep."""
    return {key: value for key, value in state.items() if key.startswith(prefix)}


def _whole() -> Method:
    """The method on the generator that the golden file was made with."""
    method = HyperStyle.create("256", passes=2)
    method.attach({"stylegan2": StyleGAN2.create("rosinality")})
    return method


def _load(method: HyperStyle, state: Mapping[str, Tensor]) -> None:
    method.encoder.load_state_dict(part(state, "w_encoder."))
    method.decoder.load_state_dict(without_constants(part(state, "decoder.")))
    method.hypernet.take(part(state, "hypernet."))


def _run(method: HyperStyle, inputs: Inputs) -> dict[str, Tensor]:
    method.latent_avg.copy_(0.2 * inputs.latent(14, 512))
    image = inputs.image()
    codes = method.codes(image)
    (initial, _), (one, offsets), (two, _) = method.passes(image, codes)
    deltas = {"delta0": offsets[0][0, :, :, 0, 2], "delta18": offsets[18][0, :, :, 0, 0]}
    return deltas | {"codes": codes, "initial": initial, "iter1": one, "iter2": two}


HyperStyle.golden = {
    "hyperstyle": Golden(
        build=_whole,
        load=_load,
        run=_run,
        parts=lambda m: {"w_encoder": m.encoder, "hypernet": m.hypernet, "decoder": m.decoder},
        costs={
            "w_encoder": lambda m: m.encoder(torch.empty(1, 3, 256, 256)),
            "hypernet": lambda m: m.hypernet(torch.empty(1, 6, 256, 256)),
            "decoder": lambda m: m.decoder(torch.empty(1, 14, 512)),
        },
    ),
}
