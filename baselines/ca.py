"""CA (DeepFill v1): a coarse-to-fine network whose second stage copies patches by contextual attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.deepfill import FIRST, LAST, Design, Generator, Variant
from bench.nn.init import normal_init
from bench.nn.losses import gradient_penalty, region_l1
from bench.nn.mmediting import generator_in_rgb, local_patch

CARD = Card(
    slug="ca",
    name="CA",
    title="Generative Image Inpainting with Contextual Attention",
    authors="Yu, Lin, Yang, Shen, Lu, Huang",
    year=2018,
    venue="CVPR; arXiv 1801.07892",
    url="https://arxiv.org/abs/1801.07892",
    resolution=256,
    params={"generator": 3_601_542, "discriminators": 7_072_770},
    macs={"generator": 25.810e9, "discriminators": 2.825e9},
    published={"parameters": "2.9 M (paper; the reason for the difference is unknown)"},
    training="MMEditing: Adam 1e-4 (0.9, 0.999), batch 16, 1,500,003 iterations, the generator in every second one; "
    "L1 1 in the hole and 1 outside, each over its own region, for both stages; WGAN 1e-4, gradient penalty 10, drift "
    "0.001. Release: Adam 1e-4 (0.5, 0.9), batch 16, the generator in every fifth iteration; discounted L1 "
    "1.2 in the local patch and L1 1.2 outside the hole (stage 1: both times 1.2), WGAN 0.001, gradient penalty 10",
    convention="1 = hole; holes filled with 0; images in [-1, 1]; MMEditing's weights are for BGR",
    licence="MMEditing Apache-2.0; the authors' code CC BY-NC 4.0",
    weights="MMEditing: deepfillv1_256x256_4x4_celeba_20200619-dd51a855.pth, a dict with `state_dict`",
    trained_on={"celeba-hq": ""},
    choices={
        "variant": "mmediting (preset `paper`): MMEditing's network, which the published comparisons ran and whose "
        "weights exist for PyTorch. release (preset `release`): the authors' network and losses; zero padding, the "
        "attention multiplies by the mask, leaky ReLU in the discriminators, L1 over the whole local patch, discounted "
        "from its edge, and a gradient penalty of the hole alone. It is made for boxes of at most `patch`: of a larger "
        "hole, this L1 sees the patch"
    },
)


class CAConfig(Config):
    """Sizes and losses of CA."""

    variant: Variant = "mmediting"
    width: int = 32  # channels of the first convolution
    dilations: tuple[int, ...] = (2, 4, 8, 16)
    resolution: int = 256  # that the discriminators are laid out for
    patch: int = 128  # side of the local discriminator's patch
    discriminator_width: int = 64
    hole: float = 1.0  # weight of the reconstruction of the hole
    known: float = 1.0  # and of the known part
    gan: float = 1e-4
    penalty: float = 10.0  # weight of the gradient penalty
    drift: float = 0.001  # weight of the drift, half of the squared discriminator losses
    discriminator_steps: int = 2  # iterations for one in which the generator trains
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    iterations: int = 1_500_003
    batch_size: int = 16
    masks: str = "ca"  # training draw
    deviation: float = 0.02  # of the initial weights
    ema: float | None = None  # moving average of the generator; the paper has none

    @property
    def design(self) -> Design:
        """The generator's."""
        return Design(
            gated=False,
            width=self.width,
            joint_width=self.width,
            dilations=self.dilations,
            gated_output=False,
            refined_inputs=5,
            output="clamp",
            variant=self.variant,
        )

    def sizes(self, features: Source | None = None) -> Sizes:
        completed = self.design.sizes
        if features is None:
            return completed
        smallest = max(completed.smallest, self.patch)
        return replace(completed, smallest=smallest, only=self.resolution, option="resolution")


