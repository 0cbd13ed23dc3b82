"""EXE-GAN: completes a face in the style of an exemplar, with a co-modulated generator and weighted gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.arcface import ArcFace
from baselines.comodgan import CoModulated, generator_cost
from baselines.psp import PSP
from baselines.stylegan2 import golden_noise
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.perceptual import Frozen, frozen
from bench.nn.psp import GradualStyleEncoder, level
from bench.nn.stylegan2 import Discriminator, Width, fixed, without_constants
from bench.nn.stylegan2_training import mixed_codes
from methods.exegan.svgl import Blur, confidence, reverse
from methods.exegan.training import EXEGANStage

CARD = Card(
    slug="exegan",
    name="EXE-GAN",
    title="Do Inpainting Yourself: Generative Facial Inpainting Guided by Exemplars",
    authors="Lu, Zhao, Jiang, Jin, Yang, Wang, Lyu, Shi",
    year=2025,
    venue="Neurocomputing 617; arXiv 2202.06358",
    url="https://github.com/LonglongaaaGo/EXE-GAN",
    task="exemplar",
    resolution=256,
    params={"generator": 79_177_378, "discriminator": 28_864_129, "style encoder": 267_136_704},
    macs={"generator": 90.256e9, "discriminator": 46.532e9, "style encoder": 72.481e9},
    published={
        "parameters": "79.18 M, the generator",
        "FLOPs": "90.26 G at 256 px (thesis, table 5.2; without FIR filters)",
        "FPS": "77.62 on an RTX 3090",
    },
    training="Adam 0.002 (0, 0.99) with lazy correction, batch 8, 800,000 iterations; logistic loss, R1 gamma 10 every "
    "16 steps, path length 2 every 4, attribute 0.1, identity 0.1, LPIPS (VGG, batch sum) 0.5; EMA 0.99778",
    features="pSp's encoder (FFHQ), ResNet-101 'ArcFace', LPIPS (VGG-16)",
    convention="1 = hole; the image with holes 0, then the mask minus 0.5; linear output",
    licence="MIT; the StyleGAN2 kernels: NVIDIA Source Code License-NC",
    weights="EXE_GAN_model_256.pt and EXE_GAN_model_512.pt (Google Drive; FFHQ): {g, d, g_ema, ...}; the style encoder "
    "is the prior psp with its file psp_ffhq_encode.pt",
    trained_on={"ffhq": "train"},
    requires=("psp",),
    needs=("exemplar",),
    choices={
        "tau": "0.1, the probability of the picture itself as exemplar: thesis. The released script for 256 px: 0.2",
        "beta1": "0 of Adam: released code. 0.5: the thesis",
        "lpips": "0.5 as the readme and the thesis say; the released script's default is 1.5",
        "identity": "0.1 likewise; the released script's default is 0",
        "attribute_norm": "released: mean squared error of the codes. thesis: mean of the Euclidean distances",
        "blur": "released: 65 x 65, in practice a box, seven times. thesis: a Gaussian of 64 x 64, deviation 40",
        "path": "2 as released; the thesis has no path length regularisation: 0",
        "exemplars": "reversed: the batch in reverse order, as released. random: the thesis; here the batch, shifted "
        "by a random number of places",
    },
    notes="The preset `thesis` has all its choices, `paper` those of the released code with the thesis's tau and loss "
    "weights. The published counts are the generator's. One mask serves a whole batch in training.",
)


class EXEGANConfig(Config):
    """Sizes and losses of EXE-GAN."""

    size: int = 256  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of z, w and the exemplar's codes
    whole: int = 1024  # entries of the code of the whole picture
    depth: int = 8  # layers of the mapping network
    start: int = 4  # layers before this one have random codes, the others the exemplar's
    learning_rate: float = 0.002
    beta1: float = 0.0  # of Adam (thesis: 0.5)
    batch_size: int = 8
    mixing: float = 0.5  # probability of two random codes in one image, in training and test
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    path: float = 2.0  # weight of the path length penalty (thesis: 0)
    path_every: int = 4  # iterations
    path_shrink: int = 2  # the penalty sees batch / shrink images
    tau: float = 0.1  # probability that the exemplar is the picture itself
    exemplars: Literal["reversed", "random"] = "reversed"  # which other faces of the batch guide it
    attribute: float = 0.1  # weight of the attribute loss
    attribute_norm: Literal["released", "thesis"] = "released"  # mean squared error, or mean of distances
    identity: float = 0.1  # weight of the identity loss
    lpips: float = 0.5  # weight of LPIPS, summed over the batch
    svgl_attribute: bool = True  # the attribute loss changes the middle of holes most
    svgl_lpips: bool = True  # LPIPS changes the border of holes most
    blur: Blur = "released"  # of the gradient weights
    blur_size: int = 65  # pixels (thesis: 64)
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the generator
    masks: str = "exegan"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class StyleEncoder(Frozen):
    """pSp's encoder as EXE-GAN uses it: frozen, and only the heads of the layers that take an exemplar's code."""

    average: Tensor

    def __init__(self, encoder: GradualStyleEncoder, average: Tensor, start: int):
        super().__init__()
        self.encoder, self.start = encoder, start
        self.register_buffer("average", average[start:].clone())
        frozen(self)

    def forward(self, images: Tensor) -> Tensor:
        """Codes (N, layers - start, D) of images (N, 3, H, W) in [-1, 1]."""
        encoder = self.encoder
        side = encoder.size
        if images.shape[2:] != (side, side):
            images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=True)
        maps = encoder.pyramid(encoder.features(images))
        wanted = range(self.start, self.start + len(self.average))
        return torch.stack([encoder.styles[i](maps[level(i)]) for i in wanted], dim=1) + self.average


class EXEGAN(Method):
    """EXE-GAN as published: CoModGAN's generator whose later layers take the codes of an exemplar."""

    card = CARD
    Config = EXEGANConfig
    config: EXEGANConfig
    styles: StyleEncoder
    presets = {
        "paper": EXEGANConfig(),
        "thesis": EXEGANConfig(
            beta1=0.5, path=0, exemplars="random", attribute_norm="thesis", blur="thesis", blur_size=64
        ),
        "512": EXEGANConfig(size=512, masks="exegan-512"),
        "tiny": EXEGANConfig(
            size=64, width=1024, limit=64, code=64, whole=128, depth=4, gamma=1, tau=0.5, blur_size=17, ema=0.99
        ),
    }
    prior_presets = {name: {"psp": "paper", "stylegan2": "paper"} for name in ("thesis", "512")}
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {  # thesis, tables 5.3, 5.4 and 5.5
        "(a)": {"svgl_attribute": False, "svgl_lpips": False},
        "(b)": {"svgl_attribute": False},
        "(c)": {"svgl_lpips": False},
        "(d)": {"attribute": 0.0},
        "(e)": {"lpips": 0.0},
        "(f)": {"identity": 0.0},
    }

    def __init__(self, config: EXEGANConfig):
        super().__init__(config)
        c = config
        self.generator = CoModulated(c.size, Width(c.width, c.limit), c.code, c.whole, c.depth)

    def attach(self, priors: Mapping[str, Method]) -> None:
        psp, c, layers = priors["psp"], self.config, self.generator.codes
        assert isinstance(psp, PSP)
        encoder, given = psp.encoder, psp.config
        if not isinstance(encoder, GradualStyleEncoder) or given.styles < layers or given.dim != c.code:
            raise BenchError(
                f"exegan at {c.size} px takes {layers} codes of {c.code} values from psp's gradual encoder: choose "
                "such a preset of it under `priors`"
            )
        self.styles = StyleEncoder(encoder, psp.latent_avg[:layers], c.start)

    def networks(self) -> dict[str, nn.Module]:
        encoder = {"style encoder": self.styles.encoder} if hasattr(self, "styles") else {}
        return {"generator": self.generator, **encoder}

    def exemplar_codes(self, exemplar: Tensor) -> Tensor:
        """The codes (N, layers - start, D) that an exemplar (N, 3, H, W) gives."""
        return self.styles(exemplar)

    def codes(self, style: Tensor, noise: Noise) -> Tensor:
        """Codes (N, layers, D) of random z; from layer `start` on those of the exemplar."""
        c, generator = self.config, self.generator
        codes = mixed_codes(generator.style, noise, c.code, generator.codes, c.mixing)
        return torch.cat([codes[:, : c.start], style], dim=1)

    def draw(self, batch: Batch, codes: Tensor, noise: Noise) -> Tensor:
        """Images of these codes."""
        return self.generator(batch.masked, batch.mask, codes, **self.generator.random(noise))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        style = self.exemplar_codes(batch.need("exemplar"))
        return self.draw(batch, self.codes(style, noise), noise)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [EXEGANStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take `g_ema` of the authors' checkpoint, or a generator's state dict."""
        self.generator.load_state_dict(without_constants(state.get("g_ema", state)))


def judge_from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names in the discriminator for those of the released `d`."""
    renamed = {}
    for key, value in without_constants(state).items():
        head, _, rest = key.partition(".")
        if head == "encoder_convs":
            number, _, rest = rest.partition(".")
            key = f"convs.{int(number) + 1}.{rest}"
        renamed[key.replace("encoder_input_convs", "convs.0")] = value
    return renamed


def _run_generator(method: EXEGAN, inputs: Inputs) -> dict[str, Tensor]:
    image, mask, generator = inputs.image(), inputs.mask(), method.generator
    batch = Batch(image, mask)
    maps, whole = generator.encode(batch.masked, mask)
    w = generator.style(inputs.latent(1, 512))
    start = method.config.start
    style = inputs.latent(1, generator.codes - start, 512, offset=50)
    latent = torch.cat([w[:, None].expand(-1, start, -1), style], dim=1)
    pred = generator(batch.masked, mask, latent)
    return {
        "x_global": whole,
        "feature4": generator.start(maps, whole),
        "w": w,
        "latent": latent,
        "pred": pred,
        "pred_noise": generator(batch.masked, mask, latent, golden_noise(inputs, generator.sides)),
        "out": batch.composite(pred),
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = inputs.image(batch=4)[:2]
    return {"out": network(images), "features": network.convs(images)}


def _run_weights(_: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    mask = inputs.mask()
    near = confidence(mask)
    return {"weight": near, "reverse": reverse(mask, near)}


EXEGAN.golden = {
    "exegan.generator": Golden(
        build=EXEGAN.create,
        load=EXEGAN.load_official,
        run=_run_generator,
        parts=lambda method: {"generator": method.generator, **dict(method.generator.named_children())},
        costs={"generator": lambda method: generator_cost(method.generator)},
    ),
    "exegan.discriminator": Golden(
        build=lambda: Discriminator(256),
        load=lambda network, state: network.load_state_dict(judge_from_released(state)),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
    "exegan.encoder": Golden(
        build=GradualStyleEncoder,
        run=lambda encoder, inputs: {"codes": encoder(inputs.image())},
        parts=lambda encoder: {
            "encoder": encoder,
            "backbone (input_layer, body)": nn.ModuleList([encoder.input_layer, encoder.body]),
            "style heads": encoder.styles,
            "lateral": nn.ModuleList([encoder.latlayer1, encoder.latlayer2]),
        },
        costs={"encoder": lambda encoder: encoder(torch.empty(1, 3, 256, 256))},
    ),
    "exegan.arcface": Golden(
        build=lambda: ArcFace.create("resnet101"),
        load=ArcFace.load_official,
        run=lambda method, inputs: {"embedding": method.embed(inputs.image(batch=2))},
        parts=lambda method: {"arcface": method.network},
        costs={"arcface": lambda method: method.network(torch.empty(1, 3, 112, 112))},
    ),
    "exegan.weights": Golden(build=nn.Identity, load=lambda network, state: None, run=_run_weights, keys={}),
}
