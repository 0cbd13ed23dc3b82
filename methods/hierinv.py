"""HierInv: diverse inpainting with a frozen StyleGAN2; a chain of small networks mixes encoded and random codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from baselines.stylegan2 import StyleGAN2
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage, Update
from bench.nn.irse import UNITS, WIDTHS, Trunk
from bench.nn.losses import nonsaturating
from bench.nn.perceptual import PerceptualDistance, frozen
from bench.nn.psp import GradualStyleEncoder
from bench.nn.stylegan2 import Discriminator, Edit, Generator, NoiseMaps, Width, fixed
from bench.nn.stylegan2_blocks import Mapping as MappingNetwork
from bench.nn.stylegan2_training import Adversary

CARD = Card(
    slug="hierinv",
    name="HierInv",
    title="Hierarchical Encoding for Image Inpainting with StyleGAN Inversion",
    authors="Dundar",
    year=2024,
    venue="Gazi University Journal of Science Part C",
    url="https://dergipark.org.tr/en/pub/gujsc",
    resolution=256,
    params={"encoder": 213_128_448, "mixing": 18_102_272, "skip": 43_591_680, "decoder": 30_034_338},
    macs={"encoder": 59.640e9, "mixing": 0.018e9, "skip": 91.536e9, "decoder": 45.373e9},
    published={"FID, LPIPS": "4.85, 0.144 (FFHQ validation, erased share 0-100 %)"},
    training="Adam 1e-4 (critic: betas 0, 0.99), batch 8, 300,000 iterations; adversarial 0.08, same code 1, "
    "other code 1; trained on images that the generator draws",
    features="LPIPS (VGG-16)",
    convention="the paper's mask is 1 = valid; holes are 0 in [-1, 1]",
    licence="no code was released; the StyleGAN2 weights: Nvidia, non-commercial",
    weights="none",
    requires=("stylegan2",),
    choices={
        "encoder": "the paper asks for 28 rows: 14 heads of pSp with twice the outputs; no mean latent is added",
        "mixing": "the paper gives every network 3 codes and yet passes the last result on: 4 from the second one on",
        "skip": "layers not printed: StyleRes' alignment network; it replaces what the first layer at 64 px gives",
        "space": "w+f+: the paper's, trained as one. two-stage: DivInversion's second pass; its layers are not printed",
        "critic": "the paper goes on with the pretrained discriminator; the prior holds none, so it starts anew",
        "noise": "of the generator's layers: fresh in training; in tests the same maps for all pictures, as stored "
        "ones are, so that completions of one picture differ by their random code alone",
        "photos": "0: trained on drawn images alone, as printed. tiny: all photographs, as its generator is too weak",
        "learning rate": "hyperparameters are DivInversion's, which are not given: usual values",
    },
    notes="Sizes of the skip encoder and the decoder are those with the prior's preset rosinality (512 channels at "
    "64 px); with the preset paper the skip encoder meets 256 channels.",
)


class HierInvConfig(Config):
    """Sizes and losses of HierInv."""

    size: int = 256  # pixels; the prior's
    widths: tuple[int, int, int, int] = WIDTHS  # channels of the encoder's groups of units
    units: tuple[int, int, int, int] = UNITS
    code: int = 512  # values of a code; the prior's
    mixing: Literal["hierarchical", "feed-forward"] = "hierarchical"  # feed-forward: DivInversion's
    space: Literal["w+", "w+f+", "two-stage"] = "w+f+"  # codes alone; with the skip encoder; that in a second pass
    skip_width: int = 512  # channels of the skip encoder
    photos: float = 0.0  # share of the training images from the data set; the others are drawn by the generator
    learning_rate: float = 1e-4
    critic_rate: float = 1e-4
    adversarial: float = 0.08
    same: float = 1.0  # weight of L_rg: the image's own code
    other: float = 1.0  # weight of L_rr: another code
    r1: float = 10.0
    r1_every: int = 16
    masks: str = "hierinv"
    ema: float | None = None  # moving average of all that completes; the paper has none

    @property
    def styles(self) -> int:
        """Codes that the generator takes."""
        return 2 * (self.size.bit_length() - 1) - 2

    @property
    def layer(self) -> int:
        """The generator's first layer at a quarter of its size (64 px of 256): the skip encoder's place."""
        return 2 * (self.size.bit_length() - 1) - 9

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class Encoder(GradualStyleEncoder):
    """pSp's encoder of an erased image and its mask (1 = valid), two rows for each style."""

    def forward(self, erased: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Codes (N, 2 styles, D), and the trunk's map at a quarter of the size."""
        maps = self.features(torch.cat([erased, valid], dim=1))
        rows = torch.stack(self.rows(maps), dim=1)
        return rows.unflatten(2, (2, -1)).flatten(1, 2), maps[1]


class Mixing(nn.Module):
    """One small network for each style (section 3.2); in the hierarchy each also reads the result before it."""

    def __init__(self, styles: int, dim: int, hierarchical: bool):
        super().__init__()
        self.hierarchical = hierarchical
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.Linear((4 if hierarchical and i else 3) * dim, dim), nn.ReLU(), nn.Linear(dim, dim))
            for i in range(styles)
        )

    def forward(self, random: Tensor, encoded: Tensor) -> Tensor:
        """Codes (N, styles, D) from random ones (N, styles, D) and the encoder's (N, 2 styles, D)."""
        mixed: list[Tensor] = []
        for i, network in enumerate(self.mlp):
            given = [random[:, i], encoded[:, 2 * i], encoded[:, 2 * i + 1]]
            mixed.append(network(torch.cat(given + mixed[-1:] if self.hierarchical else given, dim=1)))
        return torch.stack(mixed, dim=1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, the second one strided, and a shortcut; nothing after the sum."""

    def __init__(self, width: int, stride: int = 1):
        super().__init__()
        self.shortcut_layer = nn.Sequential(nn.Conv2d(width, width, 1, stride, bias=False)) if stride > 1 else None
        self.res_layer = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, stride, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.res_layer(x) + (self.shortcut_layer(x) if self.shortcut_layer else x)


class SkipEncoder(nn.Module):
    """A U-Net at 64 px (section 3.3): the encoder's map and the generator's, to what replaces the generator's."""

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()

        def blocks(stride: int) -> nn.Sequential:
            return nn.Sequential(ResidualBlock(width, stride), ResidualBlock(width))

        self.first_layer = nn.Conv2d(inputs, width, 1)
        self.conv1 = nn.Sequential(ResidualBlock(width))
        self.conv2, self.conv3, self.dconv1, self.dconv2 = blocks(2), blocks(2), blocks(1), blocks(1)
        self.out_layer = nn.Conv2d(width, outputs, 1)

    def forward(self, encoded: Tensor, generated: Tensor) -> Tensor:
        fine = self.conv1(self.first_layer(torch.cat([encoded, generated], dim=1)))
        middle = self.conv2(fine)
        middle = self.dconv1(_twice(self.conv3(middle)) + middle)
        return self.out_layer(self.dconv2(_twice(middle) + fine))


class HierInv(Method):
    """HierInv, and by its options the rows of its Table 2."""

    card = CARD
    Config = HierInvConfig
    config: HierInvConfig
    decoder: Generator
    presets = {
        "paper": HierInvConfig(),
        "tiny": HierInvConfig(
            size=64, widths=(16, 32, 64, 128), units=(1, 1, 2, 1), code=64, skip_width=64, photos=1.0,
            learning_rate=1e-3, critic_rate=1e-3, masks="irregular", ema=0.99,
        ),
    }  # fmt: skip
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "DivInversion - First Stage": {"mixing": "feed-forward", "space": "w+"},
        "Hierarchical - W+ encoding": {"space": "w+"},
        "DivInversion - Two Stage": {"mixing": "feed-forward", "space": "two-stage"},
        "Hierarchical - Two Stage": {"space": "two-stage"},
        "Hierarchical - W+ and F+ encoding": {},
    }

    def __init__(self, config: HierInvConfig):
        super().__init__(config)
        c = config
        self.encoder = Encoder(c.styles, 4, c.size, c.widths, c.units, 2 * c.code)
        self.mixing = Mixing(c.styles, c.code, c.mixing == "hierarchical")
        if c.space == "two-stage":
            self.encoder2 = Trunk(7, c.widths[:2], c.units[:2])

    def attach(self, priors: Mapping[str, Method]) -> None:
        c, prior = self.config, cast(StyleGAN2, priors["stylegan2"])
        g = prior.config
        if (g.size, g.code) != (c.size, c.code):
            raise BenchError(
                f"{self.card.slug} is set to {c.size} px and codes of {c.code}, its prior stylegan2 makes {g.size} px "
                f"from codes of {g.code}: change the options size and code of one of them"
            )
        self.generator_config, self.decoder = g, prior.generator
        frozen(self.decoder)
        if c.space != "w+":
            width = Width(g.width, g.limit)(c.size // 4)
            self.skip = SkipEncoder(c.widths[1] + width, c.skip_width, width)

    def codes(self, encoded: Tensor, z: Tensor) -> Tensor:
        """W_out (N, styles, D) of the encoder's rows and of z (N, D)."""
        random = self.decoder.style(z)[:, None].expand(-1, self.config.styles, -1)
        return self.mixing(random, encoded)

    def draw(self, codes: Tensor, detail: Tensor, given: Tensor, maps: NoiseMaps = None) -> Tensor:
        """I_o (N, 3, H, W): the generator's image of W_out, with the details that the space keeps.

        `detail`: the encoder's map; `given`: the erased image and its mask; `maps`: noise of the generator's layers.
        """
        if self.config.space == "w+":
            return self.decoder(codes, maps)
        if self.config.space == "two-stage":
            detail = self.encoder2.features(torch.cat([self.decoder(codes, maps), given], dim=1))[-1]
        return self.decoder(codes, maps, self.replaced(detail))

    def fixed_maps(self, like: Tensor) -> list[Tensor]:
        """The noise of tests, (1, 1, side, side) each: one draw for all pictures and for both passes."""
        return Noise([0], like.device).maps(self.decoder.sides)

    def replaced(self, detail: Tensor) -> Edit:
        """The edit of the generator: its map at a quarter of the size gives way to the skip encoder's."""
        return lambda layer, x: self.skip(detail, x) if layer == self.config.layer else x

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        valid = 1 - batch.mask
        encoded, detail = self.encoder(batch.masked, valid)
        codes = self.codes(encoded, noise.normal(self.config.code))
        return self.draw(codes, detail, torch.cat([batch.masked, valid], dim=1), self.fixed_maps(codes))

    def stages(self, features: Source = "official") -> list[Stage]:
        if self.config.space != "two-stage":
            return [HierInvStage(self, features)]
        return [FirstStage(self, features), SecondStage(self, features)]


class HierInvStage(Stage):
    """Joint training of encoder, mixing and skip encoder on images whose code is known (section 3.4)."""

    method: HierInv
    iterations, batch_size = 300_000, 8
    trained: tuple[str, ...] = ("encoder", "mixing", "skip")

    def __init__(self, method: HierInv, features: Source):
        super().__init__(method)
        c, g = method.config, method.generator_config
        self.config, self.masks = c, c.masks
        self.ema = {"generator": c.ema} if c.ema else {}
        self.perceptual = PerceptualDistance(features)
        critic = Discriminator(c.size, Width(g.width, g.limit), group=g.group, clamp=g.clamp)
        self.adversary = Adversary(critic, c.r1, c.r1_every)

    def optimisers(self) -> dict[str, Optimizer]:
        c, networks = self.config, self.method.networks()
        parameters = [p for name in self.trained if name in networks for p in networks[name].parameters()]
        return {
            "generator": Adam(parameters, c.learning_rate),
            "discriminator": Adam(self.adversary.parameters(), c.critic_rate, (0.0, 0.99)),
        }

    def step(self, batch: Batch, update: Update, noise: Noise) -> dict[str, Tensor]:
        c, method, valid = self.config, self.method, 1 - batch.mask
        own, other = noise.normal(c.code), noise.normal(c.code)
        original = self.images(batch, own, noise)  # I_g
        erased = valid * original
        encoded, detail = self.encode(erased, valid)
        given = torch.cat([erased, valid], dim=1)
        same, free = (  # I_og, I_or
            self.draw(method.codes(encoded, z), detail, given, self.maps(noise)) for z in (own, other)
        )
        both = [valid * original + batch.mask * output for output in (same, free)]
        fakes = torch.stack(both, dim=1).flatten(0, 1)
        losses = self.adversary.improve(original, fakes, update)
        losses["generator"] = 2 * nonsaturating(self.adversary(fakes))  # the paper adds both passes
        losses["same"] = self.distance(same, original)  # L_rg
        losses["other"] = self.distance(valid * free, erased)  # L_rr
        update("generator", c.adversarial * losses["generator"] + c.same * losses["same"] + c.other * losses["other"])
        return losses

    def images(self, batch: Batch, z: Tensor, noise: Noise) -> Tensor:
        """The training images: drawn from z, photographs among them where the options say so."""
        if self.config.photos == 1:
            return batch.image
        with torch.no_grad():
            drawn = self.method.decoder(self.method.decoder.style(z), self.maps(noise))
        passed = torch.arange(len(batch) + 1, device=drawn.device).mul(self.config.photos).floor()
        return torch.where(passed.diff().view(-1, 1, 1, 1) > 0, batch.image, drawn)

    def encode(self, erased: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's rows and its map."""
        return self.method.encoder(erased, valid)

    def maps(self, noise: Noise) -> list[Tensor]:
        """Fresh noise of the generator's layers."""
        return noise.maps(self.method.decoder.sides)

    def draw(self, codes: Tensor, detail: Tensor, given: Tensor, maps: list[Tensor]) -> Tensor:
        """I_o of this stage."""
        return self.method.draw(codes, detail, given, maps)

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean squared error of pixels and of features."""
        return F.mse_loss(output, target) + self.perceptual(output, target).mean()


class FirstStage(HierInvStage):
    """DivInversion's first stage: codes alone."""

    name, share = "w+", 0.6
    trained = ("encoder", "mixing")

    def draw(self, codes: Tensor, detail: Tensor, given: Tensor, maps: list[Tensor]) -> Tensor:
        return self.method.decoder(codes, maps)


class SecondStage(HierInvStage):
    """DivInversion's second stage: the second encoder and the skip encoder; the first stage stays as it is."""

    name, share, iterations = "f+", 0.4, 200_000
    trained = ("encoder2", "skip")

    def encode(self, erased: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        self.method.encoder.eval()  # the statistics of its normalisation stay too
        with torch.no_grad():
            return super().encode(erased, valid)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def _whole() -> HierInv:
    """The method on the generator that the golden file was made with."""
    method = cast(HierInv, HierInv.create())
    method.attach({"stylegan2": StyleGAN2.create("rosinality")})
    return method


def _run(method: HierInv, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    erased, valid = image * (1 - mask), 1 - mask
    codes, detail = method.encoder(erased, valid)
    mixed = method.mixing(inputs.latent(1, 14, 512), codes)
    out = method.draw(mixed, detail, torch.cat([erased, valid], dim=1))
    return {"codes": codes, "mixed": mixed, "out": out, "final": mask * out + (1 - mask) * image}


HierInv.golden = {
    "hierinv": Golden(
        build=_whole,
        run=_run,
        parts=HierInv.networks,
        costs={
            "encoder": lambda m: m.encoder(torch.empty(1, 3, 256, 256), torch.empty(1, 1, 256, 256)),
            "mixing": lambda m: m.mixing(torch.empty(1, 14, 512), torch.empty(1, 28, 512)),
            "skip": lambda m: m.skip(torch.empty(1, 128, 64, 64), torch.empty(1, 512, 64, 64)),
            "decoder": lambda m: m.decoder(m.decoder.style(torch.empty(1, 512))),
        },
    ),
    "hierinv.mapping": Golden(
        build=MappingNetwork,
        load=lambda network, state: network.load_state_dict({k.removeprefix("style."): v for k, v in state.items()}),
        run=lambda network, inputs: {"out": network(inputs.latent(4, 512))},
        parts=lambda network: {"mapping": network},
        costs={"mapping": lambda network: network(torch.empty(1, 512))},
    ),
}
