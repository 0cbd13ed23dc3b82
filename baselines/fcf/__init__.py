"""FcF: co-modulated synthesis whose skip connections see the whole picture through fast Fourier convolutions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from baselines.fcf.networks import Generator
from baselines.fcf.training import FcFStage
from baselines.stylegan2 import from_nvlabs
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import Discriminator, Width, fixed
from bench.nn.stylegan2_training import mixed_codes

CARD = Card(
    slug="fcf",
    name="FcF",
    title="Keys to Better Image Inpainting: Structure and Texture Go Hand in Hand",
    authors="Jain, Zhou, Yu, Shi",
    year=2023,
    venue="WACV; arXiv 2208.03382",
    url="https://arxiv.org/abs/2208.03382",
    resolution=256,
    params={"generator": 70_336_098, "discriminator": 24_001_153},
    macs={"generator": 40.524e9, "discriminator": 15.642e9},
    published={
        "parameters": "70.33 M",
        "FLOPs": "40.26 G at 256 px (thesis, table 4.4; without FIR filters and FFTs)",
    },
    training="Adam 0.001 (0, 0.99), lazy correction for the discriminator, batch 128, 25,000 kimg; logistic loss, R1 "
    "gamma 10 every 16 steps, L1 10, high-receptive-field perceptual 5, all on composites; style mixing 0.9; EMA "
    "half-life 20 kimg; optical distortion and CLAHE",
    features="dilated ResNet-50 trained for segmentation on ADE20K",
    convention="1 = hole; 0.5 minus the mask goes first, then the image with holes 0; linear output",
    licence="Apache-2.0; parts from NVIDIA's StyleGAN2-ADA and from LaMa keep their own",
    weights="celeba-hq.pkl, places.pkl (256 px) and places_512.pkl (preset `512`), pickles of (G, D, G_ema); or the "
    "state dict of a generator (places_512_G.pth of Sanster/models)",
    trained_on={"celeba-hq": "lama", "places365": ""},
    choices={
        "truncation": "0.1: the released command. 1: codes as they are drawn",
        "depth": "2: the released networks (`auto`). 8: StyleGAN2",
        "ema": "the decay of half-life 20 kimg at batch 128; without the official ramp-up",
    },
    notes="As released, 4,480 of the generator's parameters are biases that are never added, and in tests the noise "
    "map at 4 px is drawn, the others are constants. Demodulation adds 1e-8 to the sum of squares of scaled weights, "
    "the released code to that of unscaled ones: 8e-7 standard deviations of the golden output. The optical distortion "
    "moves pictures by half a pixel, as albumentations does; the released code mirrors them after it, we before.",
)


class FcFConfig(Config):
    """Sizes and losses of FcF."""

    size: int = 256  # of the images, a power of two
    width: int = 16384  # channels at resolution r: width / r, at most `limit`; multiples of 32 from `fourier` on
    limit: int = 512
    fourier: int = 32  # side from which on skips pass through Fourier convolutions
    code: int = 512  # entries of z and w
    whole: int = 1024  # entries of the code of the whole picture
    depth: int = 2  # layers of the mapping network
    clamp: float | None = 256.0  # limit of what convolutions give
    truncation: float = 0.1  # share of a code's distance from the mean code, in tests
    learning_rate: float = 0.001
    batch_size: int = 128
    mixing: float = 0.9  # probability of two codes in one image
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    l1: float = 10.0  # weight of the reconstruction loss
    perceptual: float = 5.0  # weight of the high-receptive-field perceptual loss
    distortion: float = 0.05  # largest coefficient of the optical distortion; 0: none
    contrast: float = 4.0  # largest clip limit of CLAHE; 1: none
    ema: float = 0.5 ** (128 / 20_000)  # moving average of the generator
    masks: str = "fcf"  # training draw

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class FcF(Method):
    """FcF as released, at 256 px (`paper`) and at 512 px."""

    card = CARD
    Config = FcFConfig
    config: FcFConfig
    presets = {
        "paper": FcFConfig(),
        "512": FcFConfig(size=512, width=32768),
        "tiny": FcFConfig(
            size=64,
            width=2048,
            limit=64,
            fourier=64,
            code=64,
            whole=128,
            learning_rate=0.01,
            batch_size=4,
            gamma=1,
            l1=50,
            distortion=0,
            contrast=1,
            ema=0.98,
        ),
    }

    def __init__(self, config: FcFConfig):
        super().__init__(config)
        c = config
        self.generator = Generator(c.size, Width(c.width, c.limit), c.code, c.whole, c.depth, c.clamp, c.fourier)

    def draw(self, batch: Batch, noise: Noise) -> Tensor:
        """Images of random codes, as in training."""
        generator, c = self.generator, self.config
        codes = mixed_codes(generator.style, noise, c.code, generator.codes, c.mixing)
        return generator(batch.masked, batch.mask, codes, **generator.random(noise))

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        generator, c = self.generator, self.config
        w = generator.style.truncated(noise.normal(c.code), c.truncation)
        codes = w[:, None].expand(-1, generator.codes, -1)
        return generator(batch.masked, batch.mask, codes, **generator.random(noise))

    def stages(self, features: Source = "official") -> list[Stage]:
        return [FcFStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take the released pickle (`G_ema.*` beside `G.*` and `D.*`) or the state dict of its generator."""
        others = ("G.", "D.", "augment_pipe.")  # what else is in a pickle
        state = {k.removeprefix("G_ema."): v for k, v in state.items() if not k.startswith(others)}
        renamed = from_nvlabs(
            {_ours(key, self.config.size): value for key, value in state.items()},
            self.generator,  # type: ignore[arg-type]  # no `Generator`, but it has the same names
        )
        for name, key in _constants(self.generator).items():
            if key in state:
                renamed[name] = state[key].reshape(self.generator.get_buffer(name).shape)
        self.generator.load_state_dict(renamed)


