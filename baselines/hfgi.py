"""HFGI: what e4e's inversion has lost is aligned with its image and given back to one map of the generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.e4e import E4E, E4EConfig, E4EStage
from baselines.psp import InversionLoss, part, resized
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Method, Noise, Source, Stage, Update
from bench.nn.erased import erased, with_more_channels
from bench.nn.irse import Bottleneck
from bench.nn.perceptual import frozen
from bench.nn.perspective import random_perspective
from bench.nn.ranger import Ranger
from bench.nn.stylegan2 import Edit, NoiseMaps, bank_channels, without_constants
from bench.nn.stylegan2_blocks import GAIN, EqualConv2d

CARD = Card(
    slug="hfgi",
    name="HFGI",
    title="High-Fidelity GAN Inversion for Image Attribute Editing",
    authors="Wang, Zhang, Fan, Wang, Chen",
    year=2022,
    venue="CVPR 2022; arXiv 2109.06590",
    url="https://arxiv.org/abs/2109.06590",
    resolution=256,
    params={"encoder": 267_136_704, "grid_align": 596_801, "residue": 5_647_344, "decoder": 30_370_060},
    macs={"encoder": 72.481e9, "grid_align": 3.944e9, "residue": 25.650e9, "decoder": 75.38e9},
    published={"FID, LPIPS": "7.66, 0.214 (HierInv, table 1: FFHQ validation, erased share 0-100 %)"},
    training="Ranger 1e-4 (0.95, 0.999), batch 8, 100,000 steps; L2 1, LPIPS (AlexNet) 0.8, identity 0.1, alignment "
    "(L1) 0.1; the residual in a random perspective (distortion 0.15, probability 0.9); encoder and generator frozen",
    features="IR-SE50 (ArcFace), AlexNet (LPIPS v0.1)",
    convention="no masks; images in [-1, 1] at 256 px, output of 1024 px made smaller",
    licence="none stated; built on encoder4editing (MIT); the StyleGAN2 weights inside: Nvidia, non-commercial",
    weights="the authors' Google Drive: ckpt.pt (1024 px): {state_dict: encoder., decoder., grid_align., residue.; "
    "latent_avg}",
    trained_on={"ffhq": "all"},
    requires=("e4e",),
    choices={
        "input": "image: as released; as a row it inverts the masked picture with holes of 0, which it never saw in "
        "training. erased: retrained for inpainting as a row of HierInv's table 1, 'with an extra input channel for "
        "masks', of which no more is said: encoder and alignment see the erased picture and its valid mask",
        "shares": "erased: the encoder of the prior e4e first learns masked pictures, by e4e's losses and published "
        "number of iterations, with all offsets from the beginning; HierInv's paper says nothing about it",
        "masks": "erased: HierInv's, beside which it stands. tiny: irregular",
        "residual": "erased: 0 in the hole; the alignment is to give that of the whole original. The mask is not "
        "distorted",
        "perspective": "each image has one of its own; the authors' transform draws one a batch",
        "gain": "1: as released. tiny: 0.05, as its first steps would go into undoing random details",
        "noise": "one draw for both passes of the generator, where the released files have stored maps",
        "size": "paper: 1024, as released for faces (18 styles); a prior of 256 px reads the first 14. Preset 256: 14",
    },
    notes="A completion runs the generator twice; MACs are those of one pass. The details change the map of 64 px, a "
    "quarter of the encoder's size; scale and shift have as many channels as it: 512, or 256 with the prior's preset "
    "paper.",
)


class HFGIConfig(E4EConfig):
    """Sizes and losses of HFGI, beside those of e4e."""

    input: Literal["image", "erased"] = "image"  # what is encoded; erased: holes are 0, and a fourth channel says where
    start: int | None = None  # as e4e's, while the encoder learns masked pictures
    align_widths: tuple[int, int, int, int] = (16, 32, 48, 64)  # channels of the alignment, fine to coarse
    detail_widths: tuple[int, int, int] = (32, 48, 64)  # of the consultation
    detail_rate: float = 1e-4  # learning rate of these two
    gain: float = 1.0  # of the last filters of scale and shift when training starts
    alignment: float = 0.1  # weight of the aligned residual's L1
    distortion: float = 0.15  # of the residual's perspective in training, as a share of half the side
    distorted: float = 0.9  # its probability
    shares: tuple[float, float] = (0.75, 0.25)  # of the budget where the input is erased: encoder, details
    masks: str = "hierinv"  # training draw where the input is erased

    @property
    def channels(self) -> int:
        """Of the encoder's input."""
        return 4 if self.input == "erased" else 3

    @property
    def place(self) -> int:
        """Side of the generator's map that the details change: 64 of 256 px."""
        return self.pixels // 4


