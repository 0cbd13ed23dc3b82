"""GFP-GAN: restores degraded faces with a trained StyleGAN2, half of whose channels a U-Net modulates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.gfpgan.networks import ComponentDiscriminator, Form, Restorer, cleaned, from_released
from baselines.gfpgan.training import GFPGANStage
from baselines.stylegan2 import StyleGAN2
from bench.errors import BenchError
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.arcface18 import ArcFace18
from bench.nn.stylegan2 import Discriminator, Width, fixed

CARD = Card(
    slug="gfpgan",
    name="GFP-GAN",
    title="Towards Real-World Blind Face Restoration with Generative Facial Prior",
    authors="Wang, Li, Zhang, Shan",
    year=2021,
    venue="CVPR; arXiv 2101.04061",
    url="https://arxiv.org/abs/2101.04061",
    task="restoration",
    resolution=512,
    params={"generator": 76_207_244, "discriminator": 24_030_753, "component discriminator": 1_110_785},
    macs={"generator": 45.617e9, "discriminator": 19.677e9, "component discriminator": 0.730e9},
    published={
        "CelebA-Test": "FID-dagger 17.29, FID 42.39, NIQE 4.58, PSNR 24.46, SSIM 0.6684 (VSPBFR's thesis, table 3.1)",
        "LFW-Test": "FID 49.96, NIQE 4.56 (the same, table 3.2)",
        "CelebChild-Test": "FID 111.78, NIQE 4.60",
        "WebPhoto-Test": "FID 87.35, NIQE 5.80",
    },
    training="L1 0.1, pyramid L1 1 in the first 50,000 iterations, VGG-19 perceptual 1 and style 50, logistic loss "
    "0.1, R1 gamma 10 every 16 steps, components: logistic 1, style 200, identity 10; StyleGAN2 fixed; Adam 0.002 (0, "
    "0.99), halved at 600,000 and 700,000 of 800,000 iterations, batch 12; EMA 0.99778",
    features="VGG-19 (ImageNet), ArcFace-18",
    convention="no masks; degraded and restored images in [-1, 1]; linear output, cut to that range",
    licence="Apache-2.0; the StyleGAN2 parts: NVIDIA Source Code License-NC",
    weights="GitHub releases of TencentARC/GFPGAN (512 px): GFPGANv1.pth for `paper`, GFPGANCleanv1-NoCE-C2.pth (1.2), "
    "GFPGANv1.3.pth and GFPGANv1.4.pth for `clean`; {params_ema, params}",
    trained_on={"ffhq": "all"},
    requires=("stylegan2",),
    needs=("degraded",),
    learns=("landmarks",),
    choices={
        "form": "original: version 1, the paper's. clean: versions 1.2 to 1.4 as released. bilinear: as those were "
        "trained, before their weights were turned into the clean form's",
        "noise": "drawn: as released, new in each call. stored: the checkpoint's maps",
        "jitter": "0.3: version 1, whose training also changes colours; it colours grey pictures. 0: from 1.2 on",
        "components": "squares around the mean of an eye's or the mouth's landmarks, half as large as their longer "
        "side, at least 1/32 of the image; the released code reads such squares from a file",
    },
    notes="Costs are those at 512 px (components: 80 px). Clean (multiplier 2): 86,444,252 parameters, 197.770 G MACs. "
    "All count StyleGAN2's mapping network, which is in the checkpoints and never used. Papers mix the versions and "
    "mostly do not name theirs. A prior's weights start `clean` by the rule that is exact for the bilinear form.",
)


class GFPGANConfig(Config):
    """Sizes and losses of GFP-GAN."""

    form: Form = "original"
    size: int = 512  # of the images, a power of two
    width: int = 16384  # channels of StyleGAN2 at resolution r: width / r, at most `limit`; half of them in the U-Net
    limit: int = 512
    code: int = 512  # entries of a code
    depth: int = 8  # layers of the mapping network, which is stored and not used
    noise: Literal["drawn", "stored"] = "drawn"  # maps that StyleGAN2 adds
    judge_width: int = 16384  # the discriminator's `width`
    component_width: int = 64  # channels of the components' discriminators
    eye: int = 80  # pixels of an eye as its discriminator sees it
    mouth: int = 120
    enlarge: float = 1.4  # factor of the eyes' boxes
    learning_rate: float = 0.002
    batch_size: int = 12
    l1: float = 0.1  # weights of the losses
    perceptual: float = 1.0
    style: float = 50.0
    adversarial: float = 0.1
    component: float = 1.0
    component_style: float = 200.0
    identity: float = 10.0
    pyramid: float = 1 / 16  # share of the training in which the U-Net's pictures are compared, with the weight 1
    gamma: float = 10.0  # weight of R1
    r1_every: int = 16  # iterations
    ema: float = 0.5 ** (32 / 10_000)  # moving average of what is trained
    degradation: str = "gfpgan"  # recipe
    jitter: float = 0.3  # probability of a shift of the degraded image's colours, and of another change of them
    shift: float = 20.0  # of 255, the largest one
    grey: float = 0.01  # probability of a pair in grey

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size)


class GFPGAN(Method):
    """GFP-GAN as published; `clean` has the architecture of the later versions."""

    card = CARD
    Config = GFPGANConfig
    config: GFPGANConfig
    complete_weights = True
    presets = {
        "paper": GFPGANConfig(),
        "clean": GFPGANConfig(form="clean", width=32768, jitter=0),
        "bilinear": GFPGANConfig(form="bilinear", width=32768, jitter=0),
        "tiny": GFPGANConfig(
            size=64, width=1024, limit=64, code=64, depth=4, judge_width=1024, component_width=16, eye=16, mouth=24,
            learning_rate=0.004, batch_size=4, l1=10, component=0.1, identity=30, pyramid=0.25, ema=0.995,
            degradation="mild", jitter=0, grey=0,
        ),
    }  # fmt: skip
    prior_presets = {
        "paper": {"stylegan2": "512"},
        "clean": {"stylegan2": "512-wide"},
        "bilinear": {"stylegan2": "512-wide"},
    }

    def __init__(self, config: GFPGANConfig):
        super().__init__(config)
        c = config
        self.generator = Restorer(c.size, Width(c.width, c.limit), c.code, c.depth, c.form)

    def attach(self, priors: Mapping[str, Method]) -> None:
        """Copy the weights of a trained StyleGAN2; its noise maps are not stored, so ours are new."""
        prior = priors["stylegan2"]
        assert isinstance(prior, StyleGAN2)
        c, decoder = self.config, self.generator.stylegan_decoder
        state = {f"stylegan_decoder.{key}": value for key, value in prior.generator.state_dict().items()}
        state = {
            key.removeprefix("stylegan_decoder."): value
            for key, value in (cleaned(state) if c.form == "clean" else state).items()
        }
        noises = {f"noises.{key}": value for key, value in decoder.noises.state_dict().items()}
        try:
            decoder.load_state_dict(state | noises)
        except RuntimeError as error:
            theirs = prior.config
            raise BenchError(
                f"gfpgan of {c.size} px takes a stylegan2 with its options size {c.size}, width {c.width}, limit "
                f"{c.limit}, code {c.code} and depth {c.depth}; this prior has {theirs.size}, {theirs.width}, "
                f"{theirs.limit}, {theirs.code} and {theirs.depth}: choose such a preset under `priors`"
            ) from error

    def noise_maps(self, noise: Noise) -> list[Tensor]:
        """What StyleGAN2 adds."""
        decoder = self.generator.stylegan_decoder
        return decoder.stored() if self.config.noise == "stored" else noise.maps(decoder.sides)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.generator(batch.need("degraded"), self.noise_maps(noise)).clamp(-1, 1)

    def stages(self, features: Source = "official") -> list[Stage]:
        return [GFPGANStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take a released file, {params_ema}, or its state dict."""
        self.generator.load_state_dict(from_released(state.get("params_ema", state)))


