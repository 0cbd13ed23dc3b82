"""CoModGAN: StyleGAN2's decoder, modulated by a random code and by what an encoder saw of the picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.stylegan2 import golden_noise
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import stylegan2_blocks as blocks
from bench.nn.losses import nonsaturating
from bench.nn.stylegan2 import Discriminator, NoiseMaps, Synthesis, Width, check_size, fixed, without_constants
from bench.nn.stylegan2_blocks import ConvLayer, EqualLinear
from bench.nn.stylegan2_training import Adversary, lazy_adam, mixed_codes

CARD = Card(
    slug="comodgan",
    name="CoModGAN",
    title="Large Scale Image Completion via Co-Modulated Generative Adversarial Networks",
    authors="Zhao, Cui, Sheng, Dong, Liang, Chang, Xu",
    year=2021,
    venue="ICLR; arXiv 2103.10428",
    url="https://arxiv.org/abs/2103.10428",
    resolution=512,
    params={"generator": 79_177_378, "discriminator": 28_864_257},
    macs={"generator": 90.256e9, "discriminator": 46.540e9},
    published={
        "parameters": "79.17 M",
        "FLOPs": "90.25 G at 256 px (thesis, table 5.2; truncated, without FIR filters)",
    },
    training="Adam 0.002 (0, 0.99) with lazy correction, batch 32, 25,000 kimg (FFHQ); logistic loss, R1 gamma 10 "
    "every 16 steps, no other loss; style mixing 0.5; EMA half-life 10 kimg. Thesis: batch 8 at 256 px",
    convention="1 = valid; the mask minus 0.5 goes first, then the image with holes 0; linear output",
    licence="BSD-style (authors' part); most files: NVIDIA Source Code License-NC",
    weights="co-mod-gan-ffhq-9-025000.pkl (512 px) and -10- (1024 px), TensorFlow pickles of (G, D, Gs); "
    "or the converted files of zengxianyu/co-mod-gan-pytorch (*_net_G_ema.pth)",
    trained_on={"ffhq": ""},
    choices={
        "dropout": "training: as every PyTorch port. always: the official code, whose inference keeps dropout on the "
        "global code",
        "l1": "0 as released, where the term exists; the preset `tiny` uses it",
    },
    notes="The drawn codes are not truncated, as in the official evaluation.",
)


class CoModGANConfig(Config):
    """Sizes and losses of CoModGAN."""

    size: int = 256  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of z and w
    whole: int = 1024  # entries of the code of the whole picture
    depth: int = 8  # layers of the mapping network
    dropout: Literal["training", "always"] = "training"  # on that code; always: also in tests
    learning_rate: float = 0.002
    batch_size: int = 32
    mixing: float = 0.5  # probability of two codes in one image
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    l1: float = 0.0  # weight of the reconstruction loss
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the generator
    masks: str = "comodgan"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class CoModulated(Synthesis):
    """Co-modulated generator (Fig. 3): every layer sees [its code w, the code of the whole picture].

    The encoder's maps are added after each upsampling layer. Names are those of EXE-GAN's release, the same network.
    """

    def __init__(
        self, size: int, width: Width, code: int = 512, whole: int = 1024, depth: int = 8, always_drop: bool = False
    ):
        super().__init__(size, width, code + whole)
        self.whole, self.always_drop = whole, always_drop
        self.style = blocks.Mapping(code, depth)
        self.down_from_big = ConvLayer(4, width(size), 1)
        self.encoder_convs = nn.ModuleList()
        for power in range(check_size(size), 2, -1):
            here, below = width(2**power), width(2 ** (power - 1))
            self.encoder_convs += [ConvLayer(here, here, 3), ConvLayer(here, below, 3, down=True)]
        self.final_layer = ConvLayer(width(4), width(4), 3)
        self.final_linear = nn.Sequential(EqualLinear(width(4) * 16, whole, activate=True))
        self.final_transfer = EqualLinear(whole, width(4) * 16, activate=True)

    def encode(self, masked: Tensor, mask: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """(maps by side, code of the whole picture (N, whole)); holes of `masked` are 0."""
        x = self.down_from_big(torch.cat([masked, mask - 0.5], dim=1))
        maps = {}
        for same, down in zip(self.encoder_convs[::2], self.encoder_convs[1::2], strict=True):
            maps[x.shape[-1]] = x = same(x)
            x = down(x)
        maps[4] = self.final_layer(x)
        return maps, self.final_linear(maps[4].flatten(1))

    def start(self, maps: Mapping[int, Tensor], whole: Tensor) -> Tensor:
        """The 4 x 4 map that synthesis starts from."""
        return maps[4] + self.final_transfer(whole).view_as(maps[4])

    def random(self, noise: Noise) -> dict[str, Any]:
        """What `forward` takes from random numbers: dropout and noise maps."""
        drops = self.training or self.always_drop
        kept = noise.uniform(self.whole) < 0.5 if drops else None
        return {"kept": kept, "noise": noise.maps(self.sides)}

    def forward(
        self, masked: Tensor, mask: Tensor, codes: Tensor, noise: NoiseMaps = None, kept: Tensor | None = None
    ) -> Tensor:
        """The image (N, 3, size, size), linear, of `codes` (N, layers, D); `kept`: dropout on the whole's code."""
        fixed(self.size).check(masked, "this network")
        maps, whole = self.encode(masked, mask)
        if kept is not None:
            whole = whole * kept * 2
        codes = torch.cat([codes, whole[:, None].expand(-1, codes.shape[1], -1)], dim=2)

        def edit(layer: int, x: Tensor) -> Tensor:
            return x + maps[x.shape[-1]] if layer % 2 else x

        return self.synthesise(self.start(maps, whole), codes, noise, edit)


