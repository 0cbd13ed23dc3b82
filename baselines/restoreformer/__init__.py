"""RestoreFormer: maps of a degraded face ask a dictionary of clean faces, which answers by cross-attention."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from baselines.restoreformer.networks import RestoreFormerNetwork
from baselines.restoreformer.training import DictionaryStage, RestorationStage
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Config, Method, Noise, Sizes, Source, Stage
from bench.nn.perceptual import PerceptualDistance
from bench.nn.vqgan import Occurring, PatchDiscriminator, begin_with_shortcuts

CARD = Card(
    slug="restoreformer",
    name="RestoreFormer",
    title="RestoreFormer: High-Quality Blind Face Restoration from Undegraded Key-Value Pairs",
    authors="Wang, Zhang, Chen, Wang, Luo",
    year=2022,
    venue="CVPR",
    url="https://github.com/wzhouxiff/RestoreFormer",
    task="restoration",
    resolution=512,
    params={"network": 72_680_003, "discriminator": 2_765_633, "component discriminator": 1_110_785},
    macs={"network": 341.332e9, "discriminator": 12.851e9},
    published={
        "CelebA-Test": "FID-dagger 12.42, U-IDS 0.06 %, P-IDS 0 %, FID 41.45, NIQE 4.18, PSNR 24.42, SSIM 0.6404 "
        "(thesis, table 3.1)",
        "LFW-Test": "FID 48.39, NIQE 3.97 (thesis, table 3.2)",
        "CelebChild-Test": "FID 101.22, NIQE 4.35",
        "WebPhoto-Test": "FID 77.33, NIQE 4.38",
    },
    training="Adam 7.2e-5 (0.5, 0.9), the decoder's attention ten times as fast in stage two, batch 16, FFHQ at 512. "
    "Dictionary: L1 1, LPIPS 1, codebook 1, hinge 0.8 (adaptive, from 30,001). Restoration, codebook frozen: the same "
    "(hinge from 10,001), style 1e9, and from 10,001 components 1.5, their style 2000, identity 3",
    features="LPIPS (VGG-16), ArcFace-18",
    convention="no masks; degraded and restored images in [-1, 1]; linear output",
    licence="Apache-2.0",
    weights="the authors' OneDrive: last.ckpt (Lightning, names behind `vqvae.`), or GFPGAN's release v1.3.4: "
    "RestoreFormer.pth ({params_ema} or {params})",
    trained_on={"ffhq": "all"},
    needs=("degraded",),
    learns=("landmarks",),
    choices={
        "learning_rate": "4.5e-6 of the released options, times the batch of 4 and 4 GPUs, as its launcher multiplies",
        "iterations": "no source at hand says how many: 1,000,000 a stage, of which 30,001 and 10,001 are without "
        "discriminators",
        "frozen": "the codebook, in stage two; the 1 x 1 convolutions around it are trained",
        "style": "Gram matrices are divided by C H W",
        "boxes": "of eyes and mouth as GFP-GAN's here, by 68 landmarks",
    },
    notes="Costs are those at 512 px. The first stage's decoder attends to itself, with the same parameters.",
)


class RestoreFormerConfig(Config):
    """Sizes and losses of RestoreFormer."""

    width: int = 64  # channels at the whole size
    multipliers: tuple[int, ...] = (1, 2, 2, 4, 4, 8)  # of the width, a level each; every level halves the size
    groups: int = 32  # of the normalisations
    codes: int = 1024  # entries of the dictionary
    dim: int = 256  # values of an entry
    heads: int = 8  # of attention
    shortcuts: bool = False  # the network begins with little but its shortcuts
    iterations: int = 1_000_000  # of each stage
    batch_size: int = 16
    learning_rate: float = 7.2e-5
    left: float = 1.0  # of the learning rate, at the end of each stage
    faster: float = 10  # times that of the decoder's attention in stage two, and of the components' discriminators
    ema: float | None = None  # moving average of the network; the authors name none
    lpips: float = 1.0  # weight of LPIPS; of L1 and the codebook: 1
    adversarial: float = 0.8
    estimated: tuple[float, float] = (0, 0)  # shares of stage one between which codes are means of vectors; none before
    starts: tuple[float, float] = (0.030001, 0.010001)  # of the discriminators: shares of the stages
    style: float = 1e9
    component: float = 1.5
    component_style: float = 2000.0
    identity: float = 3.0
    discriminator_width: int = 64
    component_width: int = 64  # channels of the components' discriminators
    eye: int = 80  # pixels of an eye as its discriminator sees it
    mouth: int = 120
    enlarge: float = 1.4  # factor of the eyes' boxes
    degradation: str = "restoreformer"  # recipe

    def sizes(self, features: Source | None = None) -> Sizes:
        return Sizes(2 ** (len(self.multipliers) - 1))


class RestoreFormer(Method):
    """RestoreFormer as published."""

    card = CARD
    Config = RestoreFormerConfig
    config: RestoreFormerConfig
    presets = {
        "paper": RestoreFormerConfig(),
        "tiny": RestoreFormerConfig(
            width=8, multipliers=(1, 3, 6), groups=4, codes=1024, dim=64, heads=4, shortcuts=True, batch_size=4,
            learning_rate=1e-3, left=0.02, faster=1, ema=0.99, lpips=0.1, adversarial=0.1, estimated=(0.3, 0.6),
            starts=(0.8, 0.9), style=1e5, component=0.01, component_style=2, identity=1, discriminator_width=16,
            component_width=16, eye=16, mouth=24, degradation="mild",
        ),
    }  # fmt: skip

    def __init__(self, config: RestoreFormerConfig):
        super().__init__(config)
        c = config
        widths = [c.width * multiplier for multiplier in c.multipliers]
        self.network = RestoreFormerNetwork(widths, c.codes, c.dim, c.heads, c.groups)
        if c.shortcuts:
            begin_with_shortcuts(self.network)
        self.occurring = Occurring(c.codes)

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        degraded = batch.need("degraded")
        self.config.sizes().check(degraded, CARD.name)
        encoded, vectors = self.network.encode(degraded)
        codes, _, numbers = self.network.quantize(vectors)
        self.occurring.note(batch, numbers)
        return self.network.decode(codes, encoded).clamp(-1, 1)

    def remarks(self) -> list[str]:
        return self.occurring.told()

    def stages(self, features: Source = "official") -> list[Stage]:
        distance = PerceptualDistance(features)
        return [DictionaryStage(self, distance), RestorationStage(self, features, distance)]

    def load_official(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(renamed(state))


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """The authors' names in ours: their attention counts its normalisations."""
    return {re.sub(r"(\.attn(_1|\.\d+))\.norm1\.", r"\1.norm.", name): value for name, value in state.items()}