def _run_generator(method: GFPGAN, inputs: Inputs) -> dict[str, Tensor]:
    network, images = method.generator, inputs.image(512)
    codes, maps = network.encode(images)
    pictures = network.pictures(maps)
    return {
        "image": network.decode(codes, maps, network.stylegan_decoder.stored())[..., ::2, ::2],
        "rgb8": pictures[0],
        "rgb64": pictures[3],
        "rgb512": pictures[6][..., ::4, ::4],
    }


def _generator(preset: str) -> Golden:
    def whole(method: GFPGAN) -> list[Tensor]:
        codes, maps = method.generator.encode(torch.empty(1, 3, 512, 512))
        return [method.generator.decode(codes, maps, None), *method.generator.pictures(maps)]

    return Golden(
        build=lambda: GFPGAN.create(preset),
        load=GFPGAN.load_official,
        run=_run_generator,
        parts=lambda method: {
            "total": method.generator,
            "stylegan_decoder": method.generator.stylegan_decoder,
            "unet and heads": nn.ModuleList(
                part for name, part in method.generator.named_children() if name != "stylegan_decoder"
            ),
        },
        costs={"all": whole},
    )


def _network(build: Callable[[], nn.Module], run: Callable[[Any, Inputs], Mapping[str, Tensor]], **more: Any) -> Golden:
    return Golden(build=build, run=run, parts=lambda network: {"total": network}, **more)


def _run_component(network: ComponentDiscriminator, inputs: Inputs) -> dict[str, Tensor]:
    logits, (fine, coarse) = network(inputs.image(80))
    return {"logits": logits, "feat0": fine[:, ::8, ::5, ::5], "feat1": coarse[:, ::8, ::4, ::4]}


def _run_discriminator(network: Discriminator, inputs: Inputs) -> dict[str, Tensor]:
    images = torch.cat([inputs.image(512, offset=i) for i in range(4)])
    return {"logits": network(images), "features": network.convs(images)[:, ::8]}


GFPGAN.golden = {
    "gfpgan.original": _generator("paper"),
    "gfpgan.clean": _generator("clean"),
    "gfpgan.component_discriminator": _network(
        ComponentDiscriminator,
        _run_component,
        costs={"all": lambda network: network(torch.empty(1, 3, 80, 80))},
    ),
    "gfpgan.discriminator": _network(
        lambda: Discriminator(512, Width(16384)),
        _run_discriminator,
        load=lambda network, state: network.load_state_dict(
            {key.replace("conv_body.", "convs."): value for key, value in state.items()}
        ),
        # ours filters only the pixels that the shortcuts read: 0.9 % under the recorded count
        costs={},
    ),
    "gfpgan.arcface": _network(
        ArcFace18,
        lambda network, inputs: {"embedding": network(inputs.image(128, channels=1))},
        costs={"all": lambda network: network(torch.empty(1, 1, 128, 128))},
    ),
}
