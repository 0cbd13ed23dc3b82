"""GPEN: a GAN prior inside a restoration network, whose encoder gives StyleGAN2's code, and maps in place of noise."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from baselines.arcface import IdentityLoss
from baselines.stylegan2 import StyleGAN2
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.losses import differentiable_twice, nonsaturating
from bench.nn.stylegan2 import Discriminator, Generator, Width, fixed, without_constants
from bench.nn.stylegan2_blocks import Activation, ConvLayer, EqualLinear, StyledConv, ToRGB
from bench.nn.stylegan2_training import Adversary, PathLength, lazy_adam

CARD = Card(
    slug="gpen",
    name="GPEN",
    title="GAN Prior Embedded Network for Blind Face Restoration in the Wild",
    authors="Yang, Ren, Xie, Zhang",
    year=2021,
    venue="CVPR; arXiv 2105.06070",
    url="https://arxiv.org/abs/2105.06070",
    task="restoration",
    resolution=512,
    params={"network": 71_005_223, "discriminator": 28_982_849},
    macs={"network": 138.110e9, "discriminator": 62.618e9},
    published={
        "CelebA-Test": "FID-dagger 14.65, U-IDS 0.03 %, P-IDS 0, FID 41.99, NIQE 4.25, PSNR 24.63, SSIM 0.6476 "
        "(VSPBFR's thesis, table 3.1)",
        "LFW-Test": "FID 51.92, NIQE 4.05 (the same, table 3.2)",
        "CelebChild-Test": "FID 107.22, NIQE 4.46",
        "WebPhoto-Test": "FID 80.58, NIQE 4.65",
    },
    training="released script: logistic loss 1, smooth L1 1, identity 1, R1 gamma 10 every 16 steps, path length 2 "
    "every 4 steps; Adam 0.002 (0, 0.99) with lazy correction, batch 4, 4,000,000 iterations; EMA 0.99778",
    features="IR-SE50 (ArcFace)",
    convention="no masks; degraded and restored images in [-1, 1]; linear output, cut to that range",
    licence="none stated; limits 'due to commercial issues'",
    weights="GPEN-BFR-512.pth for `paper`, GPEN-BFR-256.pth for `256` (readme of yangxy/GPEN), GPEN-BFR-1024 and -2048 "
    "(ModelScope) for `1024` and `2048`: plain state dicts; files of its training: {g, d, g_ema}",
    trained_on={"ffhq": "all"},
    requires=("stylegan2",),
    needs=("degraded",),
    choices={
        "embedded": "true: the paper trains the GAN prior first, alone, then all of the network. Here the prior is a "
        "plain StyleGAN2; what the encoder's maps enter by begins at 0, so that the network begins as that StyleGAN2. "
        "false: the released script, which trains all from random weights",
        "slower": "1: the released script. The paper trains encoder, decoder and discriminator at different rates, "
        "which its code does not state",
        "degradation": "gpen: the released script; its authors say that the paper's differs",
    },
    notes="Costs are those at 512 px; at 256 px 18,879,010 parameters and 8.703 G MACs. The identity loss crops at "
    "256 px, the script at the image's own size. No random numbers in a completion. GPEN's networks for colourisation, "
    "inpainting and label maps have the same layout and weights of their own.",
)


class GPENConfig(Config):
    """Sizes and losses of GPEN."""

    size: int = 512  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of the code
    depth: int = 8  # layers of the mapping network
    embedded: bool = True  # starts from a trained StyleGAN2
    learning_rate: float = 0.002
    slower: float = 1.0  # factor of the rate of the generator's own weights and of the discriminator
    batch_size: int = 4
    l1: float = 1.0  # weights of the smooth L1, identity and logistic losses
    identity: float = 1.0
    adversarial: float = 1.0
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    path: float = 2.0  # weight of the path length penalty
    path_every: int = 4  # iterations
    path_shrink: int = 2  # the penalty sees batch / shrink images
    ema: float = 0.5 ** (32 / 10_000)
    degradation: str = "gpen"  # recipe

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class Concatenated(StyledConv):
    """Modulated convolution, the encoder's map behind its channels in the place of noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, code: int, up: bool = False):
        super().__init__(inputs, outputs, code, up)
        self.activate = Activation(2 * outputs)

    def forward(self, x: Tensor, code: Tensor, noise: Tensor | None = None) -> Tensor:
        assert noise is not None
        x = self.conv(x, code)
        return self.activate(torch.cat([x, (self.noise.weight * noise).to(x.dtype)], dim=1))