class Linear(nn.Module):
    """A linear layer on flattened features."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


class Layer(nn.Module):
    """5x5 convolution with stride 2 and an activation."""

    def __init__(self, inputs: int, outputs: int, variant: Variant):
        super().__init__()
        self.conv, self.variant = nn.Conv2d(inputs, outputs, 5, 2, 2), variant

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.elu(x) if self.variant == "mmediting" else F.leaky_relu(x, 0.2)


class Discriminator(nn.Module):
    """Four convolutions and a linear layer: images (N, 3, size, size) -> (N, 1)."""

    def __init__(self, size: int, widths: tuple[int, ...], variant: Variant):
        super().__init__()
        self.variant = variant
        for i, (inputs, outputs) in enumerate(pairwise((3, *widths)), start=1):
            self.add_module(f"conv{i}", Layer(inputs, outputs, variant))
        self.fc = Linear(widths[-1] * math.ceil(size / 16) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return F.leaky_relu(x, 0.2) if self.variant == "mmediting" else x


class Discriminators(nn.Module):
    """The global discriminator sees the image, the local one the patch around the hole (section 3.2)."""

    def __init__(self, config: CAConfig):
        super().__init__()
        w, variant = config.discriminator_width, config.variant
        self.global_disc = Discriminator(config.resolution, (w, 2 * w, 4 * w, 4 * w), variant)
        self.local_disc = Discriminator(config.patch, (w, 2 * w, 4 * w, 8 * w), variant)

    def forward(self, images: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        return self.global_disc(images), self.local_disc(patches)


class CA(Method):
    """CA in MMEditing's version (`paper`) and as released by the authors (`release`)."""

    card = CARD
    Config = CAConfig
    config: CAConfig
    presets = {
        "paper": CAConfig(),
        "release": CAConfig(
            variant="release",
            hole=1.2,
            known=1.2,
            gan=1e-3,
            drift=0.0,
            discriminator_steps=5,
            betas=(0.5, 0.9),
            masks="ca-release",
        ),
        "tiny": CAConfig(
            width=16,
            dilations=(2, 4, 8),
            resolution=64,
            patch=32,
            discriminator_width=16,
            discriminator_steps=1,
            learning_rate=1e-3,
            betas=(0.5, 0.9),
            batch_size=8,
            masks="irregular",
            deviation=0.06,  # few channels: 0.02 would let the signal fade
            ema=0.98,
        ),
    }

    def __init__(self, config: CAConfig):
        super().__init__(config)
        self.generator = normal_init(Generator(config.design), config.deviation)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.masked, batch.mask)[1]

    def stages(self, features: Source = "official") -> list[Stage]:
        return [CAStage(self)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take MMEditing's checkpoint; its BGR weights are turned to RGB."""
        if self.config.variant == "release":
            raise BenchError("ca: the checkpoint of the authors' release is for TensorFlow; use the preset `paper`")
        self.load_state_dict(generator_in_rgb(state, FIRST, LAST, "ca"))


class CAStage(Stage):
    """Joint training with two Wasserstein discriminators (Algorithm 1)."""

    method: CA
    done: Tensor
    mirrored = False  # as published

    def __init__(self, method: CA):
        super().__init__(method)
        config = method.config
        self.config, self.masks, self.batch_size = config, config.masks, config.batch_size
        self.iterations = config.iterations
        self.ema = {"generator": config.ema} if config.ema else {}
        self.discriminators = normal_init(Discriminators(config))
        self.register_buffer("done", torch.zeros((), dtype=torch.long))  # iterations; saved, so that a run can resume

    def optimisers(self) -> dict[str, Optimizer]:
        networks = {"generator": self.method.generator, "discriminators": self.discriminators}
        c = self.config
        return {name: Adam(n.parameters(), c.learning_rate, c.betas) for name, n in networks.items()}

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        """Update the discriminators and, in every `discriminator_steps`-th iteration, the generator."""
        turn = int(self.done) % self.config.discriminator_steps == 0
        self.done += 1
        with torch.set_grad_enabled(turn):
            coarse, output = self.method.generator(batch.masked, batch.mask)
        fake = batch.composite(output)
        losses = self.judge(batch, fake.detach(), noise)
        update("discriminators", losses["discriminators"] + self.config.penalty * losses["penalty"])
        if not turn:
            return losses
        judged = self.discriminators(fake, local_patch(fake, batch.mask, self.config.patch))
        losses["generator"] = -sum(logits.mean() for logits in judged)
        losses["coarse"], losses["refined"] = self.reconstruction(coarse, batch), self.reconstruction(output, batch)
        first = 1.2 if self.config.variant == "release" else 1.0
        update("generator", first * losses["coarse"] + losses["refined"] + self.config.gan * losses["generator"])
        return losses

    def judge(self, batch: Batch, fake: Tensor, noise: Noise) -> dict[str, Tensor]:
        """Wasserstein losses of both discriminators with drift, and their gradient penalties (Eqs. 2 to 4)."""
        size = self.config.patch
        real_patch, fake_patch = (local_patch(x, batch.mask, size) for x in (batch.image, fake))
        real = self.discriminators(batch.image, real_patch)
        terms = [logits.mean() for logits in self.discriminators(fake, fake_patch)] + [-x.mean() for x in real]
        drift = sum(across.mean(term).square() for term in terms) / 2
        by_pixel = self.config.variant == "mmediting"
        hole = None if by_pixel else local_patch(batch.mask, batch.mask, size)
        d = self.discriminators
        penalty = gradient_penalty(d.global_disc, batch.image, fake, noise, batch.mask, by_pixel)
        penalty = penalty + gradient_penalty(d.local_disc, real_patch, fake_patch, noise, hole, by_pixel)
        return {"discriminators": sum(terms) + self.config.drift * drift, "penalty": penalty}

    def reconstruction(self, output: Tensor, batch: Batch) -> Tensor:
        """L1 over hole and known part, each by its own size; for the hole the release takes its patch, discounted."""
        c = self.config
        if c.variant == "release":
            error = local_patch((output - batch.image).abs(), batch.mask, c.patch)
            hole = (error * spatial_discount(c.patch).to(error)).mean()
        else:
            hole = region_l1(output, batch.image, batch.mask)
        return c.hole * hole + c.known * region_l1(output, batch.image, 1 - batch.mask)


def spatial_discount(size: int, gamma: float = 0.9) -> Tensor:
    """Weights gamma ** d (size, size), section 3.3; d: to the nearest edge, 0 at the first row, 1 at the last one."""
    place = torch.arange(size)
    distance = torch.minimum(place, size - place)
    return gamma ** torch.minimum(distance[:, None], distance)


def two_stage_golden(method: type[Method], load: Any) -> Golden:
    """How to run the golden file of a two-stage network, also GConv's."""

    def run(network: Any, inputs: Inputs) -> dict[str, Tensor]:
        image, mask = inputs.image(), inputs.mask()
        generator: Generator = network.generator
        seen: list[tuple[Tensor, Tensor]] = []
        attention = generator.stage2.contextual_attention_neck.contextual_attention
        attention.register_forward_hook(lambda module, given, output: seen.append(output))
        # the authors' network saw BGR, ours was turned to RGB: what they called channel 0 is our channel 2
        coarse, out = (x.flip(1) for x in generator(image.flip(1) * (1 - mask), mask))
        attended, scores = seen[0]
        size = attended.shape[2] // 2, attended.shape[3] // 2
        return {
            "stage1": coarse,
            "out": out,
            "composite": image * (1 - mask) + out * mask,
            "attended": attended[:, ::16],
            "attention": scores.unflatten(2, size).unflatten(1, size)[:, ::2, ::2, ::8, ::8],
        }

    return Golden(
        build=method.create,
        load=load,
        run=run,
        parts=lambda m: {"generator": m.generator, "stage1": m.generator.stage1, "stage2": m.generator.stage2},
        costs={
            "generator": lambda m: m.generator(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)),
            "stage1": lambda m: m.generator.stage1(torch.empty(1, 5, 256, 256)),
            "stage2": lambda m: m.generator.stage2(torch.empty(1, 5, 256, 256), torch.empty(1, 1, 256, 256)),
        },
    )


def _run_discriminators(network: Discriminators, inputs: Inputs) -> dict[str, Tensor]:
    full = inputs.image(batch=4)
    patch = full[:, :, 64:192, 64:192]
    seen = {}
    for name in ("global", "local"):
        layer = network.get_submodule(f"{name}_disc.conv4")
        layer.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output[:, ::64]}))
    whole, local = network(full, patch)
    features = {f"{name}_feature": value for name, value in seen.items()}
    return {"global_logit": whole, "local_logit": local, **features}


def _load_discriminators(network: Discriminators, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict({name.removeprefix("disc."): value for name, value in state.items()})


CA.golden = {
    "ca": two_stage_golden(CA, CA.load_official),
    "ca.discriminator": Golden(
        build=lambda: Discriminators(CAConfig()),
        load=_load_discriminators,
        run=_run_discriminators,
        parts=lambda network: {
            "discriminator": network,
            "global_disc": network.global_disc,
            "local_disc": network.local_disc,
        },
        costs={"discriminator": lambda network: network(torch.empty(1, 3, 256, 256), torch.empty(1, 3, 128, 128))},
    ),
}
