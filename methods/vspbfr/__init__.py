"""VSPBFR: restores degraded faces, prompted by style codes that a diffusion cleans and by a generator's maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.e4e import E4E
from bench import weights
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import Discriminator, Generator, Width, bank_channels, feature_bank, fixed, without_constants
from methods.exegan import judge_from_released
from methods.vspbfr.diffuser import CodeDiffuser
from methods.vspbfr.restoration import Restoration
from methods.vspbfr.training import DiffuserStage, EncoderStage, RestorationStage

CARD = Card(
    slug="vspbfr",
    name="VSPBFR",
    title="Visual Style Prompt Learning Using Diffusion Models for Blind Face Restoration",
    authors="Lu et al.",
    year=2025,
    venue="Pattern Recognition",
    url="https://github.com/LonglongaaaGo/VSPBFR",
    task="restoration",
    resolution=512,
    params={
        "restoration": 112_550_773,
        "style encoder": 267_136_704,
        "code diffuser": 10_510_336,
        "feature bank": 30_370_060,
        "discriminator": 28_982_849,
    },
    macs={
        "restoration": 205.142e9,
        "style encoder": 72.481e9,
        "code diffuser": 0.912e9,
        "feature bank": 75.383e9,
        "discriminator": 62.618e9,
    },
    published={
        "CelebA-Test": "FID-dagger 11.76, U-IDS 2.21 %, P-IDS 0.40 %, FID 38.34, NIQE 4.04, PSNR 24.60, SSIM 0.6513 "
        "(thesis, table 3.1)",
        "LFW-Test": "FID 46.48, NIQE 3.85 (thesis, table 3.2)",
        "CelebChild-Test": "FID 109.52, NIQE 4.12",
        "WebPhoto-Test": "FID 74.25, NIQE 4.28",
    },
    training="style encoder as e4e with identity 0.5, 200,000 iterations at batch 8; code diffuser: L1 of codes, LPIPS "
    "0.1, identity 0.1, 200,000 at 16; restoration: logistic loss, R1 gamma 10 every 16 steps, LPIPS (VGG, batch sum) "
    "0.5, identity 0.1, 500,000 at 4, EMA 0.99778; Adam 0.002 (0, 0.99) with lazy correction",
    features="e4e's encoder (FFHQ), ResNet-101 'ArcFace', LPIPS (VGG-16)",
    convention="no masks; degraded and restored images in [-1, 1]; linear output; the style encoder sees 256 px",
    licence="MIT; the StyleGAN2 kernels and weights: NVIDIA Source Code License-NC",
    weights="Hugging Face Wanglong2/VSPBFR (FFHQ, 512 px): `weights` names restoration_net.pt ({g, d, g_ema, ...}), "
    "the options `diffuser_weights` and `encoder_weights` code_diffuser.pt ({att_mapper, ...}) and "
    "style_encoder_decoder.pt (e4e's layout, with the generator of 1024 px); or `weights` names one file "
    "{restoration_net, code_diffuser, style_encoder_decoder} of all three",
    trained_on={"ffhq": "all"},
    requires=("e4e",),
    needs=("degraded",),
    choices={
        "optimiser": "released: Adam 0.002 (0, 0.99), lazy. thesis: Adam 2e-4 (0.5, 0.999), for stages two and three",
        "iterations": "released: 200,000, 200,000, 500,000. thesis: 150,000 for the first",
        "batch_sizes": "released: 8, 16, 4. thesis: 16, 8, 4",
        "size": "512 px in all stages. Of stage two the released command names no size, and its program then takes 256",
        "degradation": "vspbfr, and vspbfr-restoration with rare haze and grey in stage three: released. blind: the "
        "thesis, without haze and grey",
        "progressive": "released: the encoder's offsets join one by one again, as in its trainer's command",
        "start": "released. calm, with an L1 loss of the restored pixels: ours, for the short training of `tiny`",
        "target code": "of the clean picture, by the style encoder of stage one; the sources name no other encoder",
        "code diffusion": "as released: the clean code is predicted, steps add no noise, the betas' roots are linear. "
        "The thesis's equations predict the noise, with noise in each step and linear betas",
        "SMART": "as released: four kernels of a quarter of the channels, one activation after their fusion. The "
        "thesis shares one kernel and activates after each dilation",
    },
    notes="Costs are those at 512 px; the diffuser's is that of its four steps. At 512 px the prior is e4e's preset "
    "`paper` on stylegan2's `config-f` (1024 px), of which maps up to 512 px are used; at 256 px stylegan2's "
    "`rosinality` will do. Flips are drawn in all stages here, in the last alone by the authors.",
)


class VSPBFRConfig(Config):
    """Sizes and losses of VSPBFR."""

    size: int = 512  # of the images, a power of two
    width: int = 32768  # channels at resolution r: width / r, at most `limit`; the generator's too
    limit: int = 512
    code: int = 512  # entries of z, w and the style codes
    whole: int = 1024  # entries of the code of the whole picture
    depth: int = 8  # layers of the mapping network
    blocks: int = 4  # of the code diffuser
    steps: int = 4  # of the diffusion
    diffuser: bool = True  # False: the style encoder's codes are used as they are
    smart: bool = True  # False: StyleGAN2's layers in the place of SMART layers
    style_codes: bool = True  # False: they modulate no layer of the restoration network
    bank: bool = True  # False: the generator's maps are not added
    iterations: tuple[int, int, int] = (200_000, 200_000, 500_000)  # as published; the stages' shares
    batch_sizes: tuple[int, int, int] = (8, 16, 4)
    optimiser: Literal["released", "thesis"] = "released"  # Adam (0, 0.99) with lazy correction; Adam (0.5, 0.999)
    learning_rate: float = 0.002  # of stages two and three; stage one has that of e4e
    progressive: bool = True  # offsets of stage one join one by one, as in e4e; else all from the beginning
    code_identity: float = 0.5  # weight of stage one's identity loss; the other weights are e4e's
    face_lpips: float = 0.1  # weights of stage two, on the generator's image
    face_identity: float = 0.1
    lpips: float = 0.5  # weights of stage three; LPIPS is summed over the batch
    identity: float = 0.1
    l1: float = 0.0  # of the pixels; as published: none
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    mixing: float = 0.5  # probability of two random codes in one image, in training and test
    ema: float = 0.5 ** (32 / 10_000)  # moving average of the restoration network
    start: Literal["released", "calm"] = "released"  # of the weights; calm: for short training, see `calm`
    degradation: str = "vspbfr"  # recipe of stages one and two
    last_degradation: str = "vspbfr-restoration"  # recipe of stage three
    diffuser_weights: Path | None = None  # the authors' code_diffuser.pt, where `weights` names restoration_net.pt
    encoder_weights: Path | None = None  # the authors' style_encoder_decoder.pt, likewise

    def files(self) -> list[Path]:
        return [path for path in (self.diffuser_weights, self.encoder_weights) if path]

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class VSPBFR(Method):
    """VSPBFR as released, with the ablations of the thesis."""

    card = CARD
    Config = VSPBFRConfig
    config: VSPBFRConfig
    styles: E4E
    complete_weights = True
    presets = {
        "paper": VSPBFRConfig(),
        "thesis": VSPBFRConfig(
            iterations=(150_000, 200_000, 500_000), batch_sizes=(16, 8, 4), optimiser="thesis", learning_rate=2e-4,
            degradation="blind", last_degradation="blind",
        ),
        "256": VSPBFRConfig(size=256),
        "tiny": VSPBFRConfig(
            size=64, width=1024, limit=64, code=64, whole=128, depth=4, learning_rate=0.008, progressive=False, l1=50,
            gamma=1, ema=0.99, start="calm", degradation="mild", last_degradation="mild",
        ),
    }  # fmt: skip
    prior_presets = {
        "paper": {"e4e": "paper", "stylegan2": "config-f"},
        "thesis": {"e4e": "paper", "stylegan2": "config-f"},
        "256": {"e4e": "256", "stylegan2": "rosinality"},
    }
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {  # thesis, table 3.3
        "(a)": {"diffuser": False},
        "(b)": {"smart": False},
        "(c)": {"style_codes": False},
        "(d)": {"bank": False},
    }

    def __init__(self, config: VSPBFRConfig):
        super().__init__(config)
        c = config
        if c.diffuser:
            self.diffuser = CodeDiffuser(c.code, c.blocks, c.steps)
        self.restoration = Restoration(
            c.size, Width(c.width, c.limit), c.code, c.code if c.style_codes else 0, c.whole, c.depth, c.smart
        )
        if c.start == "calm":
            self.calm()

    @torch.no_grad()
    def calm(self) -> None:
        """Start the diffuser's blocks from their shift alone, and the restoration from faint pictures.

        From the usual weights each block enlarges small differences: sixteen of them in a row, four in each step, are
        chaotic until they have learned for long.
        """
        for name, weight in self.named_parameters():
            if name.endswith("v_matrix.weight"):
                weight.zero_()
            elif name.endswith("beta_.3.weight"):
                weight.mul_(3)
            elif "to_rgb" in name and name.endswith("conv.weight"):
                weight.mul_(0.1)

    def attach(self, priors: Mapping[str, Method]) -> None:
        e4e = priors["e4e"]
        assert isinstance(e4e, E4E)
        c, given, generator, needed = self.config, e4e.config, e4e.decoder, self.restoration.codes
        channels, width = bank_channels(generator), Width(c.width, c.limit)
        wanted = [width(2**power) for power in range(3, c.size.bit_length())]
        if given.styles < needed or given.dim != c.code or channels[: len(wanted)] != wanted:
            raise BenchError(
                f"vspbfr at {c.size} px takes {needed} or more codes of {c.code} values from e4e, and maps of "
                f"{', '.join(map(str, wanted))} channels from 8 to {c.size} px from its generator; this prior has "
                f"{given.styles} codes of {given.dim}, and maps of {', '.join(map(str, channels))} channels up to "
                f"{generator.size} px: choose such presets of e4e and stylegan2 under `priors`"
            )
        self.styles = e4e

    def networks(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        if hasattr(self, "styles"):
            found |= {"style encoder": self.styles.encoder, "feature bank": self.styles.decoder}
        if self.config.diffuser:
            found["code diffuser"] = self.diffuser
        return found | {"restoration": self.restoration}

    def given(self, batch: Batch) -> Tensor:
        """The degraded pictures of a batch."""
        return batch.need("degraded")

    def seen(self, images: Tensor) -> Tensor:
        """What the style encoder sees of images (N, 3, H, W): bilinear, not antialiased."""
        pixels = self.styles.config.pixels
        return F.interpolate(images, size=(pixels, pixels), mode="bilinear", align_corners=False)

    def initial_codes(self, images: Tensor) -> Tensor:
        """The style encoder's codes (N, styles, D) of images, degraded or clean."""
        return self.styles.codes(self.seen(images))

    def codes(self, degraded: Tensor, noise: Noise) -> Tensor:
        """The visual style prompts: clean codes (N, styles, D), diffused from normal values under the initial ones."""
        initial = self.initial_codes(degraded)
        return self.diffuser(noise.normal(*initial.shape[1:]), initial) if self.config.diffuser else initial

    def bank(self, codes: Tensor, noise: Noise, whole: bool = True) -> tuple[Tensor, dict[int, Tensor]]:
        """The generator's image of the codes, pooled to the working size, and its maps by side.

        Not `whole`: the generator ends at the working size, since only the maps are looked at.
        """
        generator = self.styles.decoder
        size = None if whole else min(generator.size, self.config.size)
        face, maps = feature_bank(generator, codes[:, : generator.codes], noise.maps(generator.sides), size)
        return F.adaptive_avg_pool2d(face, self.config.size), maps

    def restore(self, degraded: Tensor, maps: Mapping[int, Tensor], codes: Tensor, noise: Noise) -> Tensor:
        """The restored images of these prompts: maps of the generator, and codes."""
        network, c = self.restoration, self.config
        rows = network.layer_codes(codes, noise, c.mixing)
        return network(degraded, maps if c.bank else {}, rows, **network.random(noise))

    def steps(self, batch: Batch, noise: Noise, whole: bool = True) -> list[Tensor]:
        """The generator's face of the prompts (see `bank`), then the restored image."""
        if not hasattr(self, "styles"):
            raise BenchError("vspbfr has no style encoder: attach the prior e4e, or load the official weights")
        degraded = self.given(batch)
        codes = self.codes(degraded, noise)
        face, maps = self.bank(codes, noise, whole)
        return [face, self.restore(degraded, maps, codes, noise)]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise, whole=False)[-1]

    def stages(self, features: Source = "official") -> list[Stage]:
        self.styles.check_generator()
        middle = [DiffuserStage(self, features)] if self.config.diffuser else []
        return [EncoderStage(self, features), *middle, RestorationStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take restoration_net.pt and the files that the options name, in any order, or one dict of all of them."""
        given = parts_of([state, *(weights.read(path) for path in self.config.files())])
        needed = [
            "restoration_net",
            *(["code_diffuser"] if self.config.diffuser else []),
            *([] if hasattr(self, "styles") else ["style_encoder_decoder"]),
        ]
        if missing := [f"{name}.pt" for name in needed if name not in given]:
            raise BenchError(
                f"vspbfr: {' and '.join(missing)} of the authors is missing: `weights` names restoration_net.pt, the "
                "options diffuser_weights and encoder_weights name code_diffuser.pt and style_encoder_decoder.pt"
            )
        self.restoration.load_state_dict(without_constants(given["restoration_net"]["g_ema"]))
        if self.config.diffuser:
            self.diffuser.load_state_dict(given["code_diffuser"]["att_mapper"])
        if "style_encoder_decoder" in given:
            e4e = E4E.create()
            e4e.load_official(given["style_encoder_decoder"])
            self.attach({"e4e": e4e})


PARTS = {"restoration_net": "g_ema", "code_diffuser": "att_mapper", "style_encoder_decoder": "latent_avg"}


def parts_of(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The authors' checkpoints by the names of their files: each is told by what it holds, or by its name in a dict."""
    found: dict[str, Any] = {}
    for file in files:
        named = {name: content for name, content in file.items() if name in PARTS}
        found |= named or {name: file for name, key in PARTS.items() if key in file}
    return found


def _run_diffuser(diffuser: CodeDiffuser, inputs: Inputs) -> dict[str, Tensor]:
    x, condition = inputs.latent(2, 18, 512), inputs.latent(2, 18, 512, offset=50)
    return {
        "step0": diffuser.predict(x, condition, 0),
        "step3": diffuser.predict(x, condition, 3),
        "sampled": diffuser(x, condition),
        "trained": diffuser(diffuser.noised(condition, x), condition),
    }


def _run_bank(generator: Generator, inputs: Inputs) -> dict[str, Tensor]:
    image, maps = feature_bank(generator, inputs.latent(1, generator.codes, 512))
    found = {
        "mapped": generator.style(inputs.latent(4, 512, offset=10)),
        "feat0": maps[4],
        "feat1": maps[8][:, ::2],
        "feat4": maps[64][:, ::2],
        "feat6": maps[256][:, ::2, ::2, ::2],
        "image": F.adaptive_avg_pool2d(image, 256),
    }
    return found | ({"feat7": maps[512][:, :, ::4, ::4]} if generator.size == 1024 else {})


def _run_restoration(network: Restoration, inputs: Inputs) -> dict[str, Tensor]:
    image, w = inputs.image(network.size), inputs.latent(1, 18, 512)
    random = network.style(inputs.latent(1, 512, offset=10))[:, None].expand(-1, network.codes, -1)
    sides, width = [2 ** (2 + i) for i in range(network.size.bit_length() - 2)], Width()
    bank = {side: inputs.latent(1, width(side), side, side, offset=100 + i) for i, side in enumerate(sides)}
    codes = network.joined(w, random)
    maps, whole = network.encode(image, codes)
    return {
        "image": network(image, bank, codes)[:, :, :: network.size // 256, :: network.size // 256],
        "global": whole,
        "latent": random,
        "enc4": maps[4],
        "enc32": maps[32][:, ::4, ::4, ::4],
    }


def _network(name: str, build: Callable[[], nn.Module], **options: Any) -> Golden:
    """A network that the file counts under its own name."""
    return Golden(build=build, parts=lambda network: {name: network}, **options)


def _bank(name: str, size: int) -> Golden:
    return _network(
        name,
        lambda: Generator(size),
        load=lambda network, state: network.load_state_dict(without_constants(state)),
        run=_run_bank,
        costs={
            name: lambda network: network(torch.empty(1, network.codes, 512)),
            f"{name} mapping": lambda network: network.style(torch.empty(1, 512)),
        },
    )


def _restoration(name: str, preset: str) -> Golden:
    def encode(network: Restoration) -> tuple[Tensor, Tensor]:
        return torch.empty(1, 3, network.size, network.size), torch.empty(1, network.codes, 1024)

    return _network(
        name,
        lambda: VSPBFR.create(preset).get_submodule("restoration"),
        load=lambda network, state: network.load_state_dict(without_constants(state)),
        run=_run_restoration,
        costs={
            name: lambda network: network(encode(network)[0], {}, encode(network)[1]),
            f"{name} encoder part": lambda network: network.encode(*encode(network)),
        },
    )


def _discriminator(name: str, size: int, count: int) -> Golden:
    return _network(
        name,
        lambda: Discriminator(size),
        load=lambda network, state: network.load_state_dict(judge_from_released(state)),
        run=lambda network, inputs: {"logits": network(inputs.image(size, batch=count))},
        # ours filters only the pixels that the shortcuts read: at 512 px 0.6 % under the recorded count
        costs={name: lambda network: network(torch.empty(1, 3, size, size))} if size == 256 else {},
    )


VSPBFR.golden = {
    "vspbfr.code_diffuser": _network(
        "vspbfr.code_diffuser",
        lambda: VSPBFR.create().get_submodule("diffuser"),
        run=_run_diffuser,
        costs={"vspbfr.code_diffuser": lambda m: m.predict(torch.empty(1, 18, 512), torch.empty(1, 18, 512), 0)},
    ),
    "vspbfr.feature_bank": _bank("vspbfr.feature_bank", 1024),
    "vspbfr.feature_bank256": _bank("vspbfr.feature_bank256", 256),
    "vspbfr.restoration": _restoration("vspbfr.restoration", "paper"),
    "vspbfr.restoration256": _restoration("vspbfr.restoration256", "256"),
    "vspbfr.discriminator": _discriminator("vspbfr.discriminator", 512, 2),
    "vspbfr.discriminator256": _discriminator("vspbfr.discriminator256", 256, 4),
}
