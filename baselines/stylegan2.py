"""StyleGAN2: an unconditional face generator, the prior that inversion and co-modulation methods stand on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.losses import differentiable_twice, nonsaturating
from bench.nn.stylegan2 import Discriminator, Generator, Width, fixed, without_constants
from bench.nn.stylegan2_training import Adversary, PathLength, lazy_adam, mixed_codes

CARD = Card(
    slug="stylegan2",
    name="StyleGAN2",
    title="Analyzing and Improving the Image Quality of StyleGAN",
    authors="Karras, Laine, Aittala, Hellsten, Lehtinen, Aila",
    year=2020,
    venue="CVPR; arXiv 1912.04958",
    url="https://arxiv.org/abs/1912.04958",
    task="prior",
    resolution=256,
    params={"generator": 24_767_458, "discriminator": 24_001_089},
    macs={"generator": 15.036e9, "discriminator": 15.638e9},
    training="Adam 0.0025 (0, 0.99) with lazy correction, batch 64, 25,000 kimg; R1 gamma 1 every 16 steps; path "
    "length 2 every 4 steps; style mixing 0.9; EMA half-life 20 kimg ('paper256' of the official code)",
    convention="no mask, no image input; linear output, trained to [-1, 1]",
    licence="NVIDIA Source Code License-NC (official code and weights); rosinality's re-implementation: MIT",
    weights="NVIDIA's stylegan2-ffhq-256x256.pkl, stylegan2-ffhqu-256x256.pkl, stylegan2-celebahq-256x256.pkl, for "
    "`paper`; files of rosinality's layout (`g_ema`): for `rosinality` (256 px) and "
    "`config-f` (1024 px)",
    trained_on={"ffhq": "all", "celeba-hq": "all"},
    choices={
        "width": "16384: 'paper256' of the official code, half the channels of config F. 32768: config F, and "
        "rosinality's generator with channel multiplier 2",
        "clamp": "256: the official code limits what each convolution gives. None: rosinality",
        "group": "8: 'paper256'. 4: config F and rosinality, for the minibatch deviation",
        "mixing": "0.9: official, 0.5: rosinality; drawn for each image here",
        "ema": "the decay of half-life 20 kimg at batch 64; without the official ramp-up",
    },
    notes="Demodulation adds 1e-8 to the sum of squares of scaled weights (rosinality, TensorFlow); NVIDIA's PyTorch "
    "code to that of unscaled ones: a relative difference of 5e-9.",
)


class StyleGAN2Config(Config):
    """Sizes and losses of StyleGAN2."""

    size: int = 256  # of the images, a power of two
    width: int = 16384  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of z and w
    depth: int = 8  # layers of the mapping network
    clamp: float | None = 256.0  # limit of what convolutions give
    noise: bool = True  # maps are added in every layer; False: their weights stay 0
    group: int = 8  # images of the minibatch deviation
    learning_rate: float = 0.0025
    batch_size: int = 64
    mixing: float = 0.9  # probability of two codes in one image
    gamma: float = 1.0  # weight of R1
    r1_every: int = 16  # iterations
    path: float = 2.0  # weight of the path length penalty
    path_every: int = 4  # iterations
    path_shrink: int = 2  # the penalty sees batch / shrink images
    ema: float = 0.5 ** (64 / 20_000)

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


WIDE = StyleGAN2Config(
    width=32768, clamp=None, group=4, learning_rate=0.002, batch_size=32, gamma=10, ema=0.5 ** (32 / 10_000)
)  # NVIDIA's config-f, at 256 px


class StyleGAN2(Method):
    """StyleGAN2 as released for 256 px ('paper256')."""

    card = CARD
    Config = StyleGAN2Config
    config: StyleGAN2Config
    presets = {
        "paper": StyleGAN2Config(),
        "rosinality": WIDE.model_copy(update={"mixing": 0.5}),
        "config-f": WIDE.model_copy(update={"size": 1024}),
        "512": WIDE.model_copy(update={"size": 512, "width": 16384, "batch_size": 12}),  # BasicSR's, half as wide
        "512-wide": WIDE.model_copy(update={"size": 512, "batch_size": 12}),
        "256-narrow": WIDE.model_copy(update={"width": 8192, "limit": 256}),  # GPEN's of 256 px
        "2048": WIDE.model_copy(update={"size": 2048}),
        "tiny": StyleGAN2Config(
            size=64,
            width=1024,
            limit=64,
            code=64,
            depth=4,
            clamp=None,
            noise=False,  # at 64 px it would be drawn as specks before there is a face
            group=4,
            learning_rate=0.008,
            mixing=0.5,
            gamma=0.1,
            path=0.2,
            ema=0.99,
        ),
    }

    def __init__(self, config: StyleGAN2Config):
        super().__init__(config)
        c = config
        self.generator = Generator(c.size, Width(c.width, c.limit), c.code, c.depth, c.clamp)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        raise BenchError("stylegan2 draws new faces and completes none: name it under `priors`, not under `methods`")

    def stages(self, features: Source = "official") -> list[Stage]:
        return [StyleGAN2Stage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take `g_ema` of rosinality's layout, or NVIDIA's pickle (`G_ema.*`) or the state dict of its generator."""
        state = state.get("g_ema", state)
        others = ("G.", "D.", "augment_pipe.")  # what else is in a pickle
        state = {k.removeprefix("G_ema."): v for k, v in state.items() if not k.startswith(others)}
        if any(key.startswith("synthesis.") for key in state):
            state = from_nvlabs(state, self.generator)
        self.generator.load_state_dict(without_constants(state))