def _load(network: RestoreFormerNetwork, state: Mapping[str, Tensor]) -> None:
    network.load_state_dict(renamed(state))


def _golden(attends: bool) -> Golden:
    def run(network: RestoreFormerNetwork, inputs: Inputs) -> dict[str, Tensor]:
        encoded = network.encoder(inputs.image())
        codes, _, numbers = network.quantize(network.quant_conv(encoded.vectors))
        return {
            "image": network.decoder(network.post_quant_conv(codes), encoded if attends else None),
            "encoder_out": encoded.vectors[:, ::4],
            "mid_atten": encoded.last[:, ::16],
            "indices": numbers.reshape(-1, 1),
        }

    def parts(network: RestoreFormerNetwork) -> dict[str, nn.Module]:
        return {"total": network, **dict(network.named_children())}

    def passed(side: int) -> Any:
        return lambda network: network(torch.empty(1, 3, side, side), attends)

    return Golden(
        build=lambda: RestoreFormer.create().get_submodule("network"),
        load=_load,
        run=run,
        parts=parts,
        costs={str(side): passed(side) for side in (256, 512)},
    )


RestoreFormer.golden = {
    "restoreformer.generator": _golden(attends=True),
    "restoreformer.hq_dictionary": _golden(attends=False),
    "restoreformer.discriminator": Golden(
        build=PatchDiscriminator,
        run=lambda network, inputs: {"logits": network(inputs.image())},
        parts=lambda network: {"total": network},
        costs={
            "256": lambda network: network(torch.empty(1, 3, 256, 256)),
            "512": lambda network: network(torch.empty(1, 3, 512, 512)),
        },
    ),
}