class Units(nn.Sequential):
    """Improved residual units without gates; the first one has the stride."""

    def __init__(self, inputs: int, *widths: int, stride: int = 1):
        pairs = enumerate(pairwise((inputs, *widths)))
        super().__init__(*(Bottleneck(a, b, 1 if i else stride, gated=False) for i, (a, b) in pairs))


class Alignment(nn.Module):
    """Adaptive distortion alignment: a U-Net that brings the residual into line with the first image.

    [residual, first image (, valid mask)] (N, inputs, S, S) -> aligned residual (N, 3, S, S). S is a multiple of 8.
    """

    def __init__(self, inputs: int, widths: Sequence[int]):
        super().__init__()
        a, b, c, d = widths
        self.conv_layer1 = _first(inputs, a)
        self.conv_layer2 = Units(a, b, b, b, stride=2)
        self.conv_layer3 = Units(b, c, c, c, stride=2)
        self.conv_layer4 = Units(c, d, d, d, stride=2)
        self.dconv_layer1 = Units(d + c, d, b, b)
        self.dconv_layer2 = Units(b + b, b, a, a)
        self.dconv_layer3 = Units(a + a, a, 3, 3)

    def forward(self, given: Tensor) -> Tensor:
        whole = self.conv_layer1(given)
        half = self.conv_layer2(whole)
        quarter = self.conv_layer3(half)
        x = self.dconv_layer1(_beside(self.conv_layer4(quarter), quarter))
        x = self.dconv_layer2(_beside(x, half))
        return self.dconv_layer3(_beside(x, whole))


class Conv(EqualConv2d):
    """3 x 3 convolution with equalised learning rate and a bias; `gain` is that of its filters at first."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0):
        super().__init__(inputs, outputs, 3, padding=1)
        self.weight.data.mul_(gain)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.bias.to(x.dtype)[:, None, None]


class Activation(nn.Module):
    """Leaky ReLU that keeps the variance."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.2) * GAIN