def _constants(generator: Generator) -> dict[str, str]:
    """Buffers and their released names; the first layer's noise is never a constant."""
    layers = enumerate(generator.sides[1:], start=1)
    noise = {f"constant{layer}": f"synthesis.b{side}.conv{1 - layer % 2}.noise_const" for layer, side in layers}
    return noise | {"style.mean": "mapping.w_avg"}


def _ours(key: str, size: int) -> str:
    """A released name as ours; those that StyleGAN2 has, too, as NVIDIA's code names them."""
    if match := re.fullmatch(r"encoder\.b(\d+)\.(fromrgb|conv0|conv1|conv)\.(weight|bias)", key):
        level = (size // int(match[1])).bit_length() - 1
        layer = {"fromrgb": "first", "conv": "last"}.get(match[2]) or f"convs.{2 * level + int(match[2][-1])}"
        return f"encoder.{layer}.{int(match[2] == 'conv1') + int(match[3] == 'bias')}.{match[3]}"
    key = re.sub(r"^synthesis\.b(\d+)\.ffc_skip\.0\.ffc_act\.ffc_block\.", r"skips.\1.block.", key)
    for theirs, ours in (
        ("encoder.b4.fc.", "encoder.whole."),
        ("synthesis.foreword.fc.", "start."),
        ("synthesis.foreword.conv.", "synthesis.b4.conv1."),
        ("synthesis.foreword.torgb.", "synthesis.b4.torgb."),
    ):
        key = key.replace(theirs, ours)
    return key


def _load_generator(method: FcF, state: Mapping[str, Tensor]) -> None:
    """Golden files have no constants: with noise strength 0 and truncation 1 none is used."""
    constants = {key: method.generator.get_buffer(name) for name, key in _constants(method.generator).items()}
    method.load_official({**constants, **state})


def _run_generator(method: FcF, inputs: Inputs) -> dict[str, Tensor]:
    batch, generator = Batch(inputs.image(), inputs.mask()), method.generator
    maps, whole = generator.encoder(torch.cat([0.5 - batch.mask, batch.masked], dim=1))
    ws = generator.style(inputs.latent(1, 512))[:, None].expand(-1, generator.codes, -1)
    return {
        "x_global": whole,
        "feat8": maps[8],
        "ws": ws,
        "out": generator(batch.masked, batch.mask, ws),
        "out_w": generator(batch.masked, batch.mask, inputs.latent(1, generator.codes, 512, offset=1)),
    }


def _parts(method: FcF) -> dict[str, nn.Module]:
    generator = method.generator
    synthesis = (part for name, part in generator.named_children() if name not in ("encoder", "style"))
    return {
        "G": generator,
        "encoder": generator.encoder,
        "mapping": generator.style,
        "synthesis": nn.ModuleList(synthesis),
    }


def _generator_cost(method: FcF) -> Tensor:
    generator = method.generator
    codes = generator.style(torch.empty(1, 512))[:, None].expand(-1, generator.codes, -1)
    return generator(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256), codes)


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    return {"logits": network(torch.cat([0.5 - inputs.mask(batch=2), inputs.image(batch=2)], dim=1))}


FcF.golden = {
    "fcf.generator": Golden(
        build=FcF.create,
        load=_load_generator,
        run=_run_generator,
        parts=_parts,
        costs={
            "G": _generator_cost,
            "encoder": lambda method: method.generator.encoder(torch.empty(1, 4, 256, 256)),
            "mapping": lambda method: method.generator.style(torch.empty(1, 512)),
        },
    ),
    "fcf.discriminator": Golden(
        build=lambda: FcFStage(FcF(FcFConfig()), "embedded").discriminator,
        load=lambda network, state: network.load_state_dict(from_nvlabs(state, network)),
        run=_run_discriminator,
        parts=lambda network: {"D": network},  # its shortcuts filter only the pixels that they read: 0.6 % fewer MACs
    ),
}
