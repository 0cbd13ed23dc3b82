"""InvertFill: styles and maps of an encoder complete a face by StyleGAN2; its maps keep the known pixels (F&W+)."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.arcface import IdentityLoss
from baselines.stylegan2 import StyleGAN2
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn import across
from bench.nn.losses import nonsaturating
from bench.nn.perceptual import PerceptualDistance
from bench.nn.psp import level
from bench.nn.stylegan2 import Discriminator, Edit, Generator, Width, fixed, mean_code
from bench.nn.stylegan2_training import Adversary

CARD = Card(
    slug="invertfill",
    name="InvertFill",
    title="High-Fidelity Image Inpainting with GAN Inversion",
    authors="Yu, Zhang, Fan, Luo",
    year=2022,
    venue="ECCV; arXiv 2208.11850",
    url="https://arxiv.org/abs/2208.11850",
    resolution=256,
    params={"encoder": 13_799_300, "modulation": 9_203_712, "features": 213_888, "decoder": 30_034_338},
    macs={"encoder": 48.750e9, "modulation": 0.009e9, "features": 2.684e9, "decoder": 45.373e9},
    published={
        "FID, LPIPS": "7.45, 0.152 (FFHQ validation, erased share 0-100 %); 1.13, 0.123 (0-40 %); 9.58, 0.235 "
        "(40-100 %): HierInv's table 1",
    },
    training="Adam 1e-4 (critic: betas 0, 0.99), batch 8, 300,000 iterations, the generator with it after 100,000; L1 "
    "1, LPIPS 0.8, identity 0.1, adversarial 0.1, distance of the codes from their mean 0.005",
    features="LPIPS (VGG-16), IR-SE50 (ArcFace)",
    convention="the paper's mask is 1 = valid; holes are 0 in [-1, 1]",
    licence="Apache-2.0 (a repository without code); the StyleGAN2 weights: Nvidia, non-commercial",
    weights="none",
    requires=("stylegan2",),
    choices={
        "layers": "no code was released and the full text was not at hand: sourced are the parts (pre-modulation, F&W+ "
        "space, soft-updated mean latent, adaptive contextual bottlenecks); all sizes, and so the counts, are ours",
        "blocks": "of adaptive contextual bottlenecks; as reviews of the journal version describe them",
        "places": "maps enter after the first layer at 1/4, 1/2 and the whole size, weighted by the share of pixels "
        "that are known; the rest is the generator's own",
        "alone": "a third of the iterations; then the generator's synthesis is trained along, with the same rate",
        "mean_decay": "0.999, towards 8 fresh codes an image in training (64 in a batch of 8); fixed in tests",
        "losses": "weights and optimisers are usual ones of inversion. The critic sees composites, all other losses "
        "what the generator gives; the norm is pSp's, not its square",
        "noise": "none in the generator's layers: a picture has one completion",
        "critic": "starts anew, as the prior holds none, and goes on in the second stage",
    },
    notes="Sizes of the decoder, and of the features that enter it, are those with the prior's preset rosinality (512 "
    "channels at 64 px). The second stage trains a copy of the prior.",
)


class InvertFillConfig(Config):
    """Sizes and losses of InvertFill."""

    size: int = 256  # pixels; the prior's
    width: int = 64  # channels at the whole size; 2, 4 and 4 times as many below
    blocks: int = 4  # adaptive contextual bottlenecks
    rates: tuple[int, ...] = (1, 2, 4, 8)  # dilations of their branches
    code: int = 512  # values of a code; the prior's
    learning_rate: float = 1e-4
    generator_rate: float = 1e-4  # learning rate of the generator, whose weights are equalised
    critic_rate: float = 1e-4
    batch_size: int = 8
    alone: float = 1 / 3  # share of the budget before the generator is trained, too
    l1: float = 1.0
    lpips: float = 0.8
    identity: float = 0.1
    adversarial: float = 0.1
    norm: float = 0.005  # of the codes' distance from the mean latent
    mean_decay: float = 0.999  # of the mean latent, an iteration
    mean_samples: int = 8  # codes for it, an image
    r1: float = 10.0
    r1_every: int = 16  # iterations
    masks: str = "invertfill"  # training draw
    ema: float | None = None  # moving average of all that completes; none is known of

    @property
    def styles(self) -> int:
        """Codes that the generator takes."""
        return 2 * (self.size.bit_length() - 1) - 2

    @property
    def layer(self) -> int:
        """The generator's first layer at a quarter of its size; those at 1/2 and 1 are the second and fourth next."""
        return 2 * (self.size.bit_length() - 1) - 9

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class ContextBlock(nn.Module):
    """Adaptive contextual bottleneck: at each place, a weighted choice of dilation rates. (N, C, H, W) -> same."""

    def __init__(self, width: int, rates: Sequence[int]):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(width, width, 3, 1, rate, rate) for rate in rates)
        self.gate = nn.Conv2d(width, 1, 3, 1, 1)
        self.score = nn.ModuleList(nn.Conv2d(3, 1, 7, 1, 3) for _ in rates)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(x).sigmoid()
        found = [branch(x).relu() for branch in self.branches]
        scores = [
            score(torch.cat([f.mean(1, keepdim=True), f.amax(1, keepdim=True), gate], dim=1))
            for score, f in zip(self.score, found, strict=True)
        ]
        weights = torch.cat(scores, dim=1).softmax(dim=1)  # (N, rates, H, W)
        for i, f in enumerate(found):
            x = x + weights[:, i : i + 1] * f
        return x