class CoModGAN(Method):
    """CoModGAN as released, at 256 px as in the thesis."""

    card = CARD
    Config = CoModGANConfig
    config: CoModGANConfig
    presets = {
        "paper": CoModGANConfig(),
        "512": CoModGANConfig(size=512),
        "tiny": CoModGANConfig(
            size=64,
            width=1024,
            limit=64,
            code=64,
            whole=128,
            depth=4,
            learning_rate=0.008,
            batch_size=4,
            gamma=0.1,
            l1=50,
            ema=0.99,
            masks="irregular",
        ),
    }

    def __init__(self, config: CoModGANConfig):
        super().__init__(config)
        c = config
        self.generator = CoModulated(
            c.size, Width(c.width, c.limit), c.code, c.whole, c.depth, always_drop=c.dropout == "always"
        )

    def draw(self, batch: Batch, noise: Noise, mixing: float = 0.0) -> Tensor:
        """Images of random codes."""
        generator = self.generator
        codes = mixed_codes(generator.style, noise, self.config.code, generator.codes, mixing)
        return generator(batch.masked, batch.mask, codes, **generator.random(noise))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.draw(batch, noise)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [CoModGANStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take TensorFlow's pickle (G, D, Gs) or the variables of Gs by name, or the state dict of the PyTorch port."""
        state = {k.removeprefix("2."): v for k, v in state.items() if not k.startswith(("0.", "1."))}
        self.generator.load_state_dict(from_released(state, self.config.size))


class CoModGANStage(Stage):
    """Adversarial training; the discriminator sees the mask, with real images too."""

    method: CoModGAN

    def __init__(self, method: CoModGAN):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations, self.masks = c.batch_size, 25_000_000 // c.batch_size, c.masks
        self.ema = {"generator": c.ema}
        discriminator = Discriminator(c.size, Width(c.width, c.limit), channels=4)
        self.adversary = Adversary(discriminator, c.gamma, c.r1_every)

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, every=4),  # as released
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c = self.config
        with torch.no_grad():
            fake = batch.composite(self.method.draw(batch, noise, c.mixing))
        mask = shown(batch.mask)
        losses = self.adversary.improve(batch.image, fake, update, mask)
        fake = batch.composite(self.method.draw(batch, noise, c.mixing))
        losses["generator"] = nonsaturating(self.adversary(fake, mask))
        total = losses["generator"]
        if c.l1:
            losses["l1"] = F.l1_loss(fake, batch.image)
            total = total + c.l1 * losses["l1"]
        update("generator", total)
        return losses


def shown(mask: Tensor) -> Tensor:
    """The mask as the discriminator is given it, behind the image."""
    return mask - 0.5


def from_released(state: Mapping[str, Any], size: int) -> dict[str, Tensor]:
    """Our state dict of the generator from TensorFlow's variables or from the port's state dict."""
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        if re.search(r"noise\d+$|dlatent_avg$|lod$", key):
            continue
        if "/" in key:
            place, layer, leaf = ("mapping/" + key if key.startswith("Dense") else key).split("/")[-3:]
            leaf, value = _from_tensorflow(place, layer, leaf, torch.as_tensor(value))
        else:
            place, layer, leaf = _from_port(key)
        renamed[f"{_module(place, layer, size)}.{leaf}"] = value
    return without_constants(_image_first(renamed, "down_from_big.0.weight"))


def judge_from_released(state: Mapping[str, Any], size: int) -> dict[str, Tensor]:
    """Our state dict of the discriminator from TensorFlow's variables."""
    modules = {
        "4x4/Conv": ("final_conv", "Conv"),
        "4x4/Dense0": ("final_linear.0", "Dense"),
        "Output": ("final_linear.1", "Dense"),
    }
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        path, leaf = key.rsplit("/", 1)
        if path in modules:
            module, layer = modules[path]
        else:
            side, layer = path.split("/")
            block = f"convs.{(size // _side(side)).bit_length()}"
            module = {
                "FromRGB": "convs.0",
                "Conv0": f"{block}.conv1",
                "Conv1_down": f"{block}.conv2",
                "Skip": f"{block}.skip",
            }[layer]
        leaf, value = _from_tensorflow("E", layer, leaf, torch.as_tensor(value))
        renamed[f"{module}.{leaf}"] = value
    return _image_first(renamed, "convs.0.0.weight")


def _side(place: str) -> int:
    return int(place.rsplit("x", 1)[1])


