"""DivInversion: an erased face and a random code are mixed to StyleGAN2's codes; a second pass brings the details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor

from baselines.stylegan2 import StyleGAN2
from bench.golden import Golden, Inputs
from bench.method import Batch, Card, Noise
from bench.nn.stylegan2 import NoiseMaps
from methods.hierinv import HierInv, HierInvConfig

CARD = Card(
    slug="divinv",
    name="DivInversion",
    title="Diverse Inpainting and Editing with GAN Inversion",
    authors="Yildirim, Pehlivan, Bilecen, Dundar",
    year=2023,
    venue="ICCV; arXiv 2307.15033",
    url="https://arxiv.org/abs/2307.15033",
    resolution=256,
    params={
        "encoder": 213_128_448,
        "mixing": 14_694_400,
        "encoder2": 1_352_896,
        "skip": 43_591_680,
        "decoder": 30_034_338,
    },
    macs={"encoder": 59.640e9, "mixing": 0.015e9, "encoder2": 11.169e9, "skip": 91.536e9, "decoder": 45.373e9},
    published={
        "FID, LPIPS": "5.92, 0.153 (FFHQ validation, erased share 0-100 %); 2.26, 0.145 (0-40 %); 6.23, 0.223 "
        "(40-100 %): HierInv's table 1",
        "FID of the first stage": "16.65 (0-100 %, HierInv's table 2)",
    },
    training="Adam 1e-4 (critic: betas 0, 0.99), batch 8, 300,000 + 200,000 iterations; adversarial 0.08, same code 1, "
    "other code 1; trained on images that the generator draws",
    features="LPIPS (VGG-16)",
    convention="the paper's mask is 1 = valid; holes are 0 in [-1, 1]",
    licence="no code was released; the StyleGAN2 weights: Nvidia, non-commercial",
    weights="none",
    requires=("stylegan2",),
    choices={
        "layers": "no code was released and the full text was not at hand: the mixing network and the two passes are "
        "sourced, from the abstract and from HierInv's account; all sizes, and so the counts, are ours",
        "encoder": "HierInv's: two rows for each style, from 14 heads of pSp with twice the outputs",
        "mixing": "feed-forward: each style by its own network of two layers, from the random code and two rows",
        "space": "two-stage. w+: the first stage alone. The second encoder is the beginning of IR-SE50, on the first "
        "image, the erased one and the mask; its map and the generator's give a new one at a quarter of the size",
        "stages": "the second one is trained with the first as it is",
        "losses": "weights, both settings (the same code, another one) and training on drawn images as HierInv repeats "
        "them; optimisers and iterations are usual ones",
        "critic": "starts anew in each stage, as the prior holds none",
        "noise": "of the generator's layers: fresh in training, the same maps for all pictures in tests, one draw for "
        "both passes, as if they were stored; completions of one picture differ by their random code alone",
        "photos": "0: trained on drawn images alone. tiny: half photographs, as its generator is weak; on them "
        "alone, whose codes nobody knows, another code hardly changes a face",
    },
    notes="HierInv, which builds on it, has the same networks and losses: they stand in methods/hierinv.py. Sizes of "
    "the skip encoder and the decoder are those with the prior's preset rosinality (512 channels at 64 px). The "
    "decoder runs twice.",
)


class DivInvConfig(HierInvConfig):
    """Sizes and losses of DivInversion: HierInv's, without its chain of codes and its single pass."""

    mixing: Literal["feed-forward"] = "feed-forward"
    space: Literal["w+", "two-stage"] = "two-stage"  # codes alone; with the second pass
    masks: str = "divinv"


class DivInv(HierInv):
    """DivInversion after its abstract and what HierInv says of it."""

    card = CARD
    Config = DivInvConfig  # type: ignore[assignment]
    config: DivInvConfig
    presets = {
        "paper": DivInvConfig(),
        "tiny": DivInvConfig(
            size=64, widths=(16, 32, 64, 128), units=(1, 1, 2, 1), code=64, skip_width=64, photos=0.5,
            learning_rate=2e-3, critic_rate=2e-3, masks="irregular", ema=0.99,
        ),
    }  # fmt: skip
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "First Stage": {"space": "w+"},
        "Two Stage": {},
    }

    def complete(self, batch: Batch, noise: Noise) -> Tensor:
        return self.steps(batch, noise)[-1]

    def steps(self, batch: Batch, noise: Noise) -> list[Tensor]:
        return self.passes(batch, noise.normal(self.config.code))

    def passes(self, batch: Batch, z: Tensor) -> list[Tensor]:
        """The images of both passes for random codes z (N, D), cut to [-1, 1]: another z, another face."""
        valid = 1 - batch.mask
        encoded, _ = self.encoder(batch.masked, valid)
        codes = self.codes(encoded, z)
        maps = self.fixed_maps(codes)
        passes = [self.decoder(codes, maps)]
        if self.config.space == "two-stage":
            passes.append(self.again(passes[0], codes, torch.cat([batch.masked, valid], dim=1), maps))
        return [image.clamp(-1, 1) for image in passes]

    def draw(self, codes: Tensor, detail: Tensor, given: Tensor, maps: NoiseMaps = None) -> Tensor:
        first = self.decoder(codes, maps)
        return self.again(first, codes, given, maps) if self.config.space == "two-stage" else first

    def again(self, first: Tensor, codes: Tensor, given: Tensor, maps: NoiseMaps = None) -> Tensor:
        """The second pass: the first image beside what is given (erased image, mask) mends the generator's map."""
        detail = self.encoder2.features(torch.cat([first, given], dim=1))[-1]
        return self.decoder(codes, maps, self.replaced(detail))


def _whole() -> DivInv:
    """The method on the generator that the golden file was made with."""
    method = cast(DivInv, DivInv.create())
    method.attach({"stylegan2": StyleGAN2.create("rosinality")})
    return method


def _run(method: DivInv, inputs: Inputs) -> dict[str, Tensor]:
    image, mask = inputs.image(), inputs.mask()
    erased, valid = image * (1 - mask), 1 - mask
    codes = method.mixing(inputs.latent(1, 14, 512), method.encoder(erased, valid)[0])
    first = method.decoder(codes)
    out = method.again(first, codes, torch.cat([erased, valid], dim=1))
    return {"mixed": codes, "first": first, "out": out, "final": mask * out + (1 - mask) * image}


def _empty(channels: int) -> Tensor:
    return torch.empty(1, channels, 256, 256)


DivInv.golden = {
    "divinv": Golden(
        build=_whole,
        run=_run,
        parts=DivInv.networks,
        costs={
            "encoder2": lambda m: m.encoder2.features(_empty(7)),
            "total": lambda m: m.passes(Batch(_empty(3), _empty(1)), torch.empty(1, 512)),
        },
    )
}