class Consultation(nn.Module):
    """Distortion consultation: the aligned residual (N, 3, S, S) as a scale and a shift.

    Both are (N, channels, S / 4, S / 4).
    """

    def __init__(self, widths: Sequence[int], channels: int, gain: float = 1.0):
        super().__init__()
        a, b, c = widths

        def head() -> nn.Sequential:
            return nn.Sequential(Conv(c, channels), Activation(), Conv(channels, channels, gain))

        self.conv_layer1 = _first(3, a)
        self.conv_layer2 = Units(a, b, b, b, stride=2)
        self.conv_layer3 = Units(b, c, c, c, stride=2)
        self.condition_scale3, self.condition_shift3 = head(), head()

    def forward(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv_layer3(self.conv_layer2(self.conv_layer1(residual)))
        return self.condition_scale3(x), self.condition_shift3(x)


class HFGI(E4E):
    """An e4e whose generator is told the details of the picture."""

    card = CARD
    Config = HFGIConfig  # type: ignore[assignment]
    config: HFGIConfig
    residue: Consultation
    presets = {
        "paper": HFGIConfig(),
        "256": HFGIConfig(size=256),
        "tiny": HFGIConfig(
            size=64, pixels=64, input="erased", widths=(16, 32, 64, 128), units=(1, 1, 2, 1), dim=64,
            learning_rate=2e-3, critic_rate=2e-4, detail_rate=1e-2, gain=0.05, shares=(0.3, 0.7), masks="irregular",
            align_widths=(16, 16, 24, 32),  # not narrower: a backward pass of torch 2.15 crashed
            detail_widths=(16, 24, 32),
        ),
    }  # fmt: skip
    prior_presets = {"256": {"stylegan2": "rosinality"}}

    def __init__(self, config: HFGIConfig):
        super().__init__(config)
        self.grid_align = Alignment(config.channels + 3, config.align_widths)

    def attach(self, priors: Mapping[str, Method]) -> None:
        prior, ours = cast(E4E, priors["e4e"]), self.config
        for name in ("size", "pixels", "widths", "units", "dim", "from_average"):
            if getattr(ours, name) != (given := getattr(prior.config, name)):
                raise BenchError(
                    f"hfgi takes the encoder of its prior e4e, whose option {name} is {given}, not "
                    f"{getattr(ours, name)}: choose the same preset of both, or set this option of one of them"
                )
        state = prior.encoder.state_dict()
        first = "input_layer.0.weight"
        if state[first].shape[1] > ours.channels:
            raise BenchError("hfgi takes the encoder of its prior e4e, which is to see images: leave out its `input`")
        self.encoder.load_state_dict(state | {first: with_more_channels(state[first], ours.channels)})
        self.latent_avg.copy_(prior.latent_avg)
        self.decoder = prior.decoder
        self.consult()

    def consult(self) -> None:
        """Make the consultation for the attached generator, which stays as it is."""
        frozen(self.decoder)
        channels = bank_channels(self.decoder)[self.level]
        self.residue = Consultation(self.config.detail_widths, channels, self.config.gain)

    @property
    def level(self) -> int:
        """Of the generator's map that the details change: 0 is 8 px."""
        return self.config.place.bit_length() - 4

    def source(self, batch: Batch) -> Tensor:
        """What the encoder sees of a batch: images (N, 3, S, S), or erased ones with their valid mask (N, 4, S, S)."""
        if self.config.input == "erased":
            return erased(batch.image, batch.mask, self.config.pixels)
        return resized(batch.image, self.config.pixels)

    def draw(self, codes: Tensor, maps: NoiseMaps = None, edit: Edit | None = None) -> Tensor:
        """The generator's images of codes, with these noise maps."""
        return self.decoder(codes[:, : self.decoder.codes], maps, edit)

    def first(self, codes: Tensor, maps: NoiseMaps = None) -> Tensor:
        """The image of the codes alone, at the encoder's size."""
        return shrunk(self.draw(codes, maps).clamp(-1, 1), self.config.pixels)

    def align(self, residual: Tensor, first: Tensor, seen: Tensor) -> Tensor:
        """The residual, of the picture as the encoder sees it, in line with the first image."""
        return self.grid_align(torch.cat([residual, first, seen[:, 3:]], dim=1))

    def details(self, aligned: Tensor) -> Edit:
        """The edit of the generator: its map times 1 + scale, plus shift."""
        scale, shift = self.residue(aligned)
        return lambda layer, x: x * (1 + scale) + shift if layer == 2 * self.level + 1 else x

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The image of the codes alone, and that with the details."""
        self.config.sizes().check(batch.image, self.card.name)
        seen, maps = self.source(batch.blind()), noise.maps(self.decoder.sides)
        codes = self.codes(seen)
        first = self.first(codes, maps)
        aligned = self.align(known(seen[:, :3] - first, seen), first, seen)
        images = first, self.draw(codes, maps, self.details(aligned))
        return [shrunk(image, batch.image.shape[-1]).clamp(-1, 1) for image in images]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        self.check_generator()
        details = DetailStage(self, features)
        if self.config.input == "image":
            return [details]
        encoder = EncoderStage(self, features)
        encoder.share, details.share = self.config.shares
        encoder.masks = details.masks = self.config.masks
        return [encoder, details]

    def load_official(self, state: Mapping[str, Any]) -> None:
        super().load_official(state)
        self.consult()
        for name, network in (("grid_align", self.grid_align), ("residue", self.residue)):
            network.load_state_dict(part(state["state_dict"], f"{name}."))


class EncoderStage(E4EStage):
    """e4e's training on masked pictures: the codes should give the whole picture."""

    method: HFGI
    name, fresh = "encoder", False


class DetailStage(Stage):
    """Alignment and consultation learn what the codes leave out; encoder and generator stay as they are."""

    method: HFGI
    name, iterations, batch_size = "details", 100_000, 8

    def __init__(self, method: HFGI, features: Source):
        super().__init__(method)
        self.config = method.config
        self.loss = InversionLoss(self.config, features)

    def optimisers(self) -> dict[str, Optimizer]:
        parameters = [*self.method.grid_align.parameters(), *self.method.residue.parameters()]
        return {"details": Ranger(parameters, self.config.detail_rate)}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        method.encoder.eval()  # the statistics of its normalisation stay too
        image, maps = resized(batch.image, c.pixels), noise.maps(method.decoder.sides)
        with torch.no_grad():
            seen = method.source(batch)
            codes = method.codes(seen)
            first = method.first(codes, maps)
            residual = image - first
            given = random_perspective(known(residual, seen), noise, c.distortion, c.distorted)
        aligned = method.align(given, first, seen)
        output = method.draw(codes, maps, method.details(aligned))
        total, losses = self.loss(F.adaptive_avg_pool2d(output, c.pixels), image)
        losses["alignment"] = F.l1_loss(aligned, residual)
        update("details", total + c.alignment * losses["alignment"])
        return losses


def known(residual: Tensor, seen: Tensor) -> Tensor:
    """A residual without what is under the hole, where the encoder is told of one."""
    return residual * seen[:, 3:] if seen.shape[1] > 3 else residual


def shrunk(images: Tensor, pixels: int) -> Tensor:
    """Square images of that size, as the authors resize them."""
    if images.shape[-1] == pixels:
        return images
    return F.interpolate(images, (pixels, pixels), mode="bilinear", align_corners=False)


def _first(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.PReLU(outputs))


def _beside(x: Tensor, finer: Tensor) -> Tensor:
    """A map in the size of a finer one, and that one."""
    return torch.cat([F.interpolate(x, finer.shape[2:], mode="bilinear", align_corners=False), finer], dim=1)


def _load(method: HFGI, state: Mapping[str, Tensor]) -> None:
    method.load_official({"state_dict": state, "latent_avg": torch.zeros_like(method.latent_avg)})
    for name in ("decoder", "residue"):  # made while loading, in single precision
        getattr(method, name).double().load_state_dict(without_constants(part(state, f"{name}.")))


def _run(method: HFGI, inputs: Inputs) -> dict[str, Tensor]:
    method.latent_avg.copy_(0.2 * inputs.latent(18, 512))
    image = inputs.image()
    codes = method.codes(image)
    first = method.first(codes)
    aligned = method.align(image - first, first, image)
    scale, shift = method.residue(aligned)
    out = shrunk(method.draw(codes, edit=method.details(aligned)), 256)
    few = {"scale": scale[:, ::8], "shift": shift[:, ::8]}
    return few | {"codes": codes, "initial": first, "aligned": aligned, "out": out}


HFGI.golden = {
    "hfgi": Golden(
        build=HFGI.create,
        load=_load,
        run=_run,
        parts=HFGI.networks,
        costs={
            "encoder": lambda m: m.encoder(torch.empty(1, 3, 256, 256)),
            "grid_align": lambda m: m.grid_align(torch.empty(1, 6, 256, 256)),
            "residue": lambda m: m.residue(torch.empty(1, 3, 256, 256)),
            "decoder": lambda m: m.decoder(torch.empty(1, 18, 512)),
        },
    ),
}