class StyleGAN2Stage(Stage):
    """Adversarial training with lazy regularisation; the masks of the batch are not used."""

    method: StyleGAN2

    def __init__(self, method: StyleGAN2):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.iterations = c.batch_size, 25_000_000 // c.batch_size
        # the generator's average follows each of its steps, the regulariser's too
        self.ema = {"generator": c.ema ** (c.path_every / (c.path_every + 1))}
        discriminator = Discriminator(c.size, Width(c.width, c.limit), group=c.group, clamp=c.clamp)
        self.adversary = Adversary(discriminator, c.gamma, c.r1_every)
        self.path = PathLength(c.path, c.path_every)

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        return {
            "generator": lazy_adam(self.method.generator.parameters(), c.learning_rate, c.path_every),
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate, c.r1_every),
        }

    def draw(self, noise: Noise) -> tuple[Tensor, Tensor]:
        """(images, codes) of random z."""
        c, generator = self.config, self.method.generator
        codes = mixed_codes(generator.style, noise, c.code, generator.codes, c.mixing)
        return generator(codes, noise.maps(generator.sides) if c.noise else None), codes

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        with torch.no_grad():
            fake, _ = self.draw(noise)
        losses = self.adversary.improve(batch.image, fake, update)
        fake, _ = self.draw(noise)
        losses["generator"] = nonsaturating(self.adversary(fake))
        update("generator", losses["generator"])
        if self.path.due():
            some = noise.thinned(self.config.path_shrink)
            with differentiable_twice():
                fake, codes = self.draw(some)
            losses["path"] = self.path(fake, codes, some.normal(*fake.shape[1:]))
            update("generator", losses["path"])
        return losses


def from_nvlabs(state: Mapping[str, Tensor], network: Generator | Discriminator) -> dict[str, Tensor]:
    """The state dict of `network` from one with the names of NVIDIA's PyTorch code.

    Raises BenchError for a file of another size or width.
    """
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    renamed: dict[str, Tensor] = {}
    for key, value in without_constants(state).items():
        name = _judge_name(key, network.size) if isinstance(network, Discriminator) else _draw_name(key)
        if name not in shapes or shapes[name].numel() != value.numel():
            raise BenchError(f"the checkpoint's {key!r} does not fit: set the options size and width as in its file")
        renamed[name] = value.reshape(shapes[name])
    return renamed


