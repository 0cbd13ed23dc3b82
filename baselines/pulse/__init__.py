"""PULSE: looks for a face of StyleGAN that, made small, is the degraded picture made small."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.pulse.networks import Mapping, Synthesis
from baselines.pulse.search import SphericalAdam, geocross, l1, l2, shrunk, slope
from baselines.stylegan2 import StyleGAN2
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source
from bench.nn.cubic import resized
from bench.nn.perceptual import frozen
from bench.nn.stylegan2 import Generator

CARD = Card(
    slug="pulse",
    name="PULSE",
    title="PULSE: Self-Supervised Photo Upsampling via Latent Space Exploration of Generative Models",
    authors="Menon, Damian, Hu, Ravi, Rudin",
    year=2020,
    venue="CVPR; arXiv 2003.03808",
    url="https://github.com/adamian98/pulse",
    task="restoration",
    resolution=1024,
    params={"synthesis": 24_110_771, "mapping": 2_101_248, "generator": 30_370_060},
    macs={"synthesis": 32.235e9, "mapping": 0.002e9, "generator": 75.337e9},
    published={
        "CelebA-Test": "FID-dagger 57.92, U-IDS 0 %, P-IDS 0 %, FID 67.75, NIQE 4.71, PSNR 21.61, SSIM 0.6287 "
        "(thesis, table 3.1)",
        "LFW-Test": "FID 64.86, NIQE 4.34 (thesis, table 3.2)",
        "CelebChild-Test": "FID 102.74, NIQE 4.28",
        "WebPhoto-Test": "FID 86.45, NIQE 4.38",
    },
    training="none of its own: 100 steps of Adam 0.4 on spheres for each picture; squared error 100 (of 32 px, not "
    "below 0.002), angles between codes 0.05",
    features="none beside the generator",
    convention="no masks; a face of 32 px in [0, 1]; the image of 1024 px is linear and cut to [-1, 1]",
    licence="none stated (code); NVIDIA's StyleGAN weights: CC BY-NC 4.0",
    weights="the authors' shared drive (StyleGAN of FFHQ, 1024 px): synthesis.pt as `weights`; gaussian_fit.pt of the "
    "repository as the option `fit_weights`, or mapping.pt as `mapping_weights`",
    trained_on={"ffhq": "all"},
    requires=("stylegan2",),
    needs=("degraded",),
    choices={
        "generator": "the released StyleGAN of 2019 where `weights` names it, else the prior stylegan2",
        "low": "32 px, the authors' default: the degraded picture is made as small as the generated one, by the same "
        "filter. Tables do not say which size they took",
        "picture": "the last one, as saved by the authors, also where the search has not reached its criterion and "
        "they save none; a remark counts those",
        "fit": "mean and deviation of a million codes before the last activation, as the authors'; computed when first "
        "needed, unless it is given",
    },
    notes="A restoration evaluates the generator 100 times, forth and back. `generator` is the prior's preset "
    "`config-f` (1024 px), which `paper` stands on without released files; counts are those of one evaluation. Images "
    "of another side than the generator's are resized (cubic).",
)


class PULSEConfig(Config):
    """The search of PULSE, and sizes of the released StyleGAN."""

    low: int = Field(default=32, ge=2)  # side of the small pictures that are compared
    steps: int = Field(default=100, ge=1)
    rate: float = 0.4  # the largest learning rate
    enough: float = 2e-3  # a squared error, in [0, 1], with which pictures match
    l2: float = 100.0  # weights of the losses
    l1: float = 0.0
    geocross: float = 0.05
    tiled: bool = False  # one code for all layers
    searched: int = 5  # noise maps that are looked for, too, the coarsest; the others stay as drawn
    silent: tuple[int, ...] = (17,)  # layers without noise
    samples: int = 1_000_000  # codes that the Gaussian is fitted to
    shown: int = 6  # pictures in a report of how a restoration comes about
    size: int = 1024  # of the released generator's images, a power of two
    width: int = 16384  # its channels at resolution r: width / r, at most `limit`
    limit: int = 512
    code: int = 512  # entries of its z and w
    fit_weights: Path | None = None  # the authors' gaussian_fit.pt
    mapping_weights: Path | None = None  # the authors' mapping network, where there is no fit

    def files(self) -> list[Path]:
        return [path for path in (self.fit_weights, self.mapping_weights) if path]

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(self.low, square=True)


class PULSE(Method):
    """PULSE on the released StyleGAN, or on a StyleGAN2 that was trained here."""

    card = CARD
    Config = PULSEConfig
    config: PULSEConfig
    generator: Synthesis | Generator
    mapping: nn.Module
    mean: Tensor  # (D,) of codes before the last activation
    deviation: Tensor  # 0: not yet fitted
    complete_weights = True
    presets = {
        "paper": PULSEConfig(),
        "tiny": PULSEConfig(low=8, samples=100_000, size=64, width=1024, limit=64, code=64),
    }
    prior_presets = {"paper": {"stylegan2": "config-f"}}

    def __init__(self, config: PULSEConfig):
        super().__init__(config)
        self.runs = self.matched = 0  # searches until now, and those that reached the criterion
        self.start(config.code)

    def start(self, code: int) -> None:
        """No fit yet."""
        self.register_buffer("mean", torch.zeros(code))
        self.register_buffer("deviation", torch.zeros(code))

    def attach(self, priors: Dict[str, Method]) -> None:
        prior = cast(StyleGAN2, priors["stylegan2"])
        self.generator = frozen(prior.generator)
        self.start(prior.config.code)

    def networks(self) -> dict[str, nn.Module]:
        if not hasattr(self, "generator"):
            return {}
        if isinstance(self.generator, Generator):
            return {"generator": self.generator}
        return {"synthesis": self.generator} | ({"mapping": self.mapping} if hasattr(self, "mapping") else {})

    def released(self) -> Synthesis:
        """A StyleGAN of the released kind, without its values."""
        c = self.config
        return frozen(Synthesis(c.size, c.width, c.limit, c.code))

    def load_official(self, state: Dict[str, Any]) -> None:
        """Take the synthesis network; the option `fit_weights` or `mapping_weights` names the other file."""
        c = self.config
        if not c.files():
            raise BenchError(
                "pulse: `weights` names the authors' synthesis network; name gaussian_fit.pt in the option "
                "`fit_weights`, too, or their mapping network in `mapping_weights`"
            )
        self.generator = self.released()
        self.generator.load_released(state)
        if c.mapping_weights:
            self.mapping = frozen(Mapping(c.code))
            self.mapping.load_state_dict(weights.read(c.mapping_weights))
        if c.fit_weights:
            fit = weights.read(c.fit_weights)
            self.mean.copy_(fit["mean"])
            self.deviation.copy_(fit["std"])

    @torch.no_grad()
    def fit(self) -> None:
        """Fit a Gaussian to codes before the mapping network's last activation, of which leaky ReLU with slope 5 is
        the inverse."""
        mapping = self.generator.style if isinstance(self.generator, Generator) else self.mapping
        count, code = 10_000, len(self.mean)
        noise = Noise.shared(0, min(count, self.config.samples), self.mean.device)
        total = square = torch.zeros(code, dtype=torch.float64, device=self.mean.device)
        turns = max(1, self.config.samples // count)
        for _ in range(turns):
            values = F.leaky_relu(mapping(noise.normal(code).to(self.mean)), 5).double()
            total, square = total + values.mean(0) / turns, square + values.square().mean(0) / turns
        self.mean.copy_(total)
        self.deviation.copy_((square - total.square()).sqrt())

    def codes(self, z: Tensor) -> Tensor:
        """Codes w (1, codes, D) of latents z (1, 1 or codes, D)."""
        return F.leaky_relu(z * self.deviation + self.mean, 0.2).expand(-1, self.generator.codes, -1)

    def search(self, target: Tensor, z: Tensor, maps: list[Tensor], wanted: int) -> tuple[list[Tensor], bool]:
        """`wanted` pictures on the way of one search, the last one last, and whether it reached its criterion.

        `target`: the small picture (1, 3, low, low) in [0, 1]. `z` and noise `maps` are where the search starts.
        """
        c, pictures, matched = self.config, list[Tensor](), False
        found = [x.clone().requires_grad_() for x in (z, *maps[: c.searched])]
        fixed = [m * (i not in c.silent) for i, m in enumerate(maps)][c.searched :]
        adam = SphericalAdam(found, c.rate, c.steps)
        for step in range(1, c.steps + 1):
            codes = self.codes(found[0])
            image = self.generator(codes, [*found[1:], *fixed])
            small = shrunk((image + 1) / 2, c.low)
            error = l2(small, target, c.enough)
            matched = matched or bool(error.detach() <= c.enough)  # in its own precision, in which it was clamped
            loss = c.l2 * error + c.l1 * l1(small, target, c.enough) + c.geocross * geocross(codes)
            adam.step(loss.sum())
            if step * wanted // c.steps > (step - 1) * wanted // c.steps:
                pictures.append(image.detach().clamp(-1, 1))
        return pictures, matched

    def chosen(self, batch: Batch, noise: Noise, wanted: int) -> list[Tensor]:
        """So many pictures on the way of each image's search; images are searched for one after another."""
        c = self.config
        c.sizes().check(batch.image, CARD.name)
        degraded = batch.need("degraded")
        if not hasattr(self, "generator"):
            raise BenchError("pulse has no generator: attach the prior stylegan2, or load the official weights")
        with torch.inference_mode(False), torch.enable_grad():
            if not self.deviation.any():
                self.fit()
            targets = shrunk((degraded.clone() + 1) / 2, c.low).clamp(0, 1)
            z, maps = noise.normal(1 if c.tiled else self.generator.codes, len(self.mean)), noise.maps(self.sides)
            each = []
            for i in range(len(batch)):
                one = slice(i, i + 1)
                pictures, matched = self.search(targets[one], z[one], [m[one] for m in maps], wanted)
                each.append(pictures)
                self.runs, self.matched = self.runs + 1, self.matched + matched
        side = batch.image.shape[-1]
        steps = [torch.cat(pictures) for pictures in zip(*each, strict=True)]
        return [x if x.shape[-1] == side else resized(x, (side, side)) for x in steps]

    @property
    def sides(self) -> list[int]:
        """Of the generator's noise maps."""
        return self.generator.sides

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.chosen(batch, noise, 1)[-1]

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        return self.chosen(batch, noise, min(self.config.shown, self.config.steps))

    def remarks(self) -> list[str]:
        """How often the search ended without a match."""
        missed = self.runs - self.matched
        if not missed:
            return []
        return [
            f"{missed} of its {self.runs} searches found no face that, at {self.config.low} px, is near enough to the "
            "degraded one: the authors' program gives no picture then, here it is the last one"
        ]