class Prior(Generator):
    """StyleGAN2's generator with twice the channels behind each convolution; its "noise" are maps of full width."""

    def __init__(self, size: int, width: Width, code: int, depth: int):
        super().__init__(size, width, code, depth)
        self.conv1 = Concatenated(width(4), width(4), code)
        self.to_rgb1 = ToRGB(2 * width(4), code)
        for level, side in enumerate(self.sides[1::2]):
            before, here = width(side // 2), width(side)
            self.convs[2 * level] = Concatenated(2 * before, here, code, up=True)
            self.convs[2 * level + 1] = Concatenated(2 * here, here, code)
            self.to_rgbs[level] = ToRGB(2 * here, code)

    @torch.no_grad()
    def embed(self, plain: Generator) -> None:
        """Become that StyleGAN2, without its noise: what reads a map begins at 0, and maps enter with the weight 1."""
        given = plain.state_dict()
        for name, ours in self.state_dict().items():
            theirs = given[name]
            if name.endswith("noise.weight"):
                ours.fill_(1)
            elif ours.shape == theirs.shape:
                ours.copy_(theirs)
            else:
                axis = next(i for i, (a, b) in enumerate(zip(ours.shape, theirs.shape, strict=True)) if a != b)
                if name.endswith("conv.weight"):
                    ours.zero_()
                    theirs = theirs * math.sqrt(2)  # the constant at the weights divides by the root of the channels
                ours.narrow(axis, 0, theirs.shape[axis]).copy_(theirs)


class Network(nn.Module):
    """GPEN (Fig. 2). Degraded images (N, 3, size, size) in [-1, 1] -> restored ones, linear. Released names."""

    def __init__(self, size: int, width: Width, code: int = 512, depth: int = 8):
        super().__init__()
        self.size = size
        self.generator = Prior(size, width, code, depth)
        sides = sorted(set(self.generator.sides), reverse=True)
        self.levels = len(sides)
        self.ecd0 = nn.Sequential(ConvLayer(3, width(size), 1))
        for level, side in enumerate(sides[1:], 1):
            self.add_module(f"ecd{level}", nn.Sequential(ConvLayer(width(2 * side), width(side), 3, down=True)))
        self.final_linear = nn.Sequential(EqualLinear(width(4) * 16, code, activate=True))

    def encode(self, images: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """(codes w (N, D), maps by side)."""
        x, maps = images, {}
        for level in range(self.levels):
            x = self.get_submodule(f"ecd{level}")(x)
            maps[x.shape[-1]] = x
        return self.generator.style(self.final_linear(x.flatten(1))), maps

    def decode(self, codes: Tensor, maps: Mapping[int, Tensor]) -> Tensor:
        """The image of codes (N, D) or (N, layers, D); both layers of a resolution see the same map."""
        return self.generator(codes, [maps[side] for side in self.generator.sides])

    def forward(self, images: Tensor) -> Tensor:
        fixed(self.size).check(images, "this network")
        return self.decode(*self.encode(images))


class GPEN(Method):
    """GPEN as released for faces of 512 px."""

    card = CARD
    Config = GPENConfig
    config: GPENConfig
    complete_weights = True
    presets = {
        "paper": GPENConfig(),
        "256": GPENConfig(size=256, width=8192, limit=256),
        "256-wide": GPENConfig(size=256),  # the default of the released script
        "1024": GPENConfig(size=1024),
        "2048": GPENConfig(size=2048),
        "tiny": GPENConfig(
            size=64, width=1024, limit=64, code=64, depth=4, learning_rate=0.004, l1=100, identity=10, adversarial=0.2,
            gamma=1, path=0.2, ema=0.995, degradation="mild",
        ),
    }  # fmt: skip
    prior_presets = {
        "paper": {"stylegan2": "512-wide"},
        "256": {"stylegan2": "256-narrow"},
        "256-wide": {"stylegan2": "rosinality"},
        "1024": {"stylegan2": "config-f"},
        "2048": {"stylegan2": "2048"},
    }

    def __init__(self, config: GPENConfig):
        super().__init__(config)
        c = config
        self.network = Network(c.size, Width(c.width, c.limit), c.code, c.depth)

    def attach(self, priors: Mapping[str, Method]) -> None:
        """Start from the weights of a trained StyleGAN2."""
        prior = priors["stylegan2"]
        assert isinstance(prior, StyleGAN2)
        ours, theirs = (
            {"size": c.size, "width": c.width, "limit": c.limit, "code": c.code, "depth": c.depth}
            for c in (self.config, prior.config)
        )
        if ours != theirs:
            raise BenchError(
                f"gpen takes a stylegan2 with the options {ours}; this prior has {theirs}: choose such a preset under "
                "`priors`"
            )
        if self.config.embedded:
            self.network.generator.embed(prior.generator)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.network(batch.need("degraded")).clamp(-1, 1)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [GPENStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a released state dict, or `g_ema` of the script's files."""
        self.network.load_state_dict(without_constants(state.get("g_ema", state)))


class GPENStage(Stage):
    """The whole network against a discriminator, as the released script trains."""

    method: GPEN
    iterations = 4_000_000

    def __init__(self, method: GPEN, features: Source):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.degradation = c.batch_size, c.degradation
        # the average follows each step, the regulariser's too
        self.ema = {"generator": c.ema ** (c.path_every / (c.path_every + 1))}
        # the minibatch deviation takes the whole batch as one group
        judge = Discriminator(c.size, Width(c.width, c.limit), group=sys.maxsize)
        self.adversary = Adversary(judge, c.gamma, c.r1_every)
        self.path = PathLength(c.path, c.path_every)
        self.identity = IdentityLoss(features)

    def optimisers(self) -> dict[str, Optimizer]:
        c, network = self.config, self.method.network
        generator = lazy_adam(network.parameters(), c.learning_rate, c.path_every)
        if c.slower != 1:
            slow = set(network.generator.parameters())
            group = generator.param_groups[0]
            group["params"] = [p for p in network.parameters() if p not in slow]
            generator.add_param_group({"params": list(network.generator.parameters()), "lr": group["lr"] * c.slower})
        return {
            "generator": generator,
            "discriminator": lazy_adam(self.adversary.parameters(), c.learning_rate * c.slower, c.r1_every),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, network, degraded = self.config, self.method.network, batch.need("degraded")
        with torch.no_grad():
            output = network(degraded)
        losses = self.adversary.improve(batch.image, output, update)
        output = network(degraded)
        losses |= {
            "generator": nonsaturating(self.adversary(output)),
            "l1": F.smooth_l1_loss(output, batch.image),
            "identity": self.identity(output, batch.image).mean(),
        }
        total = c.adversarial * losses["generator"] + c.l1 * losses["l1"] + c.identity * losses["identity"]
        update("generator", total)
        if self.path.due():
            some = noise.thinned(c.path_shrink)
            with differentiable_twice():
                codes, maps = network.encode(degraded[:: c.path_shrink])
                codes = codes[:, None].expand(-1, network.generator.codes, -1)
                output = network.decode(codes, maps)
                losses["path"] = self.path(output, codes, some.normal(*output.shape[1:]))
            update("generator", losses["path"])
        return losses


def _run_network(method: GPEN, inputs: Inputs) -> dict[str, Tensor]:
    codes, maps = method.network.encode(inputs.image(method.config.size))
    step = method.config.size // 256
    return {"image": method.network.decode(codes, maps)[..., ::step, ::step], "latent": codes}


def _network(preset: str) -> Golden:
    return Golden(
        build=lambda: GPEN.create(preset),
        load=GPEN.load_official,
        run=_run_network,
        parts=lambda method: {
            "total": method.network,
            "generator": method.network.generator,
            "encoder and linear": nn.ModuleList(
                part for name, part in method.network.named_children() if name != "generator"
            ),
        },
        costs={"all": lambda m: m.network(torch.empty(1, 3, m.config.size, m.config.size))},
    )


def _judge() -> Discriminator:
    return Discriminator(256, Width(8192, 256), group=sys.maxsize)


def _run_judge(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = torch.cat([inputs.image(offset=i) for i in range(3)])
    return {"logits": network(images), "features": network.convs(images)[:, ::4]}


GPEN.golden = {
    "gpen.bfr512": _network("paper"),
    "gpen.bfr256": _network("256"),
    "gpen.discriminator256": Golden(
        build=_judge,
        load=lambda network, state: network.load_state_dict(without_constants(state)),
        run=_run_judge,
        parts=lambda network: {"total": network},
        costs={},  # ours filters only the pixels that the shortcuts read: 1.2 % under the recorded count
    ),
}