def _module(place: str, layer: str, size: int) -> str:
    """Where a released layer stands in `CoModulated`."""
    if place == "mapping":
        return f"style.{int(layer.removeprefix('Dense')) + 1}"
    if place in ("E_4x4", "G_4x4"):
        return {
            "E_4x4/Conv": "final_layer", "E_4x4/Dense0": "final_linear.0", "G_4x4/Dense": "final_transfer",
            "G_4x4/Conv": "conv1", "G_4x4/ToRGB": "to_rgb1",
        }[f"{place}/{layer}"]  # fmt: skip
    if layer == "FromRGB":
        return "down_from_big"
    if place.startswith("E"):
        return f"encoder_convs.{2 * (size // _side(place)).bit_length() - 2 + (layer == 'Conv1_down')}"
    level = _side(place).bit_length() - 4  # 0 is 8 x 8
    return f"to_rgbs.{level}" if layer == "ToRGB" else f"convs.{2 * level + (layer == 'Conv1')}"


def _from_port(key: str) -> tuple[str, str, str]:
    """(place, layer, leaf) of a name in the PyTorch port; leaves are as ours."""
    if key.startswith("G_mapping."):
        layer, leaf = key.split(".")[-2:]
        return "mapping", layer, leaf
    key = key.removeprefix("G_synthesis.").replace("E.", "E_", 1).replace("_0.FromRGB", ".FromRGB")
    place, layer, leaf = key.split(".", 2)
    return place, layer, leaf


def _from_tensorflow(place: str, layer: str, leaf: str, value: Tensor) -> tuple[str, Tensor]:
    """(leaf, tensor) as ours of a variable: [rows, columns, in, out] or [in, out], style biases without their 1."""
    if leaf in ("weight", "mod_weight"):
        value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T
    if layer.startswith("Dense"):
        return leaf, value
    if place.startswith("G"):
        if leaf == "weight":
            return "conv.weight", (value.flip(2, 3) if layer == "Conv0_up" else value)[None]
        if leaf == "bias":
            return ("bias", value.view(1, 3, 1, 1)) if layer == "ToRGB" else ("activate.bias", value)
        if leaf == "noise_strength":
            return "noise.weight", value.view(1)
        return f"conv.modulation.{leaf.removeprefix('mod_')}", value + 1 if leaf == "mod_bias" else value
    first = int(layer in ("Conv1_down", "Skip"))  # a filter stands before the convolution
    return (f"{first}.weight" if leaf == "weight" else f"{first + 1}.bias"), value


def _image_first(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    """The first convolution for [image, mask - 0.5] in the place of [valid - 0.5, image]."""
    weight = state[key]
    return state | {key: torch.cat([weight[:, 1:], -weight[:, :1]], dim=1)}


def _run_generator(method: CoModGAN, inputs: Inputs) -> dict[str, Tensor]:
    image, mask, generator = inputs.image(), inputs.mask(), method.generator
    batch = Batch(image, mask)
    w = generator.style(inputs.latent(1, 512))

    def draw(codes: Tensor, noise: list[Tensor] | None = None) -> Tensor:
        return generator(batch.masked, mask, codes, noise)

    same = w[:, None].expand(-1, generator.codes, -1)
    pred = draw(same)
    return {
        "w": w,
        "pred": pred,
        "out": batch.composite(pred),
        "out_noise": batch.composite(draw(same, golden_noise(inputs, generator.sides))),
        "out_wplus": batch.composite(draw(inputs.latent(1, generator.codes, 512, offset=50))),
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    given = torch.cat([inputs.image(batch=4)[:2], shown(inputs.mask(batch=2))], dim=1)
    return {"out": network(given), "single": torch.cat([network(one[None]) for one in given])}


def parts(generator: CoModulated) -> dict[str, nn.Module]:
    """The generator and its three parts, as the fact sheets count them."""
    encoder = ("down_from_big", "encoder_convs", "final_layer", "final_linear")
    decoder = ("final_transfer", "conv1", "to_rgb1", "convs", "to_rgbs")
    return {
        "generator": generator,
        "mapping": generator.style,
        "encoder": nn.ModuleList(generator.get_submodule(name) for name in encoder),
        "decoder": nn.ModuleList(generator.get_submodule(name) for name in decoder),
    }


def generator_cost(generator: CoModulated) -> Tensor:
    """One pass at 256 px, for counting multiply-accumulates."""
    codes = generator.style(torch.empty(1, 512))[:, None].expand(-1, generator.codes, -1)
    return generator(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256), codes)


_GENERATOR = Golden(
    build=CoModGAN.create,
    load=CoModGAN.load_official,
    run=_run_generator,
    parts=lambda method: parts(method.generator),
    costs={"generator": lambda method: generator_cost(method.generator)},
)

CoModGAN.golden = {
    "comodgan.generator": _GENERATOR,
    "comodgan.tf.generator": _GENERATOR,
    "comodgan.tf.discriminator": Golden(
        build=lambda: CoModGANStage(CoModGAN(CoModGANConfig())).adversary.network,
        load=lambda network, state: network.load_state_dict(judge_from_released(state, network.size)),
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        costs={"discriminator": lambda network: network(torch.empty(1, 4, 256, 256))},
    ),
}