def _run_synthesis(network: Synthesis, inputs: Inputs) -> dict[str, Tensor]:
    noise = [inputs.latent(1, 1, side, side, offset=10 + i) for i, side in enumerate(network.sides)]
    return {"image": network(inputs.latent(1, network.codes, 512), noise)[..., ::4, ::4]}


def _pass(network: Synthesis) -> Tensor:
    return network(torch.empty(1, network.codes, 512), [torch.empty(1, 1, side, side) for side in network.sides])


def _run_losses(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    def scaled(offset: int) -> list[Tensor]:
        last = 0.01 if offset == 2 else 0.0001
        return [s * inputs.image(32, offset=i) for s in (1, 0.3, 0.1, last) for i in (0, 1)]

    squares, absolutes = scaled(2), scaled(1)
    with torch.enable_grad():
        x, aim = inputs.latent(1, 18, 512).requires_grad_(), inputs.latent(1, 18, 512, offset=5)
        adam = SphericalAdam([x], 0.4, 20)
        for _ in range(20):
            adam.step((x - aim).square().sum())
    return {
        "geocross": torch.cat([geocross((1 + i) * inputs.latent(1, 18, 512, offset=i)) for i in range(4)]),
        "l2": torch.cat([l2(a, b, 2e-3) for a, b in zip(squares[::2], squares[1::2], strict=True)]),
        "l1": torch.cat([l1(a, b, 2e-3) for a, b in zip(absolutes[::2], absolutes[1::2], strict=True)]),
        "spherical": x.detach(),
        "lr": torch.tensor([0.4 * slope(i, 20) for i in range(20)], dtype=torch.float64),
    }


def _run_shrunk(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    image = inputs.image(1024)
    small = {f"down{factor}": shrunk(image, 1024 // factor) for factor in (32, 8, 2)}
    return small | {"down2": small["down2"][..., ::2, ::2]}


PULSE.golden = {
    "pulse.synthesis": Golden(
        build=Synthesis,
        load=Synthesis.load_released,
        run=_run_synthesis,
        parts=lambda network: {"total": network},
        costs={"1024": _pass, "256 (resolution=256)": lambda _: _pass(Synthesis(256))},
    ),
    "pulse.mapping": Golden(
        build=Mapping,
        run=lambda network, inputs: {"w": network(inputs.latent(2, 512))},
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(torch.empty(2, 512))},
    ),
    "pulse.losses": Golden(build=nn.Identity, run=_run_losses, keys={}),
    "pulse.downsample": Golden(build=nn.Identity, run=_run_shrunk, keys={}),
}
