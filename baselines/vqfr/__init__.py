"""VQFR: restores faces with the textures of a dictionary, which a second decoder warps to the degraded face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.vqfr.discriminators import SWAGAN, Patches, haar
from baselines.vqfr.networks import Layout, Network, VersionOne
from baselines.vqfr.second import VersionTwo
from baselines.vqfr.training import CodebookStage, RestorationStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.stylegan2 import Width, fixed
from bench.nn.vqgan import Occurring

CARD = Card(
    slug="vqfr",
    name="VQFR",
    title="VQFR: Blind Face Restoration with Vector-Quantized Dictionary and Parallel Decoder",
    authors="Gu et al.",
    year=2022,
    venue="ECCV",
    url="https://github.com/TencentARC/VQFR",
    task="restoration",
    resolution=512,
    params={"network": 76_563_583, "global discriminator": 27_772_799, "patch discriminator": 2_782_002},
    macs={"network": 1128.854e9, "global discriminator": 36.807e9, "patch discriminator": 12.851e9},
    published={
        "CelebA-Test": "FID-dagger 13.41, U-IDS 0.02 %, P-IDS 0 %, FID 46.77, NIQE 4.19, PSNR 23.76, SSIM 0.6591 "
        "(thesis, table 3.1)",
        "LFW-Test": "FID 49.79, NIQE 3.82 (thesis, table 3.2)",
        "CelebChild-Test": "FID 114.79, NIQE 4.42",
        "WebPhoto-Test": "FID 84.78, NIQE 4.67",
    },
    training="codebook: L1 1, LPIPS 1, codes 1 (a quarter of it where it moves the codes), logistic loss 1 from "
    "50,000, R1 10 every 16, Adam 1e-4 (0.9, 0.96) halved at 500,000 and 650,000, batch 16, 800,000 iterations; no "
    "codes until 10,000, then those of k-means each 2,000 until 30,000. Restoration: codes 1, texture L1 1, on both "
    "pictures LPIPS 1, Gram matrices 2000, logistic loss 0.5, hinge loss of patches 0.5 times the ratio of gradients "
    "(main picture: from 5,000), a discriminator of each loss for each picture, R1 10 every 16, Adam 1e-5 (0.5, 0.9), "
    "batch 16, 200,000 iterations. v2: codes from the start, without k-means; on the main picture alone L1 1, LPIPS 1, "
    "logistic loss 1 and patches 0.5 from 5,000, on the codes cross entropy 1, too; Adam 1e-4 (0.9, 0.96) for what "
    "finds the codes, 2e-5 (0.5, 0.9) else",
    features="LPIPS (VGG-16)",
    convention="no masks; degraded and restored images in [-1, 1]; linear output",
    licence="Apache-2.0",
    weights="Google Drive: VQFR_v1-33a1fac5.pth, and a v2 model (`preset: v2`); {params}. Training may start from "
    "neither: the codebook is trained first",
    trained_on={"ffhq": "all"},
    needs=("degraded",),
    choices={
        "version": "v1, the paper's. v2 (October 2022) predicts the codes and adds the main branch to the textures",
        "fidelity": "1, most faithful, as in training; the authors' program takes 0. Version 2 alone has it",
        "degradation": "gfpgan: v1. vqfr-v2, with stronger blur, smaller pictures, worse JPEG: v2",
        "code target": "the codes of the clean picture, by the encoder as the first stage leaves it",
        "discriminators": "that of the codebook learns from the first iteration on; only the autoencoder's loss waits. "
        "The restoration's wait as published, with the loss of their picture",
        "style": "on LPIPS's features of unit length, Gram matrices divided by C H W",
        "v2": "as its training options and program say: textures and codes are frozen, fidelity is 1, patches are "
        "balanced with LPIPS alone. The logistic loss counts 1: the 0.5 of the options is not read",
        "k-means": "ten iterations from vectors of the reservoir, to which all iterations since the last estimate gave "
        "as many",
    },
    notes="Costs are those at 512 px, in each of which a deformable convolution counts as a usual one. Preset v2: "
    "83,486,539 parameters, 532.192 G MACs, discriminators of 29,053,070 and 6,986,034. The discriminators' "
    "singular vectors, which are saved as parameters, are counted.",
)


class VQFRConfig(Config):
    """Sizes and losses of VQFR."""

    version: Literal["v1", "v2"] = "v1"
    size: int = 512  # of the images that it is trained on, a power of two; any multiple of the codes' is restored
    widths: tuple[int, ...] = (128, 128, 256, 256, 256, 512)  # channels by level, each of half the size
    codes: int = 1024  # in the dictionary
    dim: int = 256  # entries of a code
    guide: int = 32  # channels that tell the warping of the degraded picture
    groups: int = 32  # of the normalisations
    fidelity: float = 1.0  # version 2: share of the main branch, 0 to 1
    judge_width: int = 32768  # channels of a discriminator at resolution r: width / r, at most `judge_limit`
    judge_limit: int = 512
    patch_width: int = 64  # channels of the patch discriminator's first layer
    patch_halvings: int = 3  # its layers of stride 2
    batch_size: int = 16
    iterations: tuple[int, int] = (800_000, 200_000)  # as published; the stages' shares
    codebook_rate: float = 1e-4  # learning rate of the first stage
    halved: tuple[float, ...] = (5 / 8, 13 / 16)  # shares of that stage after which it is half as high
    restoration_rate: float = 1e-5  # learning rate of the second stage
    finding_rate: float = 1e-4  # version 2: there, of the encoder and of what predicts the codes
    pixels: float = 1.0  # weight of L1: autoencoder, texture picture
    main_pixels: float = 0.0  # of the main picture; version 1 as published: none
    lpips: float = 1.0
    code: float = 1.0  # of the codes, in both stages
    code_share: float = 0.25  # first stage: of it, what moves the codes to the encoder
    codebook_gan: float = 1.0  # logistic loss of the first stage
    style: float = 2000.0  # Gram matrices
    gan: float = 0.5  # logistic loss of the second stage
    patches: float = 0.5  # hinge loss of patches
    entropy: float = 1.0  # version 2: cross entropy of the predicted codes
    gamma: float = 10.0  # of R1
    r1_every: int = 16  # iterations
    codebook_gan_from: int = 50_000  # iteration
    main_gan_from: int = 5_000  # iteration
    uncoded: int = 10_000  # first iterations without codes
    estimate_every: int = 2_000  # iterations between two estimates of the codes by k-means
    estimate_until: int = 30_000  # iteration
    reservoir: int = 16_384  # vectors that k-means sees
    degradation: str = "gfpgan"  # recipe of the second stage
    ema: float = 0.0  # moving average of the second stage's networks; as published: none

    def sizes(self, features: Source | None = None) -> Sizes:
        return fixed(self.size) if features else Sizes(2 ** (len(self.widths) - 1))

    @property
    def layout(self) -> Layout:
        return Layout(self.widths, self.codes, self.dim, self.guide, self.groups)


class VQFR(Method):
    """VQFR as released, in both versions."""

    card = CARD
    Config = VQFRConfig
    config: VQFRConfig
    network: Network
    presets = {
        "paper": VQFRConfig(),
        "v2": VQFRConfig(
            version="v2", widths=(64, 128, 128, 256, 256, 512), patch_halvings=4, restoration_rate=2e-5, main_pixels=1,
            style=0, gan=1, uncoded=0, estimate_until=0, degradation="vqfr-v2",
        ),
        "tiny": VQFRConfig(
            size=64, widths=(8, 24, 48), codes=256, dim=32, guide=8, groups=8, judge_width=1024, judge_limit=64,
            patch_width=16, batch_size=4, iterations=(2, 3), codebook_rate=1e-3, halved=(), restoration_rate=1e-3,
            pixels=5, main_pixels=5, gan=0.1, patches=0.1, codebook_gan=0.1, gamma=1, codebook_gan_from=0,
            main_gan_from=0, uncoded=60, estimate_every=20, estimate_until=160, reservoir=1024, degradation="mild",
        ),
    }  # fmt: skip

    def __init__(self, config: VQFRConfig):
        super().__init__(config)
        layout = config.layout
        self.network = VersionOne(layout) if config.version == "v1" else VersionTwo(layout, config.fidelity)
        self.occurring = Occurring(config.codes)

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        """The picture of the textures alone, then the restored one."""
        degraded = batch.need("degraded")
        self.config.sizes().check(degraded, "vqfr")
        restored = self.network(degraded)
        predicted = restored.logits
        self.occurring.note(
            batch, self.network.codebook.nearest(restored.z) if predicted is None else predicted.argmax(3)
        )
        return [picture.clamp(-1, 1) for picture in (restored.texture, restored.image)]

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def remarks(self) -> list[str]:
        return self.occurring.told()

    def stages(self, features: Source = "official") -> list[Stage]:
        return [CodebookStage(self, features), RestorationStage(self, features)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        """Take VQFR_v1-33a1fac5.pth or the model of version 2."""
        self.network.load_state_dict(state["params"])


def _run_first(network: VersionOne, inputs: Inputs) -> dict[str, Tensor]:
    restored = network(inputs.image())
    return {
        "main_dec": restored.image,
        "dec": restored.texture,
        "z_conv": restored.z[:, ::4],
        "z_quant": restored.quantised[:, ::4],
    }


def _run_second(network: VersionTwo, inputs: Inputs) -> dict[str, Tensor]:
    network.fidelity = 0.3
    mixed = network(inputs.image()).image
    network.fidelity = 1.0
    restored = network(inputs.image())
    assert restored.logits is not None
    return {
        "main_dec": restored.image,
        "main_dec_03": mixed,
        "texture_dec": restored.texture,
        "enc_feat": restored.z[:, ::4],
        "quant_logit": restored.logits.flatten(1, 2)[..., ::2],
    }


def _run_swagan(network: SWAGAN, inputs: Inputs) -> dict[str, Tensor]:
    images = torch.cat([inputs.image(512), inputs.image(512, offset=1)])
    return {"logits": network(images), "dwt": haar(images)[..., ::4, ::4]}


def _parts(network: Network) -> dict[str, nn.Module]:
    return {"total": network, **dict(network.named_children())}


def _costs(*sides: int) -> dict[str, Any]:
    return {f"{side}": lambda network, side=side: network(torch.empty(1, 3, side, side)) for side in sides}


VQFR.golden = {
    "vqfr.v1": Golden(
        build=lambda: VQFR.create().get_submodule("network"), run=_run_first, parts=_parts, costs=_costs(256, 512)
    ),
    "vqfr.v2": Golden(
        build=lambda: VQFR.create("v2").get_submodule("network"), run=_run_second, parts=_parts, costs=_costs(256, 512)
    ),
    "vqfr.swagan": Golden(
        build=lambda: SWAGAN(512, Width()),
        run=_run_swagan,
        parts=lambda network: {"total incl. spectral-norm vectors": network},
        costs={"all": lambda network: network(torch.empty(2, 3, 512, 512))},  # of both pictures
    ),
    "vqfr.patch": Golden(
        build=lambda: Patches(64),
        run=lambda network, inputs: {"logits": network(inputs.image())},
        parts=lambda network: {"total incl. spectral-norm vectors": network},
        costs={"all": lambda network: network(torch.empty(1, 3, 256, 256))},
    ),
}
