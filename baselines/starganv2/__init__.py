"""StarGAN v2: a picture in the style of another one; what is kept is pose and expression."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from baselines.starganv2.networks import Discriminator, Generator, MappingNetwork, StyleEncoder
from baselines.starganv2.parts import LANDMARKS, SIDE, LandmarkNetwork, masks_of
from baselines.starganv2.training import TranslationStage
from bench import weights
from bench.choice import either
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import fixed

CARD = Card(
    slug="starganv2",
    name="StarGAN v2",
    title="StarGAN v2: Diverse Image Synthesis for Multiple Domains",
    authors="Choi, Uh, Yoo, Ha",
    year=2020,
    venue="CVPR; arXiv 1912.01865",
    url="https://arxiv.org/abs/1912.01865",
    task="editing",
    resolution=256,
    params={
        "generator": 43_467_395,
        "style encoder": 20_916_928,
        "landmark network": 6_333_603,
        "mapping network": 2_438_272,
        "discriminator": 20_852_290,
    },
    macs={
        "generator": 45.375e9,
        "style encoder": 16.563e9,
        "landmark network": 8.726e9,
        "mapping network": 2.433e6,
        "discriminator": 16.563e9,
    },
    published={
        "CelebA-HQ": "FID 13.73, LPIPS 0.4515 (styles of noise); FID 23.84, LPIPS 0.3880 (styles of pictures): means "
        "over all pairs of domains, ten outputs a picture (the authors' page)",
    },
    training="adversarial 1, style 1, cycle 1, diversity 1 falling to 0, R1 gamma 1 at every update; Adam 1e-4, "
    "mapping network 1e-6, (0, 0.99), weight decay 1e-4, batch 8, 100,000 iterations; EMA 0.999; half of the pictures "
    "cropped to 0.8 to 1 of their area",
    features="AWing's landmark network",
    convention="no masks; images in [-1, 1] at 256 px, aligned by the authors' routine; linear output",
    licence="CC BY-NC 4.0 (code and weights); the landmark network's: AWing's authors'",
    weights="Dropbox, by the authors' download.sh: celeba_hq/100000_nets_ema.ckpt as `weights` ({generator, "
    "mapping_network, style_encoder}), wing.ckpt as the option `landmark_weights`, where the former does not hold it",
    trained_on={"celeba-hq": ""},
    needs=("source", "exemplar"),
    choices={
        "kept": "source: the picture is drawn anew in the exemplar's style. exemplar: the other way round, as "
        "FACEMUG's thesis shows it: the exemplar's pose, the picture's style",
        "domain": "nearest: no data set here tells an exemplar's domain; it is the one whose style draws the exemplar "
        "itself again with the smallest L1. A number: 0, women, or 1, men, for all exemplars",
        "domains": "2: as released for CelebA-HQ. Training here is told none: all pictures are of the first, and "
        "completions of what was trained so take its head. tiny: 1",
        "high_pass": "1: as for CelebA-HQ. 0: as for AFHQ, and tiny, without a landmark network",
        "pairs": "the pictures whose styles are taken are the batch's own; the authors draw others",
    },
    notes="Without high-pass skips the generator has 33,892,995 parameters, 48.646 G MACs. Of its parameters 172,032 "
    "are in shortcuts that the high-pass form does not use.",
)


class StarGANv2Config(Config):
    """Sizes and losses of StarGAN v2."""

    size: int = 256  # of the images, a power of two
    width: int = 64  # channels at full size, doubled with each halving
    limit: int = 512
    style: int = 64  # values of a style
    latent: int = 16  # of a latent code
    hidden: int = 512  # channels of the mapping network
    domains: int = 2
    # of exemplars
    domain: Annotated[Literal["nearest"] | int, either("nearest, or the number of a domain")] = "nearest"
    kept: Literal["source", "exemplar"] = "source"  # the picture whose pose is kept
    high_pass: float = 1.0  # what high frequencies around facial parts are divided by; 0: they take no short cut
    learning_rate: float = 1e-4
    mapping_rate: float = 1e-6
    betas: tuple[float, float] = (0.0, 0.99)
    decay: float = 1e-4  # of weights
    batch_size: int = 8
    iterations: int = 100_000
    style_weight: float = 1.0  # weights of the losses
    cycle: float = 1.0
    diversity: float = 1.0  # at the start
    r1: float = 1.0
    crops: float = 0.5  # probability that a training picture is cropped
    ema: float = 0.999  # moving average of all that is trained
    landmark_weights: Path | None = None  # the authors' wing.ckpt

    def files(self) -> list[Path]:
        return [self.landmark_weights] if self.landmark_weights else []

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class StarGANv2(Method):
    """StarGAN v2 as released for CelebA-HQ."""

    card = CARD
    Config = StarGANv2Config
    config: StarGANv2Config
    heads: Tensor
    presets = {
        "paper": StarGANv2Config(),
        "tiny": StarGANv2Config(
            size=64, width=12, limit=48, style=16, hidden=64, domains=1, high_pass=0, learning_rate=1e-3,
            mapping_rate=1e-4, batch_size=4, ema=0.99,
        ),
    }  # fmt: skip

    def __init__(self, config: StarGANv2Config):
        super().__init__(config)
        c = config
        if not (c.domain == "nearest" or 0 <= c.domain < c.domains):
            raise BenchError(f"starganv2: `domain` is nearest or a number below {c.domains}, its `domains`")
        self.generator = Generator(c.size, c.width, c.limit, c.style, c.high_pass)
        self.mapping = MappingNetwork(c.latent, c.hidden, c.style, c.domains)
        self.style_encoder = StyleEncoder(c.size, c.width, c.limit, c.style, c.domains)
        if c.high_pass:
            self.landmarks = LandmarkNetwork()
        self.register_buffer("heads", torch.ones((), dtype=torch.long))  # domains that it was trained on

    def networks(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {"generator": self.generator, "style encoder": self.style_encoder}
        return found | ({"landmark network": self.landmarks} if self.config.high_pass else {})

    def masks(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """Where high frequencies of pictures (N, 3, H, W) are kept, if they are."""
        return self.landmarks.masks(images) if self.config.high_pass else None

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        images, shown = batch.need("source"), batch.need("exemplar")
        self.config.sizes().check(images, CARD.slug)
        if self.config.kept == "exemplar":
            images, shown = shown, images
        return self.generator(images, self.styles(shown), self.masks(images)).clamp(-1, 1)

    def styles(self, images: Tensor) -> Tensor:
        """Styles (N, S) of pictures (N, 3, H, W) in their domains."""
        c = self.config
        asked = range(int(self.heads)) if c.domain == "nearest" else [c.domain]
        count = len(images)
        every = [self.style_encoder(images, torch.full((count,), n, device=images.device)) for n in asked]
        if len(every) == 1:
            return every[0]
        masks = self.masks(images)
        errors = [(self.generator(images, style, masks) - images).abs().mean((1, 2, 3)) for style in every]
        nearest = torch.stack(errors).argmin(0)
        return torch.stack(every)[nearest, torch.arange(count, device=images.device)]

    def stages(self, features: Source = "official") -> list[Stage]:
        if self.config.high_pass:
            self.find_landmarks(features)
        return [TranslationStage(self)]

    def find_landmarks(self, features: Source) -> None:
        """Load the landmark network that training stands on."""
        path = self.config.landmark_weights
        if path is None and features == "embedded":
            raise BenchError(
                "starganv2: no embedded network finds 98 landmarks: name the authors' wing.ckpt in the suite's "
                "`options: {landmark_weights: }`, or set `options: {high_pass: 0}`"
            )
        if path:
            weights.load_second(self.landmarks, "starganv2", "landmark_weights", path, _plain)
        else:
            state: Mapping[str, Any] = weights.load("starganv2-landmarks")
            self.landmarks.load_state_dict(state.get("state_dict", state))

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take 100000_nets_ema.ckpt; where it holds no `fan`, the option `landmark_weights` names wing.ckpt."""
        names = {"generator": self.generator, "mapping_network": self.mapping, "style_encoder": self.style_encoder}
        if self.config.high_pass:
            names["fan"] = self.landmarks
            if "fan" not in state:
                if self.config.landmark_weights is None:
                    raise BenchError(
                        "starganv2: name the authors' wing.ckpt in the suite's `options: {landmark_weights: }`"
                    )
                self.find_landmarks("official")
                del names["fan"]
        for name, network in names.items():
            network.load_state_dict(_plain(state[name]))
        self.heads.fill_(self.config.domains)


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names without those of data parallel networks, and without a constant."""
    named = {name.removeprefix("module."): value for name, value in state.items()}
    return {name: value for name, value in named.items() if name != "hpf.filter"}


DOMAINS = torch.tensor([0, 1])


def _two(inputs: Inputs) -> Tensor:
    return torch.cat([inputs.image(), inputs.image(offset=1)])


def _picture() -> Tensor:
    return torch.empty(1, 3, SIDE, SIDE)


def _run_generator(network: Generator, inputs: Inputs) -> dict[str, Tensor]:
    image, style = inputs.image(), inputs.latent(1, 64)
    masks = [inputs.mask(), inputs.mask(offset=1)]
    return {"image": network(image, style), "image_masked": network(image, style, masks)}


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = _two(inputs)
    return {"logits": network(images, DOMAINS), "both": network.every(images)}


def _run_masks(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    """Heat maps with a Gaussian for each landmark."""
    middle = 128 + 40 * inputs.latent(LANDMARKS, 2)
    axis = torch.arange(SIDE).double()
    rows, columns = (axis - middle[:, i, None] for i in range(2))
    heat = torch.exp(-(rows[:, :, None].square() + columns[:, None].square()) / 72)
    return dict(zip(("mask1", "mask2"), masks_of(heat[None]), strict=True))


StarGANv2.golden = {
    "starganv2.generator": Golden(
        build=lambda: StarGANv2.create().get_submodule("generator"),
        run=_run_generator,
        parts=lambda network: {"total": network, **dict(network.named_children())},
        costs={"256": lambda network: network(_picture(), torch.empty(1, 64))},
    ),
    "starganv2.mapping": Golden(
        build=lambda: StarGANv2.create().get_submodule("mapping"),
        run=lambda network, inputs: {"style": network(inputs.latent(2, 16), DOMAINS)},
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(torch.empty(2, 16), DOMAINS)},
    ),
    "starganv2.style_encoder": Golden(
        build=lambda: StarGANv2.create().get_submodule("style_encoder"),
        run=lambda network, inputs: {"style": network(_two(inputs), DOMAINS)},
        parts=lambda network: {"total": network},
        costs={"256, without the heads": lambda network: network.shared(_picture())},
    ),
    "starganv2.discriminator": Golden(
        build=lambda: Discriminator(256, 64, 512, 2),
        run=_run_discriminator,
        parts=lambda network: {"total": network},
        costs={"256": lambda network: network.every(_picture())},
    ),
    "starganv2.fan": Golden(
        build=LandmarkNetwork,
        run=lambda network, inputs: {"heatmaps": network((inputs.image() + 1) / 2)[..., ::4, ::4]},
        parts=lambda network: {"total": network},
        costs={"all": lambda network: network(_picture())},
    ),
    "starganv2.masks": Golden(build=nn.Identity, run=_run_masks, keys={}),
}