def _draw_name(key: str) -> str:
    """NVIDIA's name in the generator to ours (rosinality's)."""
    if match := re.fullmatch(r"mapping\.fc(\d+)\.(weight|bias)", key):
        return f"style.{int(match[1]) + 1}.{match[2]}"
    if key == "synthesis.b4.const":
        return "input.input"
    match = re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)", key)
    if match is None:
        return key
    level, layer, leaf = int(match[1]).bit_length() - 4, match[2], match[3]  # level 0 is 8 x 8
    if layer == "torgb":
        module = f"to_rgbs.{level}" if level >= 0 else "to_rgb1"
        leaf = leaf.replace("affine", "modulation")
        return f"{module}.{leaf}" if leaf == "bias" else f"{module}.conv.{leaf}"
    module = f"convs.{2 * level + int(layer == 'conv1')}" if level >= 0 else "conv1"
    if leaf in ("bias", "noise_strength"):
        return f"{module}.{'activate.bias' if leaf == 'bias' else 'noise.weight'}"
    return f"{module}.conv.{leaf.replace('affine', 'modulation')}"


def _judge_name(key: str, size: int) -> str:
    """NVIDIA's name in the discriminator to ours (rosinality's)."""
    match = re.fullmatch(r"b(\d+)\.(\w+)\.(weight|bias)", key)
    if match is None:
        return key
    resolution, layer, leaf = int(match[1]), match[2], match[3]
    block = f"convs.{(size // resolution).bit_length()}"
    modules = {
        "fromrgb": ("convs.0.0", "convs.0.1"),
        "conv0": (f"{block}.conv1.0", f"{block}.conv1.1"),
        "conv1": (f"{block}.conv2.1", f"{block}.conv2.2"),
        "skip": (f"{block}.skip.1", ""),
        "conv": ("final_conv.0", "final_conv.1"),
        "fc": ("final_linear.0", "final_linear.0"),
        "out": ("final_linear.1", "final_linear.1"),
    }
    return f"{modules[layer][leaf == 'bias']}.{leaf}" if layer in modules else key


def golden_noise(inputs: Inputs, sides: Sequence[int]) -> list[Tensor]:
    """The noise maps that the golden files of StyleGAN2's family were made with."""
    return [inputs.latent(1, 1, side, side, offset=100 + i) for i, side in enumerate(sides)]


def _run_generator(method: StyleGAN2, inputs: Inputs) -> dict[str, Tensor]:
    generator = method.generator
    w = generator.style(inputs.latent(1, 512))
    return {
        "w": w,
        "out": generator(w),
        "out_noise": generator(w, golden_noise(inputs, generator.sides)),
        "out_wplus": generator(inputs.latent(1, generator.codes, 512, offset=50)),
    }


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = inputs.image(batch=4)[:2]
    return {
        "out": network(images),
        "features": network.convs(images),
        "single": torch.cat([network(image[None]) for image in images]),
    }


def _generator(preset: str) -> Golden:
    return Golden(
        build=lambda: StyleGAN2.create(preset),
        load=StyleGAN2.load_official,
        run=_run_generator,
        parts=lambda method: {
            "generator": method.generator,
            "mapping": method.generator.style,
            "synthesis": nn.ModuleList(m for n, m in method.generator.named_children() if n != "style"),
        },
        costs={"generator": lambda method: method.generator(method.generator.style(torch.empty(1, 512)))},
    )


def _discriminator(preset: str) -> Golden:
    def build() -> nn.Module:
        method = StyleGAN2.create(preset)
        assert isinstance(method, StyleGAN2)
        return StyleGAN2Stage(method).adversary.network

    def load(network: Discriminator, state: Mapping[str, Tensor]) -> None:
        network.load_state_dict(from_nvlabs(state, network) if "b4.out.weight" in state else state)

    return Golden(
        build=build,
        load=load,
        run=_run_discriminator,
        parts=lambda network: {"discriminator": network},
        # ours filters only the pixels that the shortcuts read: 0.4 % and 0.6 % under the recorded counts
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256))} if preset != "paper" else {},
    )


StyleGAN2.golden = {
    "stylegan2.nvlabs.generator": _generator("paper"),
    "stylegan2.nvlabs.discriminator": _discriminator("paper"),
    "stylegan2.rosinality.generator": _generator("rosinality"),
    "stylegan2.rosinality.discriminator": _discriminator("rosinality"),
}