class Encoder(nn.Module):
    """From an erased image and its mask (1 = valid) to a pyramid of maps."""

    def __init__(self, width: int, blocks: int, rates: Sequence[int]):
        super().__init__()
        whole, half, quarter = width, 2 * width, 4 * width
        self.stem = nn.Conv2d(4, whole, 3, 1, 1)
        self.down1 = nn.Conv2d(whole, half, 4, 2, 1)
        self.down2 = nn.Conv2d(half, quarter, 4, 2, 1)
        self.down3 = nn.Conv2d(quarter, quarter, 4, 2, 1)
        self.acb = nn.Sequential(*(ContextBlock(quarter, rates) for _ in range(blocks)))
        self.coarse = nn.Conv2d(quarter, quarter, 4, 2, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(inputs, quarter, 1) for inputs in (quarter, half, whole))
        self.up = nn.ModuleList(nn.Conv2d(quarter, outputs, 3, 1, 1) for outputs in (quarter, quarter, half))

    def forward(self, erased: Tensor, valid: Tensor) -> list[Tensor]:
        """Maps at 1/16, 1/8, 1/4, 1/2 and the whole of the size."""
        x, fine = torch.cat([erased, valid], dim=1), []
        for layer in (self.stem, self.down1, self.down2):
            x = _leaky(layer(x))
            fine.append(x)
        x = self.acb(_leaky(self.down3(x)))
        maps = [_leaky(self.coarse(x)), x]
        for lateral, up, below in zip(self.lateral, self.up, reversed(fine), strict=True):
            x = _leaky(up(F.interpolate(x, scale_factor=2, mode="nearest") + lateral(below)))
            maps.append(x)
        return maps


class PreModulation(nn.Module):
    """Style vectors that the picture's structure at several sizes modulates before the generator sees them.

    w_i = (1 + scale_i(g)) norm(y_i) + shift_i(g): y_i reads the map of its size, g the map at a quarter of the size.
    """

    def __init__(self, styles: int, width: int, code: int):
        super().__init__()
        self.style = nn.ModuleList(
            nn.Sequential(nn.Linear(width, code), nn.LeakyReLU(0.2), nn.Linear(code, code)) for _ in range(styles)
        )
        self.scale = nn.ModuleList(nn.Linear(width, code) for _ in range(styles))
        self.shift = nn.ModuleList(nn.Linear(width, code) for _ in range(styles))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Codes (N, styles, D), without the mean latent, of the maps at 1/16, 1/8 and 1/4 of the size."""
        pooled = [x.mean((2, 3)) for x in maps]
        rows = torch.stack([style(pooled[level(i)]) for i, style in enumerate(self.style)], dim=1)
        scales, shifts = (torch.stack([f(pooled[2]) for f in layers], dim=1) for layers in (self.scale, self.shift))
        return (1 + scales) * F.layer_norm(rows, rows.shape[2:]) + shifts


class InvertFill(Method):
    """InvertFill after its abstract and what is said of it."""

    card = CARD
    Config = InvertFillConfig
    config: InvertFillConfig
    decoder: Generator
    mean_latent: Tensor  # (D,)
    presets = {
        "paper": InvertFillConfig(),
        "tiny": InvertFillConfig(
            size=64, width=16, blocks=2, rates=(1, 2, 4), code=64, learning_rate=2e-3, generator_rate=8e-3,
            critic_rate=2e-3, alone=0.15, masks="irregular", ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: InvertFillConfig):
        super().__init__(config)
        c = config
        self.encoder = Encoder(c.width, c.blocks, c.rates)
        self.modulation = PreModulation(c.styles, 4 * c.width, c.code)
        self.register_buffer("mean_latent", torch.zeros(c.code))

    def attach(self, priors: Mapping[str, Method]) -> None:
        c, prior = self.config, cast(StyleGAN2, priors["stylegan2"])
        g = prior.config
        if (g.size, g.code) != (c.size, c.code):
            raise BenchError(
                f"invertfill is set to {c.size} px and codes of {c.code}, its prior stylegan2 makes {g.size} px from "
                f"codes of {g.code}: change the options size and code of one of them"
            )
        self.generator_config, self.decoder = g, copy.deepcopy(prior.generator)
        self.mean_latent.copy_(mean_code(self.decoder.style, c.code, 10_000))
        width = Width(g.width, g.limit)
        inputs = (4 * c.width, 4 * c.width, 2 * c.width)
        self.features = nn.ModuleList(nn.Conv2d(n, width(c.size >> (2 - i)), 1) for i, n in enumerate(inputs))

    def draw(self, erased: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The generator's image (N, 3, H, W) of an erased one and its mask (1 = valid), and the codes behind it."""
        maps = self.encoder(erased, valid)
        codes = self.modulation(maps[:3]) + self.mean_latent
        return self.decoder(codes, edit=self.mixed(maps[2:], valid)), codes

    def mixed(self, maps: Sequence[Tensor], valid: Tensor) -> Edit:
        """The edit of the generator: the encoder's maps take the place of its own where pixels are known."""

        def edit(layer: int, x: Tensor) -> Tensor:
            number, second = divmod(layer - self.config.layer, 2)
            if number < 0 or second:
                return x
            share = F.adaptive_avg_pool2d(valid, x.shape[-1])
            return share * self.features[number](maps[number]) + (1 - share) * x

        return edit

    @torch.no_grad()
    def follow(self, noise: Noise) -> None:
        """Soft update: move the mean latent a little towards the mean of fresh codes."""
        c = self.config
        fresh = self.decoder.style(noise.normal(c.mean_samples, c.code).flatten(0, 1)).mean(0)
        self.mean_latent.lerp_(across.mean(fresh), 1 - c.mean_decay)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        self.config.sizes().check(batch.image, CARD.name)
        return self.draw(batch.masked, 1 - batch.mask)[0].clamp(-1, 1)

    def stages(self, features: Source = "official") -> list[Stage]:
        c, g = self.config, self.generator_config
        critic = Discriminator(c.size, Width(g.width, g.limit), group=g.group, clamp=g.clamp)
        adversary, perceptual = Adversary(critic, c.r1, c.r1_every), PerceptualDistance(features)
        identity = IdentityLoss(features)
        return [stage(self, adversary, perceptual, identity) for stage in (EncoderStage, GeneratorStage)]


class InvertFillStage(Stage):
    """The networks learn to give the whole image back of an erased one, against a critic."""

    method: InvertFill

    def __init__(
        self, method: InvertFill, adversary: Adversary, perceptual: PerceptualDistance, identity: IdentityLoss
    ):
        super().__init__(method)
        c = self.config = method.config
        self.batch_size, self.masks = c.batch_size, c.masks
        self.ema = {"generator": c.ema} if c.ema else {}
        self.adversary, self.perceptual, self.identity = adversary, perceptual, identity

    def trained(self) -> list[tuple[nn.Module, float]]:
        """The networks that this stage trains, with their learning rates."""
        method = self.method
        return [
            (network, self.config.learning_rate) for network in (method.encoder, method.modulation, method.features)
        ]

    def optimisers(self) -> dict[str, Optimizer]:
        c = self.config
        groups = [{"params": [*network.parameters()], "lr": rate} for network, rate in self.trained()]
        return {
            "generator": Adam(groups),
            "discriminator": Adam(self.adversary.parameters(), c.critic_rate, (0.0, 0.99)),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method = self.config, self.method
        method.follow(noise)
        output, codes = method.draw(batch.masked, 1 - batch.mask)
        fake = batch.composite(output)
        losses = self.adversary.improve(batch.image, fake, update)
        terms = {
            "l1": F.l1_loss(output, batch.image),
            "lpips": self.perceptual(output, batch.image).mean(),
            "identity": self.identity(output, batch.image).mean(),
            "adversarial": nonsaturating(self.adversary(fake)),
            "norm": (codes - method.mean_latent).flatten(1).norm(dim=1).mean(),
        }
        update("generator", torch.stack([getattr(c, name) * term for name, term in terms.items()]).sum())
        return losses | terms


class EncoderStage(InvertFillStage):
    """The generator stays as it is."""

    name, iterations = "encoder", 100_000

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.share = self.config.alone


class GeneratorStage(InvertFillStage):
    """The generator's synthesis is trained along; its mapping, which gives the mean latent, is not."""

    name, iterations = "generator", 200_000

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.share = 1 - self.config.alone

    def trained(self) -> list[tuple[nn.Module, float]]:
        synthesis = [network for name, network in self.method.decoder.named_children() if name != "style"]
        return super().trained() + [(network, self.config.generator_rate) for network in synthesis]


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _whole() -> InvertFill:
    """The method on the generator that the golden file was made with."""
    method = cast(InvertFill, InvertFill.create())
    method.attach({"stylegan2": StyleGAN2.create("rosinality")})
    return method


def _load(method: InvertFill, state: Mapping[str, Tensor]) -> None:
    """Take the sheet's names: all of the encoder's parts side by side, maps by their sides at 256 px."""
    places = {"64": 0, "128": 1, "256": 2}
    renamed = {}
    for key, value in state.items():
        part = key.split(".")[0]
        if match := re.fullmatch(r"(lat|up|feat)(\d+)(\..+)", key):
            name = {"lat": "encoder.lateral", "up": "encoder.up", "feat": "features"}[match[1]]
            renamed[f"{name}.{places[match[2]]}{match[3]}"] = value
        elif part in ("decoder", "mean_latent"):
            renamed[key] = value
        else:
            renamed[f"{'modulation' if part in ('style', 'scale', 'shift') else 'encoder'}.{key}"] = value
    method.load_state_dict(renamed)


def _run(method: InvertFill, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    out, codes = method.draw(image * (1 - mask), 1 - mask)
    return {"codes": codes, "out": out, "final": mask * out + (1 - mask) * image}


def _trained(method: InvertFill) -> nn.Module:
    """All but the generator, as the file counts: the mean latent too."""
    mean = nn.ParameterList([nn.Parameter(method.mean_latent)])
    return nn.ModuleList([method.encoder, method.modulation, method.features, mean])


InvertFill.golden = {
    "invertfill": Golden(
        build=_whole,
        load=_load,
        run=_run,
        parts=lambda method: {"encoder": _trained(method), "decoder": method.decoder},
        costs={"total": lambda m: m.draw(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256))},
    )
}
